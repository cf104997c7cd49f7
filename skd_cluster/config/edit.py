"""Setting keys in a configuration file that people wrote: what is not set stays byte for byte, comments and all."""

import re
from collections.abc import Mapping

from skd_cluster.config.problems import Severity, is_secret
from skd_cluster.config.syntax import Statement, parse

_BOM = "\ufeff"
_PLAIN = re.compile(r"[A-Za-z0-9_.,:;/> +-]*")
_ESCAPED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f"}


class CannotEditError(ValueError):
    """The text of the file is broken: it has to be mended first."""


def assign(data: bytes, values: Mapping[str, str]) -> bytes:
    """Return the file with these keys set: in their place where they are set already, else at its end.

    Raises CannotEditError unless all the other keys have the values they had.
    """
    text = data.decode("utf-8", "surrogateescape")
    mark, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    before = _statements(data)
    last = {one.key: one for one in before}
    changes = {last[key].begin: (last[key].end, quoted(key, value)) for key, value in values.items() if key in last}
    new = [f"${key}={quoted(key, value)};" for key, value in values.items() if key not in last]
    expected = {one.key: one.value for one in before} | dict(values)
    for closing in ("", ";"):  # Perl lets the last statement go without its semicolon
        body = (mark + _with_lines(_replaced(text, changes, before, closing), new)).encode("utf-8", "surrogateescape")
        if {one.key: one.value for one in _statements(body, broken=True)} == expected:
            return body
    raise CannotEditError("the file cannot be edited without changing another key")


def quoted(key: str, value: str) -> str:
    """Return a value as it is written so that both Perl and we read just that."""
    if any(one in _ESCAPED for one in value):
        return '"' + "".join(_ESCAPED.get(one, re.sub(r'(["\\$@])', r"\\\1", one)) for one in value) + '"'
    if _PLAIN.fullmatch(value) and not is_secret(key):  # in single quotes nobody has to ask what else is in a password
        return f'"{value}"'
    return "'" + re.sub(r"(\\|')", r"\\\1", value) + "'"


def _statements(data: bytes, *, broken: bool = False) -> tuple[Statement, ...]:
    """Return the assignments of a file; none of one that is broken, or CannotEditError."""
    parsed = parse(data, "")
    if any(one.severity is Severity.ERROR for one in parsed.problems):
        if broken:
            return ()
        raise CannotEditError("the text of the file is broken")
    return parsed.statements


def _replaced(
    text: str, changes: Mapping[int, tuple[int, str]], statements: tuple[Statement, ...], closing: str
) -> str:
    """Return the text with other values; with `closing`, put after the last one."""
    final = statements[-1].end if statements and closing else None
    parts, at = [], 0
    for begin, (end, value) in sorted(changes.items()):
        parts += [text[at:begin], value]
        at = end
        if end == final:
            parts.append(closing)
    if final is not None and at < final:
        parts += [text[at:final], closing]
        at = final
    return "".join([*parts, text[at:]])


def _with_lines(text: str, lines: list[str]) -> str:
    """Return the text with further lines, ended as its first one is."""
    if not lines:
        return text
    first = text.find("\n")
    newline = "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"
    gap = "" if not text or text.endswith("\n") else newline
    return text + gap + "".join(line + newline for line in lines)
