"""Both nodes of the pair, as they answer the questions of `diff` and `history` typed on one of them."""

import argparse
import json
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import TypeVar

from skd_cluster.adapters.conversation import Conversation, NoAnswerError
from skd_cluster.adapters.fence import ServiceDownError, ask_fence, tell_service
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core.history import Generation, Keeper, Place, parse
from skd_cluster.core.manifest import Entry, unpack_manifest
from skd_cluster.core.model import ExitCode, Role
from skd_cluster.core.session import About, Ask, Facts, Generations, Hello, Holds, ListKept, Message, Refused, Resolve
from skd_cluster.processes.receiver import Receiver

T = TypeVar("T")

_AT_ONCE = 32
"""Questions that are under way at the same time."""


class FailedError(Exception):
    """The command cannot do it; one clear line, and the exit code."""

    def __init__(self, text: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Node:
    """One node. `role` is its word, empty if its service does not say; `exchange` is as in `Conversation`."""

    keeper: Keeper
    role: str
    exchange: Callable[[Iterable[Message], int], list[Message]]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.keeper.name

    def ask(self, question: Message, kind: type[T]) -> T:
        """Return the answer. Raises FailedError if it is refused."""
        (said,) = self.try_all([question], kind)
        if isinstance(said, Refused):
            raise FailedError(f"{self.name}: {said.text}")
        return said

    def try_all(self, questions: Sequence[Message], kind: type[T]) -> list[T | Refused]:
        """Return the answers in their order, refusals among them."""
        found: list[T | Refused] = []
        for at in range(0, len(questions), _AT_ONCE):
            some = questions[at : at + _AT_ONCE]
            found += [self._checked(one, kind) for one in self.exchange(some, len(some))]
        return found

    def _checked(self, said: Message, kind: type[T]) -> T | Refused:
        if isinstance(said, Refused | kind):
            return said
        raise FailedError(f"{self.name} answered {type(said).__name__}")

    def holds(self) -> tuple[dict[str, Entry], dict[str, str]]:
        """Return what its tree holds, and what it could not read."""
        found = self.ask(Ask(), Holds)
        return unpack_manifest(found.entries), {str(key): str(words) for key, words in found.unknown.items()}

    def generations(self) -> list[Place]:
        """Return all that its history has, the newest first."""
        kept = self.ask(ListKept(), Generations)
        pushes = zip_longest(kept.numbers, kept.pushes[: len(kept.numbers)], fillvalue=1)
        told = self.try_all([About(number, push) for number, push in pushes], Facts)
        found: list[Generation] = [parse(one.generation, one.facts, one.push) for one in told if isinstance(one, Facts)]
        return [Place(self.keeper, one) for one in found]


@dataclass(slots=True)
class Nodes:
    """The node on which the command is typed, and its peer: None if it does not answer, `silence` says why."""

    config: Config
    tree: Tree
    here: Node
    there: Node | None = None
    silence: str = ""

    @property
    def both(self) -> list[Node]:
        """Those that answer."""
        return [self.here] if self.there is None else [self.here, self.there]

    @property
    def master(self) -> Node | None:
        """The node that is master; this one if both say so."""
        return next((one for one in self.both if one.role == Role.MASTER.word), None)

    def of(self, keeper: Keeper) -> Node:
        """Return the node that keeps something."""
        return self.here if self.there is None or keeper == self.here.keeper else self.there

    def places(self) -> list[Place]:
        """Return the generations of both nodes, the newest first."""
        found = self.here.generations()
        if self.there is not None:
            try:
                found += self.there.generations()
            except NoAnswerError as error:  # gone by now, or too old to be asked
                self.there, self.silence = None, str(error)
        return sorted(found, key=lambda one: (-one.generation.number, -one.generation.at))

    def resolve(self, keeper: Keeper, name: str) -> None:
        """Have the keeper of a conflict write down that it is dealt with. Raises FailedError."""
        self.of(keeper).ask(Resolve(name), Facts)
        for other in self.both:
            if other.keeper != keeper:  # it has no such conflict, and its service asks again which ones wait
                other.try_all([Resolve(name)], Facts)

    def key(self, text: str) -> str:
        """Return the key of a path as people write it: absolute, below `configdir`, or as it is printed."""
        path = text.rstrip("/")
        if not path.startswith("/"):
            return path if self.tree.scope.root_of(path) is not None else f"config/{path}"
        key = self.tree.key(path)
        if key is None:
            raise FailedError(f"{text}: not below `configdir`, `rttables` or `replicate`", ExitCode.USAGE)
        return key


@dataclass(slots=True)
class _Local:
    """This node's own answers, without a session."""

    receiver: Receiver
    heard: list[Message] = field(default_factory=list)

    def exchange(self, messages: Iterable[Message], answers: int) -> list[Message]:
        for message in messages:
            answer = self.receiver.answer(message)
            if answer is not None:
                self.heard.append(answer)
        found, self.heard = self.heard[:answers], self.heard[answers:]
        return found


@contextmanager
def open_nodes(args: argparse.Namespace) -> Iterator[Nodes]:
    """Yield both nodes. Raises FailedError if not even this one can be looked at."""
    loaded = load(args.config)
    config = loaded.config
    if config is None:
        wrong = "; ".join(str(one) for one in loaded.problems if one.is_error)
        raise FailedError(f"the configuration is refused: {wrong}", ExitCode.CONFIG)
    try:
        receiver = Receiver(config, partial(ask_fence, config.run_dir), partial(tell_service, config.run_dir))
    except PermissionError as error:
        raise FailedError(f"only root may look: {error.filename}: {error.strerror}") from error
    try:
        with Conversation(config, args.config) as conversation:
            yield _introduce(config, _Local(receiver), conversation)
    finally:
        receiver.close()


def _introduce(config: Config, local: _Local, conversation: Conversation) -> Nodes:
    here, there = str(config.local_ip), str(config.remote_ip)
    tree = Tree.of(config)
    name, role = socket.gethostname(), _own_role(config)
    try:
        said = conversation.hello()
    except NoAnswerError as error:
        return Nodes(config, tree, Node(Keeper(name, here), role, local.exchange), silence=str(error))
    peer_name, peer_role = (said.node or there, said.role) if isinstance(said, Hello) else (there, "")
    if peer_name == name:  # two machines that were never given names
        name, peer_name = here, there
    peer = Node(Keeper(peer_name, there), peer_role, conversation.exchange)
    return Nodes(config, tree, Node(Keeper(name, here), role, local.exchange), peer)


def _own_role(config: Config) -> str:
    try:
        return ask_fence(config.run_dir).role.word
    except ServiceDownError:
        return ""


def failed(args: argparse.Namespace, error: Exception, code: ExitCode = ExitCode.FAILED) -> ExitCode:
    """Print why it was not done; return the exit code."""
    if args.json:
        print(json.dumps({"ok": False, "text": str(error)}))
    else:
        print(error, file=sys.stderr)
    return error.code if isinstance(error, FailedError) else code
