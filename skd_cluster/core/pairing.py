"""What two nodes say to each other while they are paired, and whether their configurations make a pair.

The node on which `skd-cluster pair` was typed runs `skd-cluster pair --accept` on the other one over an ordinary login: one
JSON object there, one back.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum, unique
from typing import Any

PAIRING = 1
"""Raised when an older side would misunderstand."""

_MARK = "skd_cluster_pair"


class PairingError(Exception):
    """It cannot be done; the text says in one line why, and what to do."""


@unique
class Stage(StrEnum):
    """What the other node is asked for."""

    OFFER = "offer"  # let this key in, make one of your own
    FINISH = "finish"  # try your key, and use it from now on
    REMOVE = "remove"


@unique
class Done(StrEnum):
    """What became of one thing. Printed, and in `--json`: add but never rename."""

    MADE = "made"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    ABSENT = "absent"  # nothing there that could be removed
    WOULD = "would"  # with --dry-run
    WORKS = "works"
    FAILED = "failed"
    WARNING = "warning"
    LEFT = "left"  # not removed, since the node could not be asked


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report: which node, what became of what."""

    node: str
    done: Done
    what: str


@dataclass(frozen=True, slots=True)
class View:
    """One node as its own configuration has it. No secret is among it."""

    host: str
    software: str
    config: str
    local_ip: str
    remote_ip: str
    cluster_id: int
    ssh_key: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """To `pair --accept`: who we are, our key and our host keys as public lines. `dry`: only say what it would do."""

    stage: Stage
    view: View
    key: str = ""
    host_keys: list[str] = field(default_factory=list)
    dry: bool = False
    pairing: int = PAIRING


@dataclass(frozen=True, slots=True)
class Answer:
    """From `pair --accept`. If not `ok`, `text` says why, and nothing was changed there unless `steps` says so."""

    ok: bool
    text: str = ""
    view: View | None = None
    key: str = ""
    host_keys: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a person is told in the end. `text` is one line."""

    ok: bool
    text: str
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Echo:
    """To a probe: who answered, and if it was asked to look back, what it found ("" for all well, None: not asked)."""

    view: View
    back: str | None = None


def mismatches(ours: View, theirs: View) -> list[str]:
    """Return in a sentence each what keeps two configurations from being those of one pair."""
    wanted = (
        ("local_ip", theirs.local_ip, ours.remote_ip, f"remote_ip of {ours.host}"),
        ("remote_ip", theirs.remote_ip, ours.local_ip, f"local_ip of {ours.host}"),
        ("cluster_id", theirs.cluster_id, ours.cluster_id, f"cluster_id of {ours.host}"),
    )
    found = [
        f"{theirs.host} has ${name}={there} in {theirs.config}, expected {here}, the {why}"
        for name, there, here, why in wanted
        if there != here
    ]
    return found + [
        f"{one.host} has $ssh_key={one.ssh_key} in {one.config}: that key is used, so there is nothing to pair; "
        f"remove the line to have a key made"
        for one in (ours, theirs)
        if one.ssh_key
    ]


def encode_request(request: Request) -> bytes:
    """Return the line that `pair --accept` reads."""
    return json.dumps({_MARK: "request", **asdict(request)}).encode() + b"\n"


def decode_request(data: bytes) -> Request:
    """Read it. Raises PairingError."""
    try:
        found = json.loads(data)
        if found.get("pairing") != PAIRING:
            raise PairingError(
                "the two nodes have versions of skd-cluster that pair differently: install the same on both"
            )
        texts = _texts(found["host_keys"])
        return Request(
            Stage(found["stage"]), _view(found["view"]), _text(found["key"]), texts, found["dry"] is not False
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PairingError(f"not a request of skd-cluster pair: {data[:60]!r}") from error


def encode_answer(answer: Answer) -> str:
    """Return the line that `pair --accept` prints."""
    return json.dumps({_MARK: "answer", **asdict(answer)})


def decode_answer(output: bytes) -> Answer | None:
    """Find the answer among what a login printed; None if there is none."""
    for found in _objects(output, "answer"):
        try:
            return Answer(
                found["ok"] is True,
                _text(found["text"]),
                None if found["view"] is None else _view(found["view"]),
                _text(found["key"]),
                _texts(found["host_keys"]),
                [Step(_text(one["node"]), Done(one["done"]), _text(one["what"])) for one in found["steps"]],
                _texts(found["obstacles"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return None


def encode_echo(echo: Echo) -> str:
    """Return the line that answers a probe."""
    return json.dumps({_MARK: "echo", **asdict(echo)})


def decode_echo(output: bytes) -> Echo | None:
    """Find a probe's answer among what a login printed; None if there is none."""
    for found in _objects(output, "echo"):
        try:
            return Echo(_view(found["view"]), None if found["back"] is None else _text(found["back"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return None


def _objects(output: bytes, which: str) -> list[Mapping[str, Any]]:
    """Return what of the output is ours, the last line first: a login may print other things before."""
    found: list[Mapping[str, Any]] = []
    for line in reversed(output.splitlines()):
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict) and one.get(_MARK) == which:
            found.append(one)
    return found


def _view(found: Mapping[str, Any]) -> View:
    host, software, config = _text(found["host"]), _text(found["software"]), _text(found["config"])
    local, remote = _text(found["local_ip"]), _text(found["remote_ip"])
    cluster_id = found["cluster_id"]
    if not isinstance(cluster_id, int):
        raise TypeError(f"not a number: {cluster_id!r}")
    return View(host, software, config, local, remote, cluster_id, _text(found["ssh_key"]))


def _text(found: object) -> str:
    """Return a text without anything that could move a terminal's cursor. Raises TypeError."""
    if not isinstance(found, str):
        raise TypeError(f"not a text: {found!r}")
    return "".join(char if char.isprintable() else "?" for char in found)


def _texts(found: object) -> list[str]:
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise TypeError(f"not a list: {found!r}")
    return [_text(one) for one in found]
