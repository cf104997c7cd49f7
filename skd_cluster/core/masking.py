r"""Which parts of a text are secrets, and the text without them.

It goes by names, and hides too much rather than too little: all that follows a word like `password` on its line; the block
of a private key; the hash of a password; the user's part of a URL; and these values wherever else they stand.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

HIDDEN = "(not shown)"

_LONGEST = 2000
"""Characters of a line that is looked at; nobody reads a longer one."""

_ECHO = 4
"""A value of so many characters is hidden wherever it stands."""

_PLAIN = frozenset({"true", "false", "none", "null", "enabled", "disabled"})
"""Values that give nothing away, and that would be hidden everywhere."""

_STRONG = r"[\w$.-]*(?:passw|passphrase|pwd|secret|credential)\w*|[\w$.-]*keys?(?:[_-]\w+)*"
_WEAK = r"[\w$.-]*(?:pass|pw|psk|token|auth|authorization|community)"
"""Words of everyday use: only with a sign after them (`pass,log` is a rule of a firewall)."""

_NAMED = re.compile(
    rf"(?<![\w$.-])(?:(?:{_STRONG})(?![\w-])[\"'\])}}]*\s*(?P<sign>=>|:=|[=:>,])?"
    rf"|(?:{_WEAK})(?![\w-])[\"'\])}}]*\s*(?:=>|:=|[=:>]))\s*(?P<value>.*)",
    re.IGNORECASE,
)
_ALONE = (
    re.compile(r"://(?P<value>[^/\s@]+)@"),
    re.compile(r"(?P<value>\$(?:1|2[abxy]?|5|6|7|y|apr1|pbkdf2[\w-]*|argon2\w*)\$[^\s\"':,;]+)"),
    re.compile(r"\b(?:basic|bearer)\s+(?P<value>[\w+/=.~-]{4,})", re.IGNORECASE),
)
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY")
_MARK = "-----"

_OPENING = frozenset({"", "|", ">", "|-", ">-", "|+", ">+", "[", "{", "("})
"""After these the value is on the next lines, further to the right."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is compared, with its end, and as it may be shown. A private key is one line, however long."""

    raw: str
    shown: str


def masked(text: str, known: Collection[str] = ()) -> list[Line]:
    """Return the lines of a text. `known` are the `secrets` of other texts: hidden here too."""
    marker = _Marker()
    lines = [Line(raw, marker.shown(raw)) for raw in _units(text)]
    values = sorted({*known, *marker.values}, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(one) for one in (HIDDEN, *values)))
    return [Line(one.raw, pattern.sub(HIDDEN, one.shown)) for one in lines]


def secrets(text: str) -> set[str]:
    """Return the values that are hidden wherever they stand."""
    marker = _Marker()
    for raw in _units(text):
        marker.shown(raw)
    return marker.values


def _units(text: str) -> Iterator[str]:
    """Yield the lines with their ends; the block of a private key, also one cut off at its begin or end, as one."""
    lines = [one for one in re.split(r"(?<=\n)", text) if one]
    found: list[str] = []
    at = 0
    while at < len(lines):
        end = at + 1
        unit = lines[at]
        if _BEGIN.search(unit):
            while not _END.search(unit) and end < len(lines):
                unit, end = unit + lines[end], end + 1
        elif _END.search(unit):
            while found and _MARK not in found[-1]:
                unit = found.pop() + unit
        found.append(unit)
        at = end
    yield from found


@dataclass(slots=True)
class _Marker:
    """Goes through the lines of one text and remembers what it hid."""

    values: set[str] = field(default_factory=set)
    _indent: int | None = None  # lines further to the right than this belong to a value
    _quote: str = ""  # a value goes on to this sign
    _joined: bool = False  # the line before ended with a backslash

    def shown(self, raw: str) -> str:
        line = raw.removesuffix("\n")
        if _BEGIN.search(line) or _END.search(line):
            for one in line.split("\n"):
                if _MARK not in one:
                    self._note(one, whole=True)
            return f"(private key, {line.count(chr(10)) + 1} lines, not shown)"
        if len(line) > _LONGEST:
            return f"(a line of {len(line)} characters, not shown)"
        if self._goes_on(line):
            self._note(line, whole=True)
            return HIDDEN
        return self._named(line)

    def _goes_on(self, line: str) -> bool:
        """Return whether a line belongs to a value that began before it."""
        if self._joined:
            self._joined = line.endswith("\\")
            return True
        if self._quote:
            if self._quote in line:
                self._quote = ""
            return True
        if self._indent is None or not line.strip():
            return False
        if _indent(line) > self._indent:
            return True
        self._indent = None
        return False

    def _named(self, line: str) -> str:
        found = _NAMED.search(line)
        if found is None:
            return self._alone(line)
        value = found["value"].rstrip()
        if value in _OPENING:
            self._indent = _indent(line)
            return self._alone(line)
        if value[0] in "\"'" and value.count(value[0]) == 1:
            self._quote = value[0]
        self._joined = value.endswith("\\")
        named = bool(found["sign"]) or not line[: found.start()].strip()
        self._note(value, whole=not named)
        return self._alone(line[: found.start("value")]) + HIDDEN

    def _alone(self, line: str) -> str:
        for pattern in _ALONE:
            for found in reversed(list(pattern.finditer(line))):
                self._note(found["value"], whole=True)
                line = line[: found.start("value")] + HIDDEN + line[found.end("value") :]
        return line

    def _note(self, value: str, *, whole: bool) -> None:
        """Remember a value; unless it is taken as a `whole`, also its first word, and what is between its quotes."""
        parts = [value]
        if not whole:
            parts += value.split()[:1]
            if value[0] in "\"'":
                parts.append(value[1:].partition(value[0])[0])
        for part in parts:
            clean = part.strip(" \t\r\"';,()[]{}<>\\")
            if len(clean) >= _ECHO and clean.lower() not in _PLAIN:
                self.values.add(clean)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
