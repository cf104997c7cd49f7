"""The text of the configuration file: `$name="value";` and comments. Parsed, never executed.

A string ends on its own line, so that one forgotten quote is reported where it is and the lines after it are read.
"""

import re
from dataclasses import dataclass

from skd_cluster.config.problems import Kind, Problem, Remark, Report, Severity, is_secret
from skd_cluster.config.quoting import BLANKS, HARD_BLANKS, OPENING, Literal, read_literal

MAX_BYTES = 262_144
"""A hundred times the longest file seen; more is not a configuration."""
MAX_LINE = 16_384

_NAME = re.compile(rf"\$([A-Za-z_][A-Za-z0-9_]*)[{BLANKS}]*=")
# The value may begin on the next line, as Perl allows, if it plainly is one.
_TO_VALUE = re.compile(rf"[{BLANKS}]*(?:\n[{BLANKS}\n]*(?=[{OPENING}]))?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?![A-Za-z0-9_.])")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TRUE = re.compile(rf"1[{BLANKS}\n]*(?:;|\Z)")
_IGNORED = re.compile(rf"(?:[{BLANKS}\n]|#[^\n]*)*+")
_ON_LINE = re.compile(rf"[{BLANKS}]*")
# The rest of a statement that is none of ours, so that the next one on its line is read.
_REST = re.compile(r"""(?:"(?:\\.|[^"\\\n])*+"|'(?:\\.|[^'\\\n])*+'|`[^`\n]*+`|[^;"'`\n])*+(?:;|[^\n]*)""")
_LEADING_WORDS = re.compile(r"[$@%&]?[A-Za-z0-9_:. -]{0,40}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One assignment; `value` is None where its text is broken and a problem says why."""

    key: str
    value: str | None
    line: int
    column: int
    begin: int
    """Where the value stands in the text, a byte order mark not counted: its quotes belong to it."""
    raw: str
    """The value as it is written."""

    @property
    def end(self) -> int:
        """Return where the text goes on after the value."""
        return self.begin + len(self.raw)

    def __repr__(self) -> str:
        """Leave out the value: it may be the password."""
        return f"Statement({self.key!r}, line={self.line}, column={self.column})"


@dataclass(frozen=True, slots=True)
class Parsed:
    """All assignments in the order of the file, and all that is wrong with its text."""

    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]


def parse(data: bytes, file: str) -> Parsed:
    """Read a file's bytes; `file` is its name in problems. Never raises, whatever the bytes; time grows with size."""
    report = Report(file)
    statements = parse_into(data, report)
    return Parsed(statements or (), report.problems())


def parse_into(data: bytes, report: Report, *, plain_at: frozenset[str] = frozenset()) -> tuple[Statement, ...] | None:
    """Read a file's bytes as `parse` does, with the problems into a report that goes on; None if it was not read.

    In the values of the keys `plain_at` an @ is worth no warning: version 2 had nothing to read there.
    """
    if len(data) > MAX_BYTES:
        report.add(Remark(Kind.TOO_LONG, f"at most {MAX_BYTES} bytes", f"more than {MAX_BYTES} bytes"))
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.add(Remark(Kind.NOT_UTF8, "UTF-8: save it again with that encoding", "UTF-16"), 1)
        return None
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return _Parser(text, report, plain_at).run()


class _Parser:
    """One pass over the text. `pos` only grows; every step consumes something."""

    def __init__(self, text: str, report: Report, plain_at: frozenset[str]) -> None:
        self._text = text
        self._plain_at = plain_at
        self._report = report
        self._pos = 0
        self._line = 1
        self._line_start = 0
        self._names: dict[str, str | None] = {}
        self._statements: list[Statement] = []
        self._stray_line = 0
        self._secret_broken = False  # what follows a broken password may be the rest of it

    def run(self) -> tuple[Statement, ...]:
        while True:
            self._skip(_IGNORED)
            if self._pos >= len(self._text) or self._report.full:
                return tuple(self._statements)
            if self._line_end() - self._line_start > MAX_LINE:
                found = f"{self._line_end() - self._line_start} characters"
                self._report.add(Remark(Kind.TOO_LONG, f"a line of at most {MAX_LINE}", found), self._line)
                self._go(self._line_end())
            elif self._text[self._pos] == ";":
                self._go(self._pos + 1)
            elif _TRUE.match(self._text, self._pos):  # how Perl wants a file to end that it is to load
                self._skip(_TRUE)
            elif name := _NAME.match(self._text, self._pos):
                self._assignment(name)
            else:
                self._stray()

    def _go(self, to: int) -> None:
        newlines = self._text.count("\n", self._pos, to)
        if newlines:
            self._line += newlines
            self._line_start = self._text.rindex("\n", self._pos, to) + 1
        self._pos = to

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._pos)
        if match is None:
            return ""
        self._go(match.end())
        return match.group()

    def _line_end(self) -> int:
        end = self._text.find("\n", self._pos)
        return len(self._text) if end < 0 else end

    def _stray(self) -> None:
        """Refuse what is no assignment, once for each line."""
        if self._stray_line == self._line:
            self._skip_statement()
            return
        self._stray_line = self._line
        found = "" if self._secret_broken else self._leading_words()
        expected = '$name="value"; or a # comment'
        self._report.add(Remark(Kind.NOT_AN_ASSIGNMENT, expected, found or "something else"), self._line)
        self._skip_statement()

    def _leading_words(self) -> str:
        """Name a stray statement without its values: one of them may be a password whose $ was forgotten."""
        match = _LEADING_WORDS.match(self._text, self._pos)
        words = match.group().strip() if match else ""
        return words.split()[0] if is_secret(words) and words else words

    def _skip_statement(self) -> None:
        before = self._pos
        self._skip(_REST)
        if self._pos == before:
            self._go(min(self._line_end() + 1, len(self._text)))

    def _assignment(self, name: re.Match[str]) -> None:
        key, line, column = name.group(1), self._line, self._pos - self._line_start + 1
        self._go(name.end())
        seen = name.group() + self._skip(_TO_VALUE)
        begin = self._pos
        value = self._value(key, line)
        self._secret_broken = value.text is None and is_secret(key)
        for remark in value.remarks:
            if remark.kind is not Kind.NOT_INTERPOLATED or remark.found[0] != "@" or key not in self._plain_at:
                self._report.add(remark, line, key)
        if value.text is not None and any("\udc80" <= one <= "\udcff" for one in value.text):
            self._warn(Kind.NOT_UTF8, "UTF-8 (kept as they are)", "bytes that are not UTF-8", line, key)
        self._go(value.end)
        end = self._pos
        plain = self._end_of_statement(key, line) if value.text is not None else self._skip_broken(value)
        seen += self._text[end : self._pos].partition("#")[0]
        if hard := next((one for one in seen if one in HARD_BLANKS), None):
            self._hard_blank(hard, line, key)
        text = value.text if plain else None
        self._names[key] = text
        self._statements.append(Statement(key, text, line, column, begin, self._text[begin : value.end]))

    def _value(self, key: str, line: int) -> Literal:
        """Read the right side, whose first character is next; `end` is an offset in the whole text."""
        if self._pos < len(self._text) and self._text[self._pos] in OPENING:
            offset = self._line_start
            literal = read_literal(self._text[offset : self._line_end()], self._pos - offset, self._names)
            return Literal(literal.text, literal.end + offset, literal.remarks)
        if number := _NUMBER.match(self._text, self._pos):
            return Literal(number.group(), number.end())
        word = _WORD.match(self._text, self._pos)
        if word and self._text[word.end() : word.end() + 1] in ("", "\n", ";", "#", *BLANKS):
            self._warn(Kind.BARE_WORD, 'a "value" in quotes (read so)', word.group(), line, key)
            return Literal(word.group(), word.end())
        return Literal(None, self._pos, (self._not_plain(self._pos),))

    def _skip_broken(self, value: Literal) -> bool:
        if value.end < self._line_end():
            self._skip_statement()
        return False

    def _not_plain(self, start: int) -> Remark:
        found = self._text[start : self._line_end()].strip(BLANKS)
        return Remark(Kind.NOT_A_PLAIN_VALUE, 'a plain "value" and a semicolon', found)

    def _end_of_statement(self, key: str, line: int) -> bool:
        """Consume the semicolon; False if the value was only the beginning of an expression."""
        self._skip(_ON_LINE)
        rest = self._text[self._pos : self._line_end()]
        if rest.startswith(";"):
            self._go(self._pos + 1)
            return True
        if not rest or rest.startswith("#"):
            self._later_semicolon(key, line)
            return True
        if _NAME.match(rest):
            self._report.add(Remark(Kind.MISSING_SEMICOLON, "; after the value", "another assignment"), line, key)
            return True
        self._secret_broken |= is_secret(key)
        self._report.add(self._not_plain(self._pos), line, key)
        self._skip_statement()
        return False

    def _later_semicolon(self, key: str, line: int) -> None:
        """Nothing more on this line: the semicolon may be on a later one, or at the end be left out as in Perl."""
        ahead = _IGNORED.match(self._text, self._pos)
        then = ahead.end() if ahead else self._pos
        if then >= len(self._text):
            self._warn(Kind.MISSING_SEMICOLON, "; after the value", "the end of the file", line, key)
        elif self._text[then] == ";":
            self._go(then + 1)
        else:
            self._report.add(Remark(Kind.MISSING_SEMICOLON, "; after the value", "the end of the line"), line, key)

    def _hard_blank(self, found: str, line: int, key: str) -> None:
        self._warn(Kind.NON_BREAKING_SPACE, "an ordinary blank (read so)", f"U+{ord(found):04X}", line, key)

    def _warn(self, kind: Kind, expected: str, found: str, line: int, key: str) -> None:
        self._report.add(Remark(kind, expected, found, Severity.WARNING), line, key)
