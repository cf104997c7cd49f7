"""The line to the peer: one session over one ssh connection, and the batch that is on its way over it."""

import os
from dataclasses import dataclass
from pathlib import Path

import skd_cluster
from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.command import CannotStartError
from skd_cluster.adapters.push import Push, RsyncError
from skd_cluster.adapters.ssh import Session, paired, session_argv, tried_by_hand
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.schema import Config
from skd_cluster.core.replication_actions import Batch
from skd_cluster.core.session import PROTOCOL, Hello, Message, Ready


@dataclass(frozen=True, slots=True)
class Lost:
    """The session ended: a stable word, and one clear line."""

    kind: str
    text: str


class Line:
    """There is one session at most. Never blocks: poll `interest()`, then call `receive`."""

    def __init__(self, config: Config, config_path: Path, tree: Tree) -> None:
        self._config = config
        self._config_path = config_path
        self._tree = tree
        self._session: Session | None = None
        self._push: Push | None = None
        self._control = config.run_dir / "ssh"
        self._count = 0

    def sweep(self) -> None:
        """Remove control sockets of connections that ended without doing it."""
        self._config.run_dir.mkdir(parents=True, exist_ok=True)
        for stale in self._config.run_dir.glob("ssh-*"):
            stale.unlink(missing_ok=True)

    def connect(self, epoch: int) -> None:
        """Start a session and say hello. Raises CannotStartError."""
        self.close()
        self._count += 1
        # A name of its own each time: a connection that hangs must not be joined.
        self._control = self._config.run_dir / f"ssh-{os.getpid()}-{self._count}"
        self._session = Session(session_argv(self._config, self._control, self._config_path))
        self.say(Hello(PROTOCOL, skd_cluster.__version__, epoch))

    def say(self, message: Message) -> None:
        """Hand over a message, if there is a session."""
        if self._session is not None:
            self._session.send([message])

    def send(self, batch: Batch) -> None:
        """Take up a batch. Raises MovedError, and then nothing was sent."""
        if self._session is not None:
            push = Push(batch, self._tree, self._session, self._config, self._control)
            push.start()
            self._push = push

    def interest(self) -> dict[int, int]:
        """Return descriptors and what to poll each for."""
        wanted = {} if self._session is None else self._session.interest()
        if self._push is not None and self._push.rsync is not None:
            wanted |= self._push.rsync.interest()
        return wanted

    def receive(self) -> list[Message | Lost]:
        """Move everything on and return what is for the replicator. After a Lost the line is closed."""
        found: list[Message | Lost] = []
        if self._session is None:
            return found
        try:
            for message in self._session.receive():
                if isinstance(message, Ready):
                    if self._push is not None:
                        self._push.ready(message.staging)
                else:
                    found.append(message)
            if self._push is not None:
                self._push.step(monotonic())
        except (RsyncError, CannotStartError) as error:
            # The other end may be in the middle of the batch: only a new session begins anew.
            self.close()
            return [*found, Lost("rsync", str(error))]
        if self._session.ended:
            peer, command = f"the peer {self._config.remote_ip}", tried_by_hand(self._config)
            trouble = self._session.trouble(peer, command, pinned=paired(self._config) is not None)
            self.close()
            found.append(Lost(trouble.kind, trouble.text))
        return found

    def finish(self) -> Push | None:
        """Return the batch that was on its way, which is over now."""
        push, self._push = self._push, None
        if push is not None:
            push.cancel()
        return push

    def close(self) -> None:
        """Hang up. The batch that was on its way is left to `finish`."""
        if self._push is not None:
            self._push.cancel()
        if self._session is not None:
            self._session.close()
            self._session = None
            self._control.unlink(missing_ok=True)
