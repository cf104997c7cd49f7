"""String literals as Perl has them, read without Perl: quotes, escapes, names set earlier. Nothing is ever run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from skd_cluster.config.problems import Kind, Remark, Severity

BLANKS = " \t\r\f\v\u00a0\u202f\u2007"
"""What separates words on a line. The last three are the non-breaking ones that web pages have."""
HARD_BLANKS = "\u00a0\u202f\u2007"

MAX_VALUE = 16_384
"""Names that contain names grow exponentially; no setting needs a value longer than this."""

_DOUBLE = '"'
_SINGLE = "'"
_TYPOGRAPHIC_DOUBLE = "“”„‟«»″＂"  # noqa: RUF001 -- these are what is looked for
_TYPOGRAPHIC_SINGLE = "‘’‚‛‹›′＇"  # noqa: RUF001 -- these are what is looked for
OPENING = _DOUBLE + _SINGLE + _TYPOGRAPHIC_DOUBLE + _TYPOGRAPHIC_SINGLE

_ENDS = re.compile(rf"[{BLANKS}]*(?:[;#]|$)")
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
# Perl takes :: and ' into a name: "$interface's" is its variable $interface::s, "$a::" its $a::.
_NAME = rf"{_IDENTIFIER}(?:(?:::|'){_IDENTIFIER})*(?:::)?"
_TOKEN = re.compile(
    rf"""
      (?P<text>[^\\$@]+)
    | \\(?P<escape>.)
    | \$\{{[{BLANKS}]*(?P<braced>{_NAME})[{BLANKS}]*\}}
    | \$(?P<name>{_NAME})(?P<element>(?:->)?[\[{{])?
    | (?P<array>@\$*(?:[A-Za-z0-9_]+|\{{[{BLANKS}]*{_NAME}[{BLANKS}]*\}}))(?P<slice>[\[{{])?
    | (?P<expression>[$@]\#?\$*\{{)
    | (?P<special>\$\#?\$*{_NAME}|\$\$+|@[+\-:'$]|\$(?=.))
    | (?P<rest>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# A variable that nobody sets; not those that Perl itself sets, nor one by its package's name.
_EMPTY_IN_PERL = re.compile(rf"(?!(?:_|ARGV|ENV|F|INC|STDIN|STDOUT|STDERR)$){_IDENTIFIER}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "a": "\a", "b": "\b", "e": "\x1b"}
# \x41, \cC, \N{...}, \o{...} and the case operators: Perl would make something else of them.
_SPECIAL_ESCAPES = frozenset("0123456789xcNoulULQEF")


@dataclass(frozen=True, slots=True, repr=False)
class Literal:
    """A literal as read: `text` is None where it cannot be relied on; `end` is the column after it."""

    text: str | None
    end: int
    remarks: tuple[Remark, ...] = ()


def read_literal(line: str, start: int, names: Mapping[str, str | None]) -> Literal:
    """Read the literal whose opening quote is at `start`; `names` are the keys set before it. Never raises."""
    end = _closing(line, start)
    if end is None:
        found = line[start:].rstrip(BLANKS)
        return Literal(None, len(line), (Remark(Kind.UNTERMINATED_STRING, "a closing quote on the same line", found),))
    remarks = list(_quote_remarks(line[start], line[end]))
    body = line[start + 1 : end]
    text: str | None
    if _is_single(line[start]):
        text = re.sub(r"\\([\\'])", r"\1", body)
    else:
        text, more = _interpolate(body, names)
        remarks += more
    if text is not None and len(text) > MAX_VALUE:
        remarks.append(Remark(Kind.TOO_LONG, f"at most {MAX_VALUE} characters", f"{len(text)} characters"))
        text = None
    return Literal(text, end + 1, tuple(remarks))


def read_as_perl(raw: str, names: Mapping[str, str | None]) -> str | None:
    """Return what Perl made of a literal, to which a name that nothing has set is empty; None where that is not known.

    `names` are the values that the keys set before it had in Perl. Never raises.
    """
    if _is_single(raw[0]):
        return re.sub(r"\\([\\'])", r"\1", raw[1:-1])
    parts = [_perl_token(token, names) for token in _TOKEN.finditer(raw[1:-1])]
    whole = [one for one in parts if one is not None]
    return "".join(whole)[:MAX_VALUE] if len(whole) == len(parts) else None


def _perl_token(token: re.Match[str], names: Mapping[str, str | None]) -> str | None:
    if token["escape"] is not None:
        return _escape(token["escape"])[0]
    name = token["name"] or token["braced"]
    if name is not None:
        known = names.get(name, "" if _EMPTY_IN_PERL.fullmatch(name) else None)
        return None if token["element"] else known
    if token["array"] is not None:
        return "" if not token["slice"] and _EMPTY_IN_PERL.fullmatch(token["array"].strip("@{}" + BLANKS)) else None
    return None if token["expression"] or token["special"] else token.group()


def _is_single(quote: str) -> bool:
    return quote in _SINGLE + _TYPOGRAPHIC_SINGLE


def _quote_remarks(opening: str, closing: str) -> Iterator[Remark]:
    plain = _SINGLE if _is_single(opening) else _DOUBLE
    odd = "".join(one for one in (opening, closing) if one != plain)
    if odd:
        yield Remark(Kind.TYPOGRAPHIC_QUOTE, f"{plain} on both sides (read so)", odd, Severity.WARNING)


def _closing(line: str, start: int) -> int | None:
    """Find the closing quote. Where plain and typographic ones are mixed, the one after which the value can end.

    Inside plain quotes a typographic one is a character like any other, unless nothing else closes the string.
    """
    opening = line[start]
    plain, odd = (_SINGLE, _TYPOGRAPHIC_SINGLE) if _is_single(opening) else (_DOUBLE, _TYPOGRAPHIC_DOUBLE)
    first: int | None = None
    first_odd: int | None = None
    for match in re.compile(rf"\\.|[{plain}{odd}]").finditer(line, start + 1):
        if match.group()[0] == "\\":
            continue
        at = match.start()
        ends = _ENDS.match(line, at + 1) is not None
        if opening != plain and ends:
            return at
        if opening == plain and line[at] == plain:
            return at if ends or first_odd is None else first_odd
        if first_odd is None and ends:
            first_odd = at
        if first is None:
            first = at
    return first_odd if opening == plain else first


def _interpolate(body: str, names: Mapping[str, str | None]) -> tuple[str | None, list[Remark]]:
    """Return the text of a double-quoted string; None where Perl would have run or computed something."""
    parts: list[str | None] = []
    remarks: list[Remark] = []
    length = 0
    for token in _TOKEN.finditer(body):
        part, remark = _token(token, names)
        parts.append(part)
        length += len(part or "")
        if remark is not None:
            remarks.append(remark)
        if length > MAX_VALUE:
            break
    whole = [one for one in parts if one is not None]
    return ("".join(whole) if len(whole) == len(parts) else None), remarks


def _token(token: re.Match[str], names: Mapping[str, str | None]) -> tuple[str | None, Remark | None]:
    raw = token.group()
    if token["escape"] is not None:
        return _escape(token["escape"])
    name = token["name"] or token["braced"]
    if name is not None:
        return _variable(token, name, names)
    if token["expression"] is not None:
        return None, _refusal(token)
    if token["array"] is not None and token["slice"] is not None and _may_run(token):
        return None, _refusal(token)
    if token["array"] is not None or token["special"] is not None:
        return raw, _taken_literally(_seen(token))
    return raw, None


def _variable(token: re.Match[str], name: str, names: Mapping[str, str | None]) -> tuple[str | None, Remark | None]:
    """Put in an earlier key's value. `$name[...]` and `$name->{...}` are elements of something no file has."""
    known = name in names
    if token["element"] is not None and (known or _may_run(token)):
        return None, _refusal(token)
    if known:
        return names[name], None
    return token.group(), _taken_literally(token.group().removesuffix(token["element"] or ""))


def _may_run(token: re.Match[str]) -> bool:
    """Tell whether a subscript may hold more than a number or a word: Perl would call it."""
    return any(token.string.find(one, token.end()) >= 0 for one in "(`")


def _escape(letter: str) -> tuple[str | None, Remark | None]:
    if letter in _SPECIAL_ESCAPES:
        expected = "plain text; \\\\ for a backslash, or single quotes around it all"
        return None, Remark(Kind.NOT_A_PLAIN_VALUE, expected, f"\\{letter}")
    return _ESCAPES.get(letter, letter), None


def _seen(token: re.Match[str]) -> str:
    """Return what to show of a special variable: a lone sign with the character that made it one."""
    raw = token.group()
    return raw if len(raw) > 1 else token.string[token.start() : token.end() + 1]


def _taken_literally(found: str) -> Remark:
    sign = found[0]
    expected = f"the name of a key set before, or \\{sign} (taken as written; version 2 read something else)"
    return Remark(Kind.NOT_INTERPOLATED, expected, found, Severity.WARNING)


def _refusal(token: re.Match[str]) -> Remark:
    found = token.string[token.start() :]
    return Remark(Kind.NOT_A_PLAIN_VALUE, f"plain text; \\{found[0]} for the character itself", found)
