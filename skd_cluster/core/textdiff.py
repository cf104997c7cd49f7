"""A unified diff of two versions of a text in which no secret is shown."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from skd_cluster.core.difference import printable
from skd_cluster.core.masking import Line, masked, secrets

LARGEST = 256 * 1024
"""Bytes of a text of which a diff is made."""

_LINES, _SECRETS = 20_000, 500
"""With more of them it would take minutes, and nobody would read it."""

_CONTEXT = 3
_NO_END = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file: what to call it, and its content."""

    label: str
    body: bytes


def text_of(body: bytes) -> str | None:
    """Return a content as text, None if it is none."""
    if b"\0" in body or len(body) > LARGEST:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def shown(body: bytes) -> list[str] | None:
    """Return the lines of a text for a terminal, without its secrets; None if it is no text to be shown."""
    text = text_of(body)
    if text is None or text.count("\n") > _LINES or len(secrets(text)) > _SECRETS:
        return None
    return [printable(line.shown) for line in masked(text)]


def unified(old: Version, new: Version) -> list[str] | None:
    """Return the lines of the diff, none if both are the same; None if one of them is no text to be shown."""
    before, after = text_of(old.body), text_of(new.body)
    if before is None or after is None or max(before.count("\n"), after.count("\n")) > _LINES:
        return None
    known = secrets(before) | secrets(after)
    if len(known) > _SECRETS:
        return None
    first, second = masked(before, known), masked(after, known)
    matcher = SequenceMatcher(None, [one.raw for one in first], [one.raw for one in second])
    lines: list[str] = []
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        lines += _hunk(group, first, second)
    return [f"--- {old.label}", f"+++ {new.label}", *lines] if lines else []


def _hunk(group: list[tuple[str, int, int, int, int]], first: list[Line], second: list[Line]) -> list[str]:
    old, new = _range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4])
    lines = [f"@@ -{old} +{new} @@"]
    for tag, from_old, to_old, from_new, to_new in group:
        if tag == "equal":
            lines += _lines(" ", first[from_old:to_old])
            continue
        lines += _lines("-", first[from_old:to_old])
        lines += _lines("+", second[from_new:to_new])
    return lines


def _range(begin: int, end: int) -> str:
    """Return a range as diff writes it: the first line, and how many if it is not one."""
    length = end - begin
    if length == 1:
        return str(begin + 1)
    return f"{begin + 1 if length else begin},{length}"


def _lines(sign: str, lines: list[Line]) -> list[str]:
    found = []
    for line in lines:
        found.append(sign + printable(line.shown))
        if not line.raw.endswith("\n"):
            found.append(_NO_END)
    return found
