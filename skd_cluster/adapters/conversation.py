"""Questions to the peer by a command that waits for the answers: a session of its own, beside the replicator's."""

import os
import select
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import skd_cluster
from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.command import CannotStartError
from skd_cluster.adapters.ssh import Session, session_argv, tried_by_hand
from skd_cluster.config.schema import Config
from skd_cluster.core.model import MILLISECOND, Nanos, nanos
from skd_cluster.core.session import NOT_A_MESSAGE, PROTOCOL, Hello, Message, Refusal, Refused

_CONNECT = nanos(15)
_ANSWER = nanos(60)
"""For one answer; the peer reads its whole tree for some."""


class NoAnswerError(Exception):
    """The peer does not answer; the text says why and what to do."""


class Conversation:
    """One session, in a `with` block. Every method raises NoAnswerError when the session ends or nothing comes."""

    def __init__(self, config: Config, config_path: Path) -> None:
        self._config = config
        self._control = config.run_dir / f"ask-{os.getpid()}"
        self._argv = session_argv(config, self._control, config_path)
        self._session: Session | None = None
        self._heard: list[Message] = []
        self._software = ""

    def __enter__(self) -> Self:
        """Nothing is started before the first word."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        if self._session is not None:
            self._session.close()
            self._session = None
            self._control.unlink(missing_ok=True)

    def hello(self) -> Hello | Refused:
        """Start, and return how the peer introduces itself, or why its service does not let it."""
        self._config.run_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._session = Session(self._argv)
        except CannotStartError as error:
            raise NoAnswerError(str(error)) from error
        (said,) = self.exchange([Hello(PROTOCOL, skd_cluster.__version__, 0)], 1, _CONNECT)
        if isinstance(said, Hello):
            self._software = said.software
            return said
        if isinstance(said, Refused) and said.reason != Refusal.PROTOCOL:
            return said
        raise NoAnswerError(said.text if isinstance(said, Refused) else f"it answered {type(said).__name__}")

    def exchange(self, messages: Iterable[Message], answers: int, patience: Nanos = _ANSWER) -> list[Message]:
        """Say all messages, and return so many answers in their order; what is heard beyond, the next call returns."""
        for message in messages:
            self._say(message)
        deadline = Nanos(monotonic() + patience)
        while len(self._heard) < answers:
            before = len(self._heard)
            ended = self._move(deadline)
            if len(self._heard) > before:
                deadline = Nanos(monotonic() + patience)
            elif ended:
                raise NoAnswerError(self._why())
        found, self._heard = self._heard[:answers], self._heard[answers:]
        return found

    def _say(self, message: Message) -> None:
        """Hand over a message and wait until it is on its way: a large one is not to fill the memory."""
        if self._session is None:
            raise NoAnswerError("the session has ended")
        self._session.send([message])
        deadline = Nanos(monotonic() + _ANSWER)
        while select.POLLOUT in self._session.interest().values():
            self._move(deadline)

    def _move(self, deadline: Nanos) -> bool:
        """Wait for something to happen and take it; return whether the session has ended."""
        session = self._session
        if session is None:
            raise NoAnswerError("the session has ended")
        poller = select.poll()
        for descriptor, events in session.interest().items():
            poller.register(descriptor, events)
        left = deadline - monotonic()
        if left <= 0:
            raise NoAnswerError("no answer in time")
        poller.poll(left // MILLISECOND + 1)
        for heard in session.receive():
            if isinstance(heard, Refused) and heard.text.startswith(NOT_A_MESSAGE):
                words = f"its skd-cluster {self._software} does not know what this one asks"
                raise NoAnswerError(f"{words}: install {skd_cluster.__version__} there")
            self._heard.append(heard)
        return session.ended

    def _why(self) -> str:
        """Return why the session ended."""
        if self._session is None:
            return "the session has ended"
        return self._session.trouble(f"the peer {self._config.remote_ip}", tried_by_hand(self._config)).text
