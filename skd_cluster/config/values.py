"""Forms of values: numbers, words, paths, secrets. Each knows how it is written, in words, and how to read it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias, TypeVar

from skd_cluster.config.problems import Kind, Remark
from skd_cluster.core.model import SECOND, Nanos

T = TypeVar("T")

Note: TypeAlias = Callable[[Remark], None]
"""Where a form reports what it found beside the value itself."""

_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_LONGEST_NUMBER = 20
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


class BadValue(ValueError):  # noqa: N818 -- it is the operator's, not the program's, error
    """A value that is not of its form. The text leaves out what was found: it may be secret."""

    def __init__(self, kind: Kind, expected: str, found: str) -> None:
        """Say what is wrong in a remark."""
        super().__init__(f"{kind}: expected {expected}")
        self.remark = Remark(kind, expected, found)


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written. `read` returns it typed or raises BadValue; a list notes each bad item instead."""

    words: str
    read: Callable[[str, Note], object]
    verbatim: bool = False
    """Blanks at its ends and non-breaking ones in it belong to it."""
    options: bool = False
    """Its words are options, whose hyphens a web page may have made a dash."""


def single(words: str, read: Callable[[str], object], *, verbatim: bool = False) -> Form:
    """Return a form that is one thing: read or refused whole."""
    return Form(words, lambda text, _note: read(text), verbatim=verbatim)


def several(words: str, read: Callable[[str], object]) -> Form:
    """Return a form of blank-separated things, each read on its own and each bad one reported."""
    return Form(words, lambda text, note: each(text.split(), read, note))


def each(items: Iterable[str], read: Callable[[str], T], note: Note) -> tuple[T, ...]:
    """Read every item; note each bad one and leave it out."""
    good = []
    for item in items:
        try:
            good.append(read(item))
        except BadValue as bad:
            note(bad.remark)
    return tuple(good)


def whole(low: int, high: int, unit: str = "") -> Form:
    """Return the form of a whole number within a range: an int."""
    words = f"a whole number{unit and f' of {unit}'} from {low} to {high}"
    return single(words, lambda text: int(_number(text, _INTEGER, low, high, words)))


def span(low: str, high: str) -> Form:
    """Return the form of a time in seconds within a range: Nanos, exact."""
    words = f"seconds, {low} to {high}"

    def read(text: str) -> Nanos:
        return Nanos(int(_number(text, _DECIMAL, Decimal(low), Decimal(high), words) * SECOND))

    return single(words, read)


def _number(text: str, pattern: re.Pattern[str], low: int | Decimal, high: int | Decimal, words: str) -> Decimal:
    if not pattern.fullmatch(text):
        raise BadValue(Kind.BAD_NUMBER, words, text)
    if len(text) > _LONGEST_NUMBER or not low <= Decimal(text) <= high:
        raise BadValue(Kind.OUT_OF_RANGE, words, text)
    return Decimal(text)


def choice(*words: str) -> Form:
    """Return the form of one word of a few."""

    def read(text: str) -> str:
        if text not in words:
            raise BadValue(Kind.BAD_WORD, " or ".join(words), text)
        return text

    return single(" or ".join(words), read)


def yes_no() -> Form:
    """Return the form of a truth: a bool."""

    def read(text: str) -> bool:
        if text.lower() not in _TRUE | _FALSE:
            raise BadValue(Kind.BAD_WORD, "true or false (also yes, no, 1, 0)", text)
        return text.lower() in _TRUE

    return single("true or false (also yes, no, 1, 0)", read)


def path() -> Form:
    """Return the form of an absolute path."""
    return single("an absolute path", read_path, verbatim=True)


def hook() -> Form:
    """Return the form of a hook's path. Version 2 took anything; one that is not there is reported when it is due."""
    return single("a path", _read_any_path, verbatim=True)


def paths() -> Form:
    """Return the form of several absolute paths."""
    return several("absolute paths", read_path)


def read_path(text: str) -> Path:
    """Read an absolute path. Raises BadValue."""
    if not text.startswith("/"):
        raise BadValue(Kind.BAD_PATH, "an absolute path", text)
    return _read_any_path(text)


def _read_any_path(text: str) -> Path:
    if "\0" in text or "\n" in text:
        raise BadValue(Kind.BAD_PATH, "a path on one line", text)
    return Path(text)


def secret() -> Form:
    """Return the form of a password: the bytes of the file, nothing trimmed."""
    return single("the same text on both nodes", lambda text: text.encode("utf-8", "surrogateescape"), verbatim=True)
