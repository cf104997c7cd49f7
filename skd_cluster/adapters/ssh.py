"""One ssh connection to the peer that stays open, with one session of `skd-cluster receive` at its other end.

The connection is a master for others: rsync goes through it without logging in again. Nothing here passes through a
shell on this side.
"""

import os
import select
import shlex
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from skd_cluster.adapters.command import PIPE, Running, start
from skd_cluster.config.schema import Config
from skd_cluster.core.session import Decoder, Message, ProtocolError, encode
from skd_cluster.core.sshfault import Trouble, explain

_ERRORS = 8192
_WRITE = 1 << 18
_SSH_PORT = 22
"""Not passed on: then ~/.ssh/config may have another one for this host."""


def options(config: Config, control: Path) -> tuple[str, ...]:
    """Return ssh's options for every connection to the peer, by way of the control socket if it is there."""
    words = ["BatchMode=yes", f"ControlPath={control}", "ControlPersist=no", "RequestTTY=no", "EscapeChar=none"]
    words += ["ClearAllForwardings=yes", "PermitLocalCommand=no"]
    if config.ssh_key is not None:
        words += [f"IdentityFile={config.ssh_key}", "IdentitiesOnly=yes"]
    # To ssh the first value of an option counts: the administrator may change what follows.
    words += config.ssh_options
    words += ["ConnectTimeout=5", "ServerAliveInterval=2", "ServerAliveCountMax=3"]
    port = () if config.ssh_port == _SSH_PORT else ("-p", str(config.ssh_port))
    return (*port, *(part for word in words for part in ("-o", word)))


def session_argv(config: Config, control: Path, config_path: Path) -> tuple[str, ...]:
    """Return the command of the session."""
    remote = f"skd-cluster receive --config {shlex.quote(str(config_path))}"
    login = f"root@{config.remote_ip}"
    return ("ssh", *options(config, control), "-o", "ControlMaster=yes", login, remote)


def tried_by_hand(config: Config) -> str:
    """Return the command with which a person sees what ssh says."""
    port = f" -p {config.ssh_port}" if config.ssh_port != _SSH_PORT else ""
    key = f" -i {shlex.quote(str(config.ssh_key))}" if config.ssh_key else ""
    return f"ssh{port}{key} root@{config.remote_ip} true"


class Session:
    """A running session. Never blocks: poll `interest()`, then call `receive`."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Start it. Raises CannotStartError."""
        self._running: Running = start(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        self._decoder = Decoder()
        self._outbox: deque[memoryview] = deque()
        self._errors = bytearray()
        self._garbled = ""
        self.ended = False

    def interest(self) -> dict[int, int]:
        """Return descriptors and what to poll each for."""
        wanted = {self._running.pidfd: select.POLLIN}
        for end in (self._running.output, self._running.errors):
            if end is not None:
                wanted[end] = select.POLLIN
        if self._outbox and self._running.input is not None:
            wanted[self._running.input] = select.POLLOUT
        return wanted

    def send(self, messages: Iterable[Message]) -> None:
        """Hand over, the first while the others are made; what does not go now goes when the other side reads on."""
        piece = bytearray()
        for one in messages:
            piece += encode(one)
            if len(piece) >= _WRITE:
                self._outbox.append(memoryview(bytes(piece)))
                self._flush()
                piece.clear()
        self._outbox.append(memoryview(bytes(piece)))
        self._flush()

    def receive(self) -> list[Message]:
        """Move data and return the answers that are complete. Afterwards `ended` says whether there can be more."""
        self._flush()
        found: list[Message] = []
        try:
            while data := self._running.read():
                found += self._decoder.feed(data)
        except ProtocolError as error:
            self._garbled = str(error)
            self.ended = True
        self._errors += self._running.read_errors()
        del self._errors[:-_ERRORS]
        if self._running.poll() is not None and self._running.output is None:
            self.ended = True
        return found

    def _flush(self) -> None:
        while self._outbox and self._running.input is not None:
            try:
                sent = os.write(self._running.input, self._outbox[0][:_WRITE])
            except (BlockingIOError, InterruptedError):
                return
            except BrokenPipeError:
                self._outbox.clear()  # why it does not read any more, its end will tell
                return
            rest = self._outbox[0][sent:]
            if rest:
                self._outbox[0] = rest
            else:
                self._outbox.popleft()

    def close(self) -> int | None:
        """End it; return ssh's exit code, None if it was us who ended it."""
        code = self._running.poll()
        self.ended = True
        self._running.close()
        return code

    def trouble(self, peer: str, command: str) -> Trouble:
        """Close it and say why it ended. `command` is what a person may try."""
        code = self.close()
        if self._garbled:
            words = (
                f"what came from {peer} is not from skd-cluster ({self._garbled}): does root's shell print at login?"
            )
            return Trouble("garbled", words)
        return explain(code, self._errors.decode(errors="replace"), peer, command)
