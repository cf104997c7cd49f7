"""What `status --watch` draws: a pure function of what the service said and of the size of the terminal.

A line is made of pieces, each with a tone: what it means, not how it looks. Without colours nothing is lost.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from statistics import median
from typing import Any

from skd_cluster.cli.status import copying_words, ready_words, why_words
from skd_cluster.core.silence import LATE_SHARE

_SIDE_BY_SIDE = 72
"""Columns from which on the two nodes stand beside each other."""

_LABEL = 11
_MISSED = "x"
_FOOT = "q ends"


@unique
class Tone(StrEnum):
    """What a piece of a line means."""

    PLAIN = "plain"
    TITLE = "title"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    FAINT = "faint"


Piece = tuple[str, Tone]
Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Signs:
    """What is drawn with what the terminal can show. `levels` are for an advertisement that came in time."""

    levels: str
    late: str
    bar: str
    cut: str


UNICODE = Signs("▁▂▃▄", "▇", "│", "…")
ASCII = Signs(".,-=", "!", "|", "~")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one moment: the last answer of the service, and why there is none now."""

    status: Mapping[str, Any] | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where it is drawn. `moment` says an instant as local time."""

    columns: int
    rows: int
    moment: Callable[[float | None], str]
    signs: Signs = UNICODE


@dataclass(frozen=True, slots=True)
class _Row:
    """A line, and how soon it goes when there is not enough room: the highest rank first."""

    rank: int
    line: Line
    tail: bool = False
    """Whether it goes on with the sentence of the line before."""


def draw(seen: Seen, canvas: Canvas, now: float) -> list[Line]:
    """Return the lines, at most as many and as wide as there is room for."""
    status = seen.status
    rows = [_Row(0, _title(status, canvas.moment(now), canvas.columns))]
    if seen.trouble:
        rows += _text(canvas, "!", seen.trouble, Tone.BAD, rank=0, tail=0)
        rows += _text(canvas, "", "it is asked again and again", Tone.FAINT, rank=8)
    if status is not None:
        rows += _before(status, canvas) if seen.trouble else _alive(status, canvas)
    foot = [_cut(((_FOOT, Tone.FAINT),), canvas)] if canvas.rows > 2 else []
    lines = [_cut(row.line, canvas) for row in _fitting(rows, canvas.rows - len(foot), canvas.signs.cut)]
    return lines + foot


def _title(status: Mapping[str, Any] | None, clock: str, columns: int) -> Line:
    name = "skd-cluster"
    if status is not None:
        name += f"  {clean(status['node'])} and {status['peer']['address']}"
    return (name.ljust(columns - len(clock) - 1)[: max(0, columns - len(clock) - 1)] + " ", Tone.TITLE), (
        clock,
        Tone.TITLE,
    )


def _fitting(rows: Sequence[_Row], room: int, cut: str) -> list[_Row]:
    """Return those that fit: of the least important ones the last goes first. A sentence that lost its tail shows it."""
    kept = list(rows)
    while len(kept) > max(1, room):
        worst = max(range(len(kept)), key=lambda index: (kept[index].rank, index))
        if kept.pop(worst).tail:
            before = kept[worst - 1]
            kept[worst - 1] = replace(before, line=(*before.line, (cut, Tone.FAINT)))
    return kept


def _before(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    """Yield what is worth knowing of a service that does not answer any more."""
    yield from _text(canvas, "before", f"{status['node']} was {status['role'].upper()}: {why_words(status)}", rank=1)
    yield from _text(canvas, "", f"{status['peer']['address']} was {_word(status['peer']['role'])}", rank=2)
    yield from _events(status, canvas)


def _alive(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    yield from _problems(status, canvas)
    yield from _nodes(status, canvas)
    yield from _heartbeat(status, canvas)
    yield from _addresses(status, canvas)
    copied = status["replication"]["in_sync"] and (status["replication"]["running"] or status["role"] != "master")
    yield from _text(canvas, "copying", _copying(status, canvas), Tone.GOOD if copied else Tone.DOUBTFUL, rank=4)
    if status["role"] in ("master", "backup"):
        tone = Tone.GOOD if status["ready"]["ok"] else Tone.BAD
        yield from _text(canvas, "takeover", ready_words(status), tone, rank=3)
    yield from _checks_and_hooks(status, canvas)
    for index, one in enumerate(status["conflicts"]):
        label = "conflicts" if index == 0 else ""
        yield from _text(canvas, label, f"{one['name']} waits on {one['node']}", Tone.DOUBTFUL, rank=8)
    yield from _events(status, canvas)


def _problems(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    for index, problem in enumerate(status["problems"]):
        yield from _text(canvas, "!", problem, Tone.BAD, rank=1 + min(index, 5))


def _nodes(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    here, there = _here(status, canvas), _there(status)
    ranks = 0, 5, 6, 7
    if canvas.columns < _SIDE_BY_SIDE:
        for (ours, tone), rank in zip(here, ranks, strict=True):
            yield _Row(rank, (("here".ljust(_LABEL) if rank == 0 else " " * _LABEL, Tone.FAINT), (ours, tone)))
        for (theirs, tone), rank in zip(there, (1, 6, 7, 8), strict=True):
            yield _Row(rank, (("peer".ljust(_LABEL) if rank == 1 else " " * _LABEL, Tone.FAINT), (theirs, tone)))
        return
    half = (canvas.columns - 3) // 2
    for (ours, tone), (theirs, other), rank in zip(here, there, ranks, strict=True):
        left, right = _short(ours, half, canvas), _short(theirs, half, canvas)
        yield _Row(rank, ((left.ljust(half), tone), (f" {canvas.signs.bar} ", Tone.FAINT), (right, other)))


def _here(status: Mapping[str, Any], canvas: Canvas) -> tuple[Piece, ...]:
    elector = status["elector"]
    realtime = "" if elector["realtime"] else ", without real-time scheduling"
    return (
        (
            f"{clean(status['node'])} {_word(status['role'])} since {canvas.moment(status['since'])}",
            _tone(status["role"]),
        ),
        (f"reason: {clean(why_words(status))}", Tone.PLAIN),
        (f"epoch {status['epoch']}, generation {status['generation']}", Tone.PLAIN),
        (f"version {status['version']}{realtime}", Tone.FAINT),
    )


def _there(status: Mapping[str, Any]) -> tuple[Piece, ...]:
    peer, ago = status["peer"], status["peer"]["heard_seconds_ago"]
    first = f"{peer['address']} {_word(peer['role'])}"
    hears = ("hears this node", Tone.PLAIN) if peer["heard"] else ("does NOT hear this node", Tone.BAD)
    if not peer["alive"]:
        last = "never heard" if ago is None else f"SILENT for {ago:.0f} s, was {_word(peer['role'])}"
        first, hears = f"{peer['address']} {last}", ("", Tone.PLAIN)
    return (
        (first, _tone(peer["role"]) if peer["alive"] else Tone.BAD),
        hears,
        (f"epoch {peer['epoch']}, generation {peer['generation']}", Tone.PLAIN),
        (f"version {peer['version']}" if peer["version"] else "", Tone.FAINT),
    )


def _word(role: str | None) -> str:
    return (role or "unknown").upper()


def _tone(role: str | None) -> Tone:
    return {"master": Tone.GOOD, "backup": Tone.GOOD, "fault": Tone.BAD}.get(role or "", Tone.DOUBTFUL)


def _heartbeat(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    told = status["peer"].get("heartbeat") or {}  # a service of an older version may still run
    beats, interval = told.get("late_seconds", ()), told.get("interval_seconds", 0)
    room = canvas.columns - _LABEL
    if beats:
        shown = strip(beats[-room:], interval, canvas.signs)
        yield _Row(2, (("heartbeat".ljust(_LABEL), Tone.FAINT), *shown))
        yield from _text(canvas, "", beats_words(beats, interval), rank=7)
    for index, one in enumerate(status["peer"]["links"] if len(status["peer"]["links"]) > 1 else []):
        state, tone = ("heard", Tone.GOOD) if one["alive"] else (f"NOT heard {one['fault']}".rstrip(), Tone.BAD)
        yield from _text(canvas, "links" if index == 0 else "", f"{one['name']}: {state}", tone, rank=7)


def strip(beats: Sequence[float | None], interval: float, signs: Signs) -> Line:
    """Return a sign for each interval: the higher the later; what came too late, and what did not come, stand out."""
    pieces: list[Piece] = []
    for late in beats:
        sign, tone = _beat(late, interval, signs)
        if pieces and pieces[-1][1] is tone:
            pieces[-1] = pieces[-1][0] + sign, tone
        else:
            pieces.append((sign, tone))
    return tuple(pieces)


def _beat(late: float | None, interval: float, signs: Signs) -> Piece:
    if late is None:
        return _MISSED, Tone.BAD
    if _is_late(late, interval):
        return signs.late, Tone.DOUBTFUL
    steps = (0.01, 0.04, 0.12)  # of the interval: a quiet host stays below the first
    return signs.levels[sum(late > step * interval for step in steps)], Tone.GOOD


def _is_late(late: float, interval: float) -> bool:
    return late * LATE_SHARE > interval


def beats_words(beats: Sequence[float | None], interval: float) -> str:
    """Return the strip in numbers."""
    heard = [one for one in beats if one is not None]
    late = sum(one is not None and _is_late(one, interval) for one in beats)
    jitter = (
        f"jitter {median(map(abs, heard)) * 1000:.2f} ms, the latest {max(0, *heard) * 1000:.2f}; " if heard else ""
    )
    return f"every {interval:g} s: {jitter}{late} late, {len(beats) - len(heard)} missed of {len(beats)}"


def _addresses(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    for index, one in enumerate(status["addresses"]):
        held = one["held"]
        wanted = held == (status["role"] == "master")
        text = f"{one['address']} on {one['interface']}: {'held here' if held else 'not here'}"
        tone = Tone.BAD if not wanted else Tone.GOOD if held else Tone.PLAIN
        yield from _text(canvas, "addresses" if index == 0 else "", text, tone, rank=min(3 + 3 * index, 9))


def _copying(status: Mapping[str, Any], canvas: Canvas) -> str:
    error = status["replication"]["last_error"]
    return copying_words(status, canvas.moment) + (f"; {error}" if error else "")


def _checks_and_hooks(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    failing = [f"{one['name']} FAILED: {one['detail']}" for one in status["checks"] if not one["healthy"]]
    healthy = [f"{one['name']} healthy" for one in status["checks"] if one["healthy"]]
    if failing or healthy:
        tone = Tone.BAD if failing else Tone.GOOD
        yield from _text(canvas, "checks", ", ".join(failing + healthy), tone, rank=5)
    ran = {name: one for name, one in status["hooks"].items() if one["last"]}
    if ran:
        text = ", ".join(f"{name} {one['last']} in {one['last_seconds']:.1f} s" for name, one in ran.items())
        failed = any(one["last"] in ("failed", "timeout") for one in ran.values())
        yield from _text(canvas, "hooks", text, Tone.BAD if failed else Tone.PLAIN, rank=7)


_TONES = {"err": Tone.BAD, "crit": Tone.BAD, "warning": Tone.DOUBTFUL}


def _events(status: Mapping[str, Any], canvas: Canvas) -> Iterator[_Row]:
    """Yield the last events, the newest first: it is the one that stays longest."""
    for index, one in enumerate(reversed(status.get("events", ()))):
        label = "events" if index == 0 else ""
        text, tone = f"{canvas.moment(one['at'])} {one['text']}", _TONES.get(one["severity"], Tone.PLAIN)
        yield from _text(canvas, label, text, tone, rank=6 if index == 0 else 10 + index, tail=40 + index)


def _text(
    canvas: Canvas, label: str, text: str, tone: Tone = Tone.PLAIN, *, rank: int, tail: int | None = None
) -> Iterator[_Row]:
    """Yield a labelled sentence; where it does not fit on its line it goes on in a second one, if there is room."""
    words = textwrap.wrap(clean(text), max(8, canvas.columns - _LABEL)) or [""]
    later = rank + 3 if tail is None else tail
    if len(words) > 2:
        words[1] += canvas.signs.cut * 2  # more than fits, so that the end of the line shows that it is not all
    for index, part in enumerate(words[:2]):
        name = label if index == 0 else ""
        line = (name.ljust(_LABEL), Tone.BAD if name == "!" else Tone.FAINT), (part, tone)
        yield _Row(later if index else rank, line, tail=index > 0)


def clean(text: str) -> str:
    """Return it without what would move the cursor: parts of it come from checks and from the other node."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _short(text: str, columns: int, canvas: Canvas) -> str:
    return text if len(text) <= columns else text[: columns - 1] + canvas.signs.cut


def _cut(line: Line, canvas: Canvas) -> Line:
    """Return what fits into the width."""
    if sum(len(text) for text, _ in line) <= canvas.columns:
        return line
    pieces: list[Piece] = []
    room = canvas.columns - 1
    for text, tone in line:
        pieces.append((text[: max(0, room)], tone))
        room -= len(text)
    return *pieces, (canvas.signs.cut, Tone.FAINT)


def gist(seen: Seen) -> Mapping[str, Any]:
    """Return what makes a difference worth a new block where lines stay: not what runs on by itself."""
    status = seen.status
    if seen.trouble or status is None:
        return {"trouble": seen.trouble}
    passing = {"events", "counters", "problems", "generation", "data", "elector", "since"}
    kept = {name: value for name, value in status.items() if name not in passing}
    kept["elector"] = {name: status["elector"][name] for name in ("fresh", "realtime")}
    kept["peer"] = {
        name: value
        for name, value in status["peer"].items()
        if name not in ("heartbeat", "heard_seconds_ago", "generation")
    }
    kept["replication"] = {name: status["replication"][name] for name in ("running", "in_sync", "last_error")}
    return kept
