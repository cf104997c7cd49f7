"""What the replicator and `skd-cluster receive` say to each other over ssh, as bytes and back.

A frame is two 32-bit lengths in network order, a JSON header and raw bytes; the header's `kind` is the name of the class.
The master speaks first (`Hello`), then `Ask` for the manifest or `Begin`, `Pack`…, `Commit`. Each of `Hello`, `Ask` and
`Commit` is answered by one message; `Begin` too, by `Ready`; anything may be answered by `Refused`.

`skd-cluster diff`, `history`, `doctor` and `why` use the same session to look, on either node whatever its role: each of their questions
is answered by one message. What they restore goes to the master as `Open`, `Put`…, `Restore`.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum, unique
from typing import Any, TypeAlias, get_args, get_origin

PROTOCOL = 1
"""Raised when an older side would misunderstand; a side refuses every other number."""

NOT_A_MESSAGE = "not a message"
"""How the refusal of a frame begins that an older side does not know."""

_LENGTHS = struct.Struct("!II")
_HEADER_LIMIT = 64 << 20
_BODY_LIMIT = 16 << 20
_LARGE = 1 << 63

SMALL_FILES, SMALL_FILE, SMALL_TOTAL = 16_384, 1 << 20, 16 << 20
"""A batch within all three goes through the session, without waiting; a larger one by rsync."""

_PACK_FILES, _PACK_TOTAL = 128, 1 << 18
"""So many contents, or bytes of them, make a `Pack` full."""


@unique
class Refusal(StrEnum):
    """Why the receiving side did not do it. `Refused.text` says it to people."""

    PROTOCOL = "protocol"
    NOT_RUNNING = "not_running"
    MASTER = "master"
    OLD_EPOCH = "old_epoch"
    SCOPE = "scope"
    CHANGED = "changed"  # a content is not what the manifest says: it changed on its way
    DIFFERS = "differs"  # applied, and yet the tree is another: somebody else writes there
    BUSY = "busy"
    NO_SPACE = "no_space"
    READ_ONLY = "read_only"
    PERMISSION = "permission"
    ABSENT = "absent"  # there is no such path, or no such generation
    TOO_LARGE = "too_large"
    NOT_MASTER = "not_master"
    FAILED = "failed"


def not_understood(theirs: str, ours: str) -> str:
    """Say that two versions speak different protocols."""
    return f"the peer has skd-cluster {theirs} and this node {ours}: they do not understand each other"


class ProtocolError(Exception):
    """The other side sent what is no frame of ours. The session is of no use any more."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Both ways, first. The receiver adds its role, what it holds, its open conflicts and its host name."""

    protocol: int
    software: str
    epoch: int
    role: str = ""
    data_epoch: int = 0
    generation: int = 0
    digest: str = ""
    conflicts: list[str] = field(default_factory=list)
    node: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """To the receiver: say what you hold."""


@dataclass(frozen=True, slots=True)
class Holds:
    """The receiver's manifest, packed, with its version and open conflicts: it may have been master itself since the hello.

    `unknown` is what it could not read, with why.
    """

    entries: dict[str, Any]
    data_epoch: int = 0
    generation: int = 0
    unknown: dict[str, Any] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Begin:
    """To the receiver: make an empty staging folder, if a master of this epoch may write to you."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The staging folder: rsync writes into `staging/KEY`."""

    staging: str


@dataclass(frozen=True, slots=True)
class Pack:
    """To the receiver: the contents of several files, for the staging folder, one after the other in the body.

    `entries` are what each will be, packed, and `sizes` how many bytes of the body are of each.
    """

    entries: dict[str, Any]
    sizes: list[int]
    body: bytes = field(default=b"", repr=False)

    def contents(self) -> Iterator[tuple[str, Any, bytes]]:
        """Yield key, packed entry and content of each. Raises ValueError if the sizes are not those of the body."""
        if len(self.sizes) != len(self.entries) or sum(self.sizes) != len(self.body) or min(self.sizes, default=0) < 0:
            raise ValueError("a pack whose sizes are not those of its contents")
        at = 0
        for (key, packed), size in zip(self.entries.items(), self.sizes, strict=True):
            yield key, packed, self.body[at : at + size]
            at += size


def packs(contents: Iterable[tuple[str, Any, bytes]]) -> Iterator[Pack]:
    """Yield them together, so many at once that there is little to say about each: key, packed entry and content."""
    entries: dict[str, Any] = {}
    bodies: list[bytes] = []
    size = 0
    for key, packed, body in contents:
        entries[key] = packed
        bodies.append(body)
        size += len(body)
        if len(bodies) == _PACK_FILES or size >= _PACK_TOTAL:
            yield Pack(entries, [len(one) for one in bodies], b"".join(bodies))
            entries, bodies, size = {}, [], 0
    if bodies:
        yield Pack(entries, [len(one) for one in bodies], b"".join(bodies))


@dataclass(frozen=True, slots=True)
class Put:
    """To the master: the content of a file to be restored, for the staging folder; to us: what was asked for.

    `at` is where in the file the body begins: larger ones come in pieces.
    """

    key: str
    body: bytes = field(default=b"", repr=False)
    at: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """To the receiver: make these entries and deletions so, and those of the packs; your tree then has this digest.

    `fetch` are the keys whose contents came into the staging folder in another way.
    """

    epoch: int
    data_epoch: int
    generation: int
    digest: str
    entries: dict[str, Any]
    fetch: list[str]
    delete: list[str]


@dataclass(frozen=True, slots=True)
class Confirm:
    """The receiver's tree, read afresh, has this digest. `kept` are deletions left undone, with why.

    `conflicts` are the names of changes of its own that gave way to pushes and wait for somebody.
    """

    digest: str
    files: int
    size: int
    kept: list[str]
    conflicts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver did not, and why: a `Refusal` and one clear line."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Get:
    """To either node: say what is in this file now. At most `SMALL_FILE` bytes."""

    key: str


@dataclass(frozen=True, slots=True)
class ListKept:
    """To either node: say which generations your history has."""


@dataclass(frozen=True, slots=True)
class Generations:
    """Their numbers; `pushes`, in the same order, tell apart those with one number, see `core.history.Generation`."""

    numbers: list[int]
    pushes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class About:
    """To either node: say what you know of a generation."""

    generation: int
    push: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What `core.history.parse` reads."""

    generation: int
    facts: dict[str, Any]
    push: int = 1


@dataclass(frozen=True, slots=True)
class AskKept:
    """To either node: say which paths you kept of a generation, as a manifest."""

    generation: int
    push: int = 1


@dataclass(frozen=True, slots=True)
class Recall:
    """To either node: send `SMALL_FILE` bytes, or what there is, of a file that was kept, from `at` on."""

    generation: int
    key: str
    at: int = 0
    push: int = 1


@dataclass(frozen=True, slots=True)
class Resolve:
    """To either node: the conflict of this name is dealt with. Answered by `Facts`."""

    name: str


@dataclass(frozen=True, slots=True)
class Examine:
    """To either node: say what `core.diagnosis_facts` has of you, the password as a digest keyed with this."""

    nonce: str


@dataclass(frozen=True, slots=True)
class Examined:
    """The facts, and its wall clock when it was asked and when it answered."""

    facts: dict[str, Any]
    asked: float
    answered: float


@dataclass(frozen=True, slots=True)
class AskFlights:
    """To either node: say what your flight recorder has."""


@dataclass(frozen=True, slots=True)
class Flights:
    """Its records, as `core.flight.facts` packs them, and its wall clock when it was asked and when it answered."""

    records: list[dict[str, Any]]
    asked: float
    answered: float


@dataclass(frozen=True, slots=True)
class Open:
    """To the master: make an empty staging folder for what is to be restored."""


@dataclass(frozen=True, slots=True)
class Restore:
    """To the master: put these entries into your tree, with what is staged. `source` says to people where it is from."""

    source: str
    entries: dict[str, Any]
    fetch: list[str]
    delete: list[str]


_CLASSES = (
    *(Hello, Ask, Holds, Begin, Ready, Pack, Put, Commit, Confirm, Refused),
    *(Get, ListKept, Generations, About, Facts, AskKept, Recall, Resolve, Open, Restore),
    *(Examine, Examined, AskFlights, Flights),
)

Message: TypeAlias = (
    Hello | Ask | Holds | Begin | Ready | Pack | Put | Commit | Confirm | Refused
    | Get | ListKept | Generations | About | Facts | AskKept | Recall | Resolve | Open | Restore
    | Examine | Examined | AskFlights | Flights
)  # fmt: skip

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in _CLASSES}


def encode(message: Message) -> bytes:
    """Return one frame."""
    found = {one.name: getattr(message, one.name) for one in fields(message) if one.name != "body"}
    body = message.body if isinstance(message, Put | Pack) else b""
    header = json.dumps({"kind": type(message).__name__, **found}, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(header), len(body)) + header + body


class Decoder:
    """Bytes as they come to messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are complete now. Raises ProtocolError, after which it must not be used."""
        self._buffer += data
        while len(self._buffer) >= _LENGTHS.size:
            header_size, body_size = _LENGTHS.unpack_from(self._buffer)
            if not 2 <= header_size <= _HEADER_LIMIT or body_size > _BODY_LIMIT:
                raise ProtocolError(f"not a frame: {bytes(self._buffer[:60])!r}")
            end = _LENGTHS.size + header_size + body_size
            if len(self._buffer) < end:
                return
            header = bytes(self._buffer[_LENGTHS.size : _LENGTHS.size + header_size])
            body = bytes(self._buffer[_LENGTHS.size + header_size : end])
            del self._buffer[:end]
            yield _message(header, body)


def _message(header: bytes, body: bytes) -> Message:
    try:
        found = json.loads(header)
        kind = _KINDS[found.pop("kind")]
        if kind in (Put, Pack):
            found["body"] = body
        known = {one.name: one.type for one in fields(kind)}
        message = kind(**{name: value for name, value in found.items() if name in known})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"{NOT_A_MESSAGE}: {header[:60]!r}") from error
    for name, wanted in known.items():
        if not _is(getattr(message, name), wanted):
            raise ProtocolError(f"{kind.__name__}: {name} is no {wanted}")
    return message


def _is(value: Any, wanted: Any) -> bool:
    """Return whether a value is what its field says. Of a number: what 64 bits hold, no call of the kernel takes more."""
    if get_origin(wanted) is list:
        (kind,) = get_args(wanted)
        return isinstance(value, list) and all(_is(one, kind) for one in value)
    if wanted is int:
        return isinstance(value, int) and abs(value) < _LARGE
    return isinstance(value, get_origin(wanted) or wanted)
