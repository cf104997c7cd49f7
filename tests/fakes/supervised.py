"""A real supervisor in a folder of its own, with children that a test speaks for."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from skd_cluster.adapters.control import request
from skd_cluster.core.histogram import JITTER_BOUNDS
from skd_cluster.core.messages import ElectorReport, Message, ReplicationReport, RoleChange, decode, encode
from skd_cluster.core.model import Reason, Role
from tests.labkit import waiting

T = TypeVar("T")
_RELAY = Path(__file__).with_name("relay.py")

REPOSITORY = Path(__file__).parents[2]


def eventually(check: Callable[[], T], within: float = 20.0) -> T:
    """Return the first true result of `check`. The time is for a loaded machine; it decides nothing."""
    return waiting.eventually(check, within=within)


def report(role: Role = Role.BACKUP, *, epoch: int = 1, **changes: Any) -> ElectorReport:
    now = time.monotonic_ns()
    empty = {"counts": [0] * (len(JITTER_BOUNDS) + 1), "total": 0.0}
    peer = {
        "address": "192.0.2.2",
        "alive": True,
        "hears_us": True,
        "heard_at": now,
        "role": int(Role.BACKUP if role is Role.MASTER else Role.MASTER),
        "epoch": epoch,
        "data_epoch": 0,
        "generation": 0,
        "digest": "00" * 32,
        "version": "3.0.0",
    }
    first = ElectorReport(
        at=now,
        role=int(role),
        since=now,
        reason="start",
        detail="",
        epoch=epoch,
        faults=[],
        peer=peer,
        addresses=[{"address": "203.0.113.10", "interface": "lo", "held": role is Role.MASTER}],
        counters={"sent": 7, "received": 5, "dropped.bad_key": 2, "lease_renewals": 3},
        jitter=empty,
        lateness=empty,
        realtime=True,
    )
    return replace(first, **changes)


def change(old: Role, new: Role, *, epoch: int = 1, reason: str = Reason.PEER_SILENT, **more: Any) -> RoleChange:
    return RoleChange(time.monotonic_ns(), int(old), int(new), str(reason), epoch, **more)


def replicated(*, in_sync: bool = True, **changes: Any) -> ReplicationReport:
    facts: dict[str, Any] = {
        "in_sync": in_sync,
        "pending": 0,
        "pending_since": 0,
        "lag_seconds": 0.1,
        "last_success": 1.7e9,
        "last_error": "",
        "data_epoch": 3,
        "generation": 9,
        "digest": "ab" * 32,
        "runs": {"ok": 2},
        "sent_bytes": 10,
        "sent_files": 1,
        "lag": {"counts": [], "total": 0.0},
        **changes,
    }
    return ReplicationReport(**facts)


@dataclass
class Voice:
    """The far end of a child: what the supervisor told it, and what it says."""

    name: str
    pid: int
    argv: list[str]
    sock: socket.socket
    heard: list[Message] = field(default_factory=list)

    def say(self, message: Message) -> None:
        self.sock.send(encode(message))

    def hush(self) -> None:
        self.sock.send(b"hush")

    def leave(self, status: int) -> None:
        self.sock.send(b"exit %d" % status)

    def hears(self, kind: type[T], within: float = 5.0) -> T:
        """Return the next message of a kind."""
        until = time.monotonic() + within
        while True:
            ready, _, _ = select.select((self.sock,), (), (), max(0.0, until - time.monotonic()))
            assert ready, f"{self.name} was not told any {kind.__name__} in time"
            datagram = self.sock.recv(1 << 20)
            assert datagram, f"{self.name} is gone"
            message = decode(datagram)
            self.heard.append(message)
            if isinstance(message, kind):
                return message

    def gone(self, within: float = 5.0) -> bool:
        """Whether the child ends in time."""
        until = time.monotonic() + within
        while select.select((self.sock,), (), (), max(0.0, until - time.monotonic()))[0]:
            if not self.sock.recv(1 << 20):
                return True
        return False


class Node:
    """A supervisor that runs. Leave it as a context: nothing of it survives."""

    def __init__(self, folder: Path, keys: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.status_file = folder / "status"
        self.trace = folder / "trace"
        self.config = folder / "cluster.conf"
        self.keys = {
            "interface": "lo",
            "local_ip": "192.0.2.1",
            "remote_ip": "192.0.2.2",
            "password": "secret",
            "cluster_id": "1",
            "cluster_ip": "203.0.113.10/24",
            "configdir": str(folder / "tree"),
            "zeninolog": str(folder / "skdinotify.log"),
            "status_file": str(self.status_file),
            "state_dir": str(folder / "state"),
            "run_dir": str(folder / "run"),
            "checks_dir": str(folder / "checks"),
            "metrics_listen": "off",
            **{f"{name}_script": str(folder / name) for name in ("up", "down", "adver")},
            **(keys or {}),
        }
        for one in ("tree", "bin", "checks"):
            (folder / one).mkdir()
        for name in ("up", "down"):
            self.hook(name, f'echo "{name} $1 $2" >> {self.trace}')
        for name in ("skd-elector", "skdinotify"):
            self.script(folder / "bin" / name, _RELAY.read_text(), f"#!{sys.executable}")
        self.write_config()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(folder / "fake.sock"))
        self._listener.listen(8)
        self._listener.settimeout(20)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify.sock"))
        self.notified: list[str] = []
        self.voices: list[Voice] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"

    def script(self, path: Path, body: str, first: str = "#!/bin/sh") -> None:
        path.write_text(f"{first}\n{body}\n")
        path.chmod(0o755)

    def hook(self, name: str, body: str) -> None:
        self.script(self.folder / name, body)

    def write_config(self, **keys: str) -> None:
        self.keys |= keys
        self.config.write_text("".join(f'${key}="{value}";\n' for key, value in self.keys.items()))
        self.config.chmod(0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        for voice in self.voices:
            voice.sock.close()
        self._listener.close()
        self._notify.close()

    def start(self, watchdog: float | None = None) -> None:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("JOURNAL_STREAM", "WATCHDOG_PID")
        }
        environment |= {
            "NOTIFY_SOCKET": str(self.folder / "notify.sock"),
            "SKD_CHILDREN_DIR": str(self.folder / "bin"),
            "SKD_FAKE_SOCKET": str(self.folder / "fake.sock"),
        }
        if watchdog:
            environment["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skd_cluster.cli.main", "run", "--config", str(self.config)],
                env=environment,
                stderr=log,
                cwd=REPOSITORY,
            )

    def child(self) -> Voice:
        """Return the next child that starts."""
        sock, _ = self._listener.accept()
        hello = json.loads(sock.recv(4096))
        voice = Voice(hello["name"], hello["pid"], hello["argv"], sock)
        self.voices.append(voice)
        return voice

    def begin(self, role: Role = Role.BACKUP, **changes: Any) -> Voice:
        """Start it and let its elector report once."""
        self.start()
        elector = self.child()
        elector.say(report(role, **changes))
        self.await_notice("READY=1")
        return elector

    def await_notice(self, line: str, within: float = 5.0) -> str:
        """Return the first notification from now on with this line."""
        until = time.monotonic() + within
        while True:
            ready, _, _ = select.select((self._notify,), (), (), max(0.0, until - time.monotonic()))
            assert ready, f"systemd was not told {line}; log:\n{self.log.read_text()}"
            notice = self._notify.recv(4096).decode()
            self.notified.append(notice)
            if any(one.startswith(line) for one in notice.splitlines()):
                return notice

    def notices_within(self, span: float) -> list[str]:
        """Return what systemd is told in the coming seconds."""
        until = time.monotonic() + span
        found = []
        while (left := until - time.monotonic()) > 0:
            if select.select((self._notify,), (), (), left)[0]:
                found.append(self._notify.recv(4096).decode())
        return found

    def ask(self, **asked: Any) -> dict[str, Any]:
        return request(self.folder / "run", asked, 10.0)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, within: float = 10.0) -> int:
        """Return its exit code."""
        assert self.process is not None
        return self.process.wait(within)

    def await_word(self, word: str) -> None:
        """Wait for the status file to say so."""
        eventually(lambda: self.status_file.exists() and self.status_file.read_text() == f"{word}\n")

    def traced(self) -> list[str]:
        """Return what the hooks wrote down."""
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def logged(self) -> str:
        return self.log.read_text()
