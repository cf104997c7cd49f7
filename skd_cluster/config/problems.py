"""What can be wrong with a configuration, and the one clear line in which it is said."""

import os
from dataclasses import dataclass
from enum import StrEnum, unique

MAX_PROBLEMS = 100
"""A report longer than this helps nobody; the last one says that there are more."""

_MAX_SHOWN = 60


@unique
class Severity(StrEnum):
    """An error refuses the file; a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@unique
class Kind(StrEnum):
    """What is wrong. Part of `check --json`: a contract, add but never rename."""

    NOT_AN_ASSIGNMENT = "not-an-assignment"
    NOT_A_PLAIN_VALUE = "not-a-plain-value"
    MISSING_SEMICOLON = "missing-semicolon"
    UNTERMINATED_STRING = "unterminated-string"
    MISSING_KEY = "missing-key"
    EMPTY_VALUE = "empty-value"
    BAD_ADDRESS = "bad-address"
    SAME_ADDRESS = "same-address"
    OTHER_FAMILY = "other-family"
    BAD_NUMBER = "bad-number"
    OUT_OF_RANGE = "out-of-range"
    BAD_INTERFACE_NAME = "bad-interface-name"
    BAD_ARGUMENT = "bad-argument"
    BAD_PATH = "bad-path"
    BAD_WORD = "bad-word"
    NO_SUCH_INTERFACE = "no-such-interface"
    NOT_OUR_ADDRESS = "not-our-address"
    UNKNOWN_KEY = "unknown-key"
    DUPLICATE_KEY = "duplicate-key"
    TYPOGRAPHIC_QUOTE = "typographic-quote"
    TYPOGRAPHIC_DASH = "typographic-dash"
    NON_BREAKING_SPACE = "non-breaking-space"
    NOT_INTERPOLATED = "not-interpolated"
    BARE_WORD = "bare-word"
    NOT_UTF8 = "not-utf8"
    IGNORED_KEY = "ignored-key"
    DROPPED_ARGUMENT = "dropped-argument"
    WEAK_TRANSPORT = "weak-transport"
    ROUNDED = "rounded"
    NO_EFFECT = "no-effect"
    OTHER_PASSWORD = "other-password"  # noqa: S105 -- a kind of problem, not a password
    LONG_PASSWORD = "long-password"  # noqa: S105 -- a kind of problem, not a password
    READABLE_PASSWORD = "readable-password"  # noqa: S105 -- a kind of problem, not a password
    UNREADABLE_FILE = "unreadable-file"
    BAD_INTERFACE_FILE = "bad-interface-file"
    TOO_LONG = "too-long"
    TOO_MANY = "too-many"


# What these found is never the value itself, so it may be shown for a password too.
_HARMLESS = frozenset(
    {
        Kind.MISSING_SEMICOLON,
        Kind.MISSING_KEY,
        Kind.EMPTY_VALUE,
        Kind.UNKNOWN_KEY,
        Kind.DUPLICATE_KEY,
        Kind.TYPOGRAPHIC_QUOTE,
        Kind.NON_BREAKING_SPACE,
        Kind.NOT_UTF8,
        Kind.IGNORED_KEY,
        Kind.LONG_PASSWORD,
        Kind.OTHER_PASSWORD,
        Kind.READABLE_PASSWORD,
        Kind.UNREADABLE_FILE,
        Kind.TOO_LONG,
    }
)


def is_secret(key: str | None) -> bool:
    """Tell whether a key's value must not be shown; misspelled ones (`pasword`, `pwd`) count."""
    if key is None or key == "password_file":
        return False
    return "pas" in key.lower() or "pwd" in key.lower()


def printable(text: str) -> str:
    """Return text for one line of a terminal: clipped, and nothing in it can move the cursor or break the line."""
    clipped = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in clipped)


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem before its place is known. `found` may hold a secret, hence not in repr."""

    kind: Kind
    expected: str
    found: str = ""
    severity: Severity = Severity.ERROR
    nearest: str | None = None
    first_line: int | None = None
    other: str | None = None

    def at(self, file: str, line: int | None = None, key: str | None = None) -> "Problem":
        """Return the problem at its place."""
        return Problem(
            file=file,
            line=line,
            key=key,
            kind=self.kind,
            severity=self.severity,
            found=self.found,
            expected=self.expected,
            nearest=self.nearest,
            first_line=self.first_line,
            other=self.other,
        )

    def __repr__(self) -> str:
        """Leave out what was found."""
        return f"Remark({self.severity}: {self.kind})"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. Its text and its repr never show the value of a password."""

    file: str
    line: int | None
    key: str | None
    kind: Kind
    severity: Severity
    found: str
    expected: str
    nearest: str | None = None
    first_line: int | None = None
    other: str | None = None

    @property
    def is_error(self) -> bool:
        """Tell whether this one refuses the file."""
        return self.severity is Severity.ERROR

    @property
    def shown(self) -> str:
        """What was found, for people: one line, and no secret."""
        if is_secret(self.key) and self.kind not in _HARMLESS:
            return "a value (not shown)"
        return printable(self.found) or "nothing"

    def __str__(self) -> str:
        """Return `FILE:LINE: error: $key: found X, expected Y`."""
        place = printable_path(self.file) if self.line is None else f"{printable_path(self.file)}:{self.line}"
        key = "" if self.key is None else f"${printable(self.key)}: "
        return f"{place}: {self.severity}: {key}found {self.shown}, expected {self.expected}"

    def __repr__(self) -> str:
        """Return the line people see, with its kind."""
        return f"<{self.kind}: {self}>"


def printable_path(path: str | os.PathLike[str]) -> str:
    """Return a path for one line of a terminal, whole."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in os.fspath(path))


class ConfigError(Exception):
    """A configuration that cannot be used, with all that is wrong with it. The operator acts on it: exit 78."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep all problems; the text has the errors only."""
        super().__init__("\n".join(str(one) for one in problems if one.is_error))
        self.problems = problems


class Report:
    """Collects the problems of one file: each once, and no more than anybody reads."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: dict[Problem, None] = {}
        self._overflowed = False

    @property
    def full(self) -> bool:
        """Tell that looking further is not worth it."""
        return len(self._problems) >= MAX_PROBLEMS

    def add(self, remark: Remark, line: int | None = None, key: str | None = None) -> None:
        """Note a problem; the same one twice is one."""
        if self.full:
            self._overflowed = True
        else:
            self._problems[remark.at(self.file, line, key)] = None

    def problems(self) -> tuple[Problem, ...]:
        """Return all of them in the order of the file; what has no line comes last."""
        found = sorted(self._problems, key=lambda one: (one.line is None, one.line or 0))
        if self._overflowed or self.full:
            more = Remark(Kind.TOO_MANY, "these to be mended first", f"more than {MAX_PROBLEMS - 1} problems")
            found.append(more.at(self.file))
        return tuple(found)
