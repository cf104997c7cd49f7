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
    """One pattern. `matches` takes a path relative to the tree, without slash at either end."""

    text: str
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile once."""
        object.__setattr__(self, "_compiled", _compile(self.text))

    def matches(self, path: str, *, folder: bool) -> bool:
        """Return whether this very path is meant, not one in a folder that is."""
        return self._compiled.fullmatch(f"/{path}/" if folder else f"/{path}") is not None


def excluded(patterns: Iterable[Pattern], path: str, *, folder: bool) -> bool:
    """Return whether a pattern takes the path or a folder it is in."""
    parts = path.split("/")
    prefixes = ["/".join(parts[:count]) for count in range(1, len(parts))]
    return any(
        any(one.matches(prefix, folder=True) for prefix in prefixes) or one.matches(path, folder=folder)
        for one in patterns
    )


def _compile(text: str) -> re.Pattern[str]:
    body, folders_only = text, False
    if body.endswith("/***"):  # the folder and all in it: taking the folder is enough
        body, folders_only = body[:-4], True
    elif body.endswith("/"):
        body, folders_only = body[:-1], True
    anchored = body.startswith("/")
    body = body.removeprefix("/")
    expression = _translate(body) if any(char in text for char in "*?[") else re.escape(body)
    start = "/" if anchored else "/(?:.*/)?"
    return re.compile(f"{start}{expression}{'/' if folders_only else '/?'}", re.DOTALL)


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
    members, first = [], True
    while at < len(body) and (first or body[at] != "]"):
        first = False
        named = re.match(r"\[:(\w+):\]", body[at:])
        if named and named.group(1) in _POSIX:
            members.append(_POSIX[named.group(1)])
            at += named.end()
            continue
        if body[at] == "\\" and at + 1 < len(body):
            at += 1
            members.append(re.escape(body[at]))
        else:
            members.append(body[at] if body[at] == "-" else re.escape(body[at]))
        at += 1
    if at >= len(body):
        return "(?!)", at
    inside = "".join(members)
    return (f"(?:(?!/)[^{inside}])" if negated else f"(?:(?!/)[{inside}])"), at + 1
