"""What a login with a pair's key may do: its forced command reads here what was asked for.

Whoever has that key and nothing else gets a session, its rsync, and an answer to "do you hear me". Everything is allowed by
name: what is not known here is refused, and nothing of it ever reaches a shell.
"""

import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# How our own rsync asks: rsync 3.1 to 3.5, with what `adapters/rsync.py` keeps of `rsync_args`. No -l, -D, -o, -g, -X:
# there will be no link, device or foreign owner in the staging folder. -e is not a shell here but what the client can do.
_FLAGS = re.compile(r"-[IRWpz]{1,9}(e[0-9]{0,3}\.[0-9]{0,3}[A-Za-z]{0,20})?")
_LONG = re.compile(
    r"--(?:timeout=[0-9]{1,6}|bwlimit=[0-9]{1,9}|inplace|no-implied-dirs|new-compress|old-compress"
    r"|compress-level=-?[0-9]{1,6}|compress-choice=(?:none|auto|zlib|zlibx|lz4|zstd))"
)
_SHOWN = 160


class ForbiddenError(Exception):
    """It is not among what the key is for; the text is one clear line."""


@dataclass(frozen=True, slots=True)
class Serve:
    """A session of the replicator."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Do you hear me, and with `back` also: does your own key work towards me."""

    back: bool


@dataclass(frozen=True, slots=True)
class Rsync:
    """The other end of an rsync, still to be looked at: the words after `rsync --server`."""

    words: tuple[str, ...]


Wish: TypeAlias = Serve | Probe | Rsync

PROBE, PROBE_BACK = "--probe", "--probe-back"
"""What follows `skd-cluster receive` in a probe."""


def judge(command: str | None) -> Wish:
    """Return what SSH_ORIGINAL_COMMAND asks for; None is a login without a command. Raises ForbiddenError."""
    if command is None or not command.strip():
        raise ForbiddenError("this key opens no shell: it is for the replication of skd-cluster only")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _forbidden(command) from error
    match words:
        case ["skd-cluster", "receive"] | ["skd-cluster", "receive", "--config", _]:
            return Serve()  # the configuration is this node's own, whatever the peer calls it
        case ["skd-cluster", "receive", "--probe" | "--probe-back" as which]:
            return Probe(which == PROBE_BACK)
        case ["rsync", "--server", *rest]:
            return Rsync(tuple(rest))
        case _:
            raise _forbidden(command)


def rsync_argv(program: str, words: Sequence[str], places: Collection[str]) -> tuple[str, ...]:
    """Return the server's command, made anew from words that were allowed one by one. Raises ForbiddenError.

    `places` are the only targets there are: those of the session that came through the same connection.
    """
    if len(words) < 3 or words[-2] != ".":
        raise _forbidden(shlex.join(words), "rsync")
    *options, _, place = words
    for word in options:
        if word == "--sender":
            raise ForbiddenError("this key does not read files: rsync --sender is refused")
        if not _FLAGS.fullmatch(word) and not _LONG.fullmatch(word):
            raise _forbidden(word, "the option of rsync")
    if place not in places:
        raise _forbidden(place, "writing outside of the session's own staging folder:")
    return (program, "--server", *options, ".", place)


def _forbidden(what: str, kind: str = "the command") -> ForbiddenError:
    shown = ascii(what)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return ForbiddenError(f"this key is for the replication of skd-cluster only: {kind} {shown} is refused")
