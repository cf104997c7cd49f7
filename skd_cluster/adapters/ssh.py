"""One ssh connection to the peer that stays open, with one session of `skd-cluster receive` at its other end.

The connection is a master for others: rsync goes through it without logging in again. Nothing here passes through a
shell on this side.
"""

import os
import select
import shlex
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.adapters.command import PIPE, Running, start
from skd_cluster.config.schema import Config
from skd_cluster.core.session import Decoder, Message, ProtocolError, encode
from skd_cluster.core.sshfault import Trouble, explain

_ERRORS = 8192
_WRITE = 1 << 18
_SSH_PORT = 22
"""Not passed on: then ~/.ssh/config may have another one for this host."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What `skd-cluster pair` leaves on a node: a key of its own, and the peer's host keys."""

    key: Path
    known_hosts: Path


def identity_of(config: Config) -> Identity:
    """Return where a pairing keeps its files, whether there is one or not."""
    folder = config.state_dir / "ssh"
    return Identity(folder / "id_ed25519", folder / "known_hosts")


def paired(config: Config) -> Identity | None:
    """Return what to log in with. None: no pairing, or the administrator named a key; then ssh's own ways count."""
    identity = identity_of(config)
    if config.ssh_key is None and identity.key.is_file() and identity.known_hosts.is_file():
        return identity
    return None


def _identity_words(config: Config, identity: Identity) -> list[str]:
    """Return options that leave ssh nothing but the pair's key and the pinned host keys."""
    return [
        f"IdentityFile={option_path(identity.key)}",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        f"UserKnownHostsFile={option_path(identity.known_hosts)}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        f"HostKeyAlias={config.remote_ip}",  # as they are pinned, whatever port and alias ~/.ssh/config has
        f"BindAddress={config.local_ip}",  # the key is taken from there only
    ]


def option_path(path: Path) -> str:
    """Return a path as the value of an option, in which ssh knows quotes and % for tokens."""
    plain = str(path).replace("%", "%%")
    return f'"{plain}"' if " " in plain else plain


def options(config: Config, control: Path | None, identity: Identity | None = None) -> tuple[str, ...]:
    """Return ssh's options for every connection to the peer, by way of the control socket if it is there.

    `identity` is one to be tried; otherwise that of the pairing, if there is one.
    """
    words = [
        "BatchMode=yes",
        f"ControlPath={control or 'none'}",
        "ControlPersist=no",
        "RequestTTY=no",
        "EscapeChar=none",
    ]
    words += ["ClearAllForwardings=yes", "PermitLocalCommand=no"]
    chosen = identity or paired(config)
    if chosen is not None:
        words += _identity_words(config, chosen)
    elif config.ssh_key is not None:
        words += [f"IdentityFile={config.ssh_key}", "IdentitiesOnly=yes"]
    # To ssh the first value of an option counts: the administrator may change what follows.
    words += config.ssh_options
    words += ["ConnectTimeout=5", "ServerAliveInterval=2", "ServerAliveCountMax=3"]
    return (*port_words(config), *(part for word in words for part in ("-o", word)))


def port_words(config: Config) -> tuple[str, ...]:
    """Return the option that names the port, none for the usual one."""
    return () if config.ssh_port == _SSH_PORT else ("-p", str(config.ssh_port))


def session_argv(config: Config, control: Path, config_path: Path) -> tuple[str, ...]:
    """Return the command of the session."""
    remote = f"skd-cluster receive --config {shlex.quote(str(config_path))}"
    login = f"root@{config.remote_ip}"
    return ("ssh", *options(config, control), "-o", "ControlMaster=yes", login, remote)


def tried_by_hand(config: Config) -> str:
    """Return the command with which a person sees what ssh says; a pair's key is tried by `pair`."""
    if paired(config) is not None:
        return "skd-cluster pair"
    key = ("-i", str(config.ssh_key)) if config.ssh_key else ()
    return shlex.join(("ssh", *port_words(config), *key, f"root@{config.remote_ip}", "true"))


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

    def trouble(self, peer: str, command: str, *, pinned: bool = False) -> Trouble:
        """Close it and say why it ended. `command` is what a person may try, `pinned` whether a pairing was used."""
        code = self.close()
        if self._garbled:
            words = (
                f"what came from {peer} is not from skd-cluster ({self._garbled}): does root's shell print at login?"
            )
            return Trouble("garbled", words)
        return explain(code, self._errors.decode(errors="replace"), peer, command, pinned=pinned)
