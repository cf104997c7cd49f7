"""Two nodes with the real replicator, receiver, sshd and rsync; the supervisors are stood in for."""

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from skd_cluster.core.messages import Mastership, Note, ReplicationReport, decode, encode
from tests.labkit import CLUSTER_CONF, CONFIG_TREE, Lab, eventually
from tests.labkit.trees import differences

DRIVER = Path(__file__).with_name("replication_driver.py")
LOG = "/var/log/driver.out"
SERVICE_LOG = "/var/log/service.out"
FACTS = "/run/facts.json"
PATIENCE = 40.0
"""Seconds until something is taken for not happening: more than the longest wait between two attempts, on a busy machine."""


class Pair:
    """lb1 as the master, lb2 as its peer; `turn` changes that. `farms` is the size of the master's tree."""

    def __init__(self, lab: Lab, *, farms: int = 60, **options: str | None) -> None:
        self.lab = lab
        self.master, self.peer = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        self.facts = self.master.make_tree(farms=farms)
        self.theirs = self.peer.make_tree(farms=farms // 2, seed=2)
        for node in (self.master, self.peer):
            node.write_config(**options)
        lab.trust()
        self.says(role="backup", epoch=1)
        self.serve()
        self.replicator = None

    # --- the supervisors -----------------------------------------------------------------

    def says(self, *, role: str, epoch: int) -> None:
        """What the peer's service answers from now on."""
        new = self.peer.write(f"{FACTS}.new", json.dumps({"ok": True, "role": role, "epoch": epoch}))
        new.rename(self.peer.path(FACTS))

    def serve(self) -> None:
        """Start what stands for the peer's service."""
        words = ["/usr/bin/python3", DRIVER, "peer", "/run/skd-cluster", FACTS]
        self.peer.path(SERVICE_LOG).unlink(missing_ok=True)
        self.service = self.peer.popen(words, output=SERVICE_LOG)
        eventually(lambda: "listening" in self.peer.path(SERVICE_LOG).read_text(), what="the peer's service answers")

    def start(self, epoch: int = 1, *, prefix: Sequence[str | Path] = ()) -> None:
        words = [*prefix, "/usr/bin/python3", DRIVER, "master", "/usr/local/bin/skdinotify", CLUSTER_CONF]
        self.replicator = self.master.popen(words, output=LOG, stdin=subprocess.PIPE)
        self.tell(Mastership(epoch))

    def stop(self) -> None:
        """End the replicator as its supervisor does."""
        self.replicator.close()
        assert self.replicator.wait() == 0

    def kill(self) -> None:
        """Kill the replicator, as a power cut does; its ssh and rsync see the ends of their pipes."""
        self.master.run("pkill -KILL -x skdinotify")
        self.replicator.wait()
        self.replicator.close()

    def turn(self) -> None:
        """Let the peer be the master from now on; the caller has ended the replicator, and starts the new one."""
        self.master, self.peer = self.peer, self.master
        self.facts, self.theirs = self.theirs, self.facts

    def tell(self, message) -> None:
        self.replicator.stdin.write(encode(message).decode() + "\n")
        self.replicator.stdin.flush()

    @property
    def pid(self) -> int:
        """The replicator itself, as a number on the host."""
        return next(pid for pid, name in self.master.processes().items() if name == "skdinotify")

    # --- what it says --------------------------------------------------------------------

    def messages(self, kind):
        lines = self.master.path(LOG).read_text().splitlines()
        return [found for found in map(decode, map(str.encode, lines)) if isinstance(found, kind)]

    def report(self) -> ReplicationReport:
        found = self.messages(ReplicationReport)
        assert found, self.master.path(LOG).read_text()
        return found[-1]

    def notes(self) -> list[str]:
        return [note.text for note in self.messages(Note)]

    def events(self) -> list[str]:
        return [note.event for note in self.messages(Note)]

    def in_sync(self, within: float = PATIENCE) -> ReplicationReport:
        return eventually(lambda: self.report() if self.report().in_sync else None, within=within, what="in sync")

    def error(self, words: str, within: float = PATIENCE) -> None:
        def said():
            assert words in self.report().last_error, self.report().last_error
            return True

        eventually(said, within=within, what=f"the report says {words!r}")

    # --- the trees -----------------------------------------------------------------------

    def ours(self, name: str) -> Path:
        return self.master.path(CONFIG_TREE) / name

    def there(self, name: str) -> Path:
        return self.peer.path(CONFIG_TREE) / name

    def arrived(self, name: str, content: str | None, within: float = PATIENCE) -> float:
        """Wait until the peer has this content (None: nothing there), return the seconds it took."""
        began, path = time.monotonic(), self.there(name)
        deadline = began + within
        while read(path) != content:
            assert time.monotonic() < deadline, f"{name} did not arrive: {self.report()}"
        return time.monotonic() - began

    def differences(self) -> list[str]:
        return differences(self.master.path(CONFIG_TREE), self.peer.path(CONFIG_TREE), self.facts)

    def equal(self, within: float = PATIENCE) -> None:
        """Wait until the replicator says in sync and the trees are equal by another judge than itself."""

        def equal():
            assert self.report().in_sync, self.report()
            found = self.differences()
            assert not found, found
            return True

        eventually(equal, within=within, what="in sync, and equal")

    def kept(self, name: str) -> list[str]:
        """Return what the peer's history has of a file, the oldest first."""
        found = sorted(self.peer.path("/var/lib/skd-cluster/history").glob("*/tree/config"))
        return [(one / name).read_text() for one in found if (one / name).is_file()]

    def synced(self) -> "Pair":
        self.start()
        self.in_sync()
        return self

    # --- the peer's sessions -------------------------------------------------------------

    def sessions(self) -> dict[str, list[int]]:
        """Return the peer's processes of the replication: `sshd` (of a login, not the listener) and `receive`."""
        found: dict[str, list[int]] = {"sshd": [], "receive": []}
        for pid in self.peer.processes():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"sshd: root" in words:
                    found["sshd"].append(pid)
                elif b"/skd-cluster\0receive" in words:
                    found["receive"].append(pid)
        return found

    def hang_up(self) -> None:
        """Kill the receiver: the replicator has to begin a new session."""
        for pid in self.sessions()["receive"]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def read(path: Path) -> str | None:
    """Return what is in a file, None if there is none: a pipe is not waited for, a device is not read to its end."""
    try:
        return path.read_text() if stat.S_ISREG(path.stat().st_mode) else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
