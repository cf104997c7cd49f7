"""rsync's exclude patterns, as the users' configuration files have them, matched without rsync.

The rules are those of rsync(1), "PATTERN MATCHING RULES": a leading `/` anchors at the top of the tree, a trailing `/` takes
folders only, a pattern with another `/` or with `**` is compared with the whole path and any other with the last name,
`*` and `?` stop at a slash, `**` does not, and a backslash escapes in patterns with wildcards and is a plain character in
others.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_POSIX = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, as an expression of what it means: paths relative to the tree with a slash before and none behind."""

    text: str
    expression: str = field(init=False, repr=False, compare=False)
    folders_only: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Translate once."""
        # `x/***` is the folder and all in it: taking the folder is enough.
        body = self.text[:-4] if self.text.endswith("/***") else self.text.removesuffix("/")
        object.__setattr__(self, "folders_only", body != self.text)
        object.__setattr__(self, "expression", _expression(body))


class Patterns:
    """Several patterns, asked as one: a tree has many more paths than there are patterns."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        every = tuple(patterns)
        self._folders = _together(every)
        self._files = _together(one for one in every if not one.folders_only)

    def take(self, path: str, *, folder: bool) -> bool:
        """Return whether one of them takes the path (relative, without slash at either end) or a folder it is in."""
        at = path.find("/")
        while at >= 0:
            if self.take_last(path[:at], folder=True):
                return True
            at = path.find("/", at + 1)
        return self.take_last(path, folder=folder)

    def take_last(self, path: str, *, folder: bool) -> bool:
        """As `take`, of a path that is in no folder that one of them takes."""
        return (self._folders if folder else self._files).fullmatch(f"/{path}") is not None


def _together(patterns: Iterable[Pattern]) -> re.Pattern[str]:
    """Return the expression of a path that one of them means; of none of them, if there is none."""
    return re.compile("|".join(f"(?:{one.expression})" for one in patterns) or "(?!)", re.DOTALL)


def _expression(body: str) -> str:
    start = "/" if body.startswith("/") else "/(?:.*/)?"
    body = body.removeprefix("/")
    return start + (_translate(body) if any(char in body for char in "*?[") else re.escape(body))


def _translate(body: str) -> str:
    """Return the regular expression of a pattern with wildcards."""
    found, at = [], 0
    while at < len(body):
        char = body[at]
        at += 1
        if char == "*":
            stars = 1
            while body[at : at + 1] == "*":
                stars, at = stars + 1, at + 1
            found.append(".*" if stars > 1 else "[^/]*")
        elif char == "?":
            found.append("[^/]")
        elif char == "\\" and at < len(body):
            found.append(re.escape(body[at]))
            at += 1
        elif char == "[":
            expression, at = _bracket(body, at)
            found.append(expression)
        else:
            found.append(re.escape(char))
    return "".join(found)


def _bracket(body: str, at: int) -> tuple[str, int]:
    """Return the expression of a `[...]` whose text starts at `at`, and where it ends; one never closed matches nothing."""
    negated = body[at : at + 1] in ("!", "^") and bool(body[at : at + 1])
    at += negated
    members: list[str] = []
    begin = at
    while at < len(body) and (at == begin or body[at] != "]"):
        named = re.match(r"\[:(\w+):\]", body[at:])
        if named and named.group(1) in _POSIX:
            members.append(_POSIX[named.group(1)])
            at += named.end()
            continue
        low, at = _member(body, at)
        high = low
        if body[at : at + 1] == "-" and body[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(body, at + 1)
        if low <= high:
            members.append(f"{re.escape(low)}-{re.escape(high)}")
    if at >= len(body):
        return "(?!)", at
    inside = "".join(members)
    if negated:
        return (f"(?:(?!/)[^{inside}])" if inside else "[^/]"), at + 1
    return (f"(?:(?!/)[{inside}])" if inside else "(?!)"), at + 1


def _member(body: str, at: int) -> tuple[str, int]:
    """Return one character of a set, which a backslash may escape, and where the next one is."""
    if body[at] == "\\" and at + 1 < len(body):
        at += 1
    return body[at], at + 1
