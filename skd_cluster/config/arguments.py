"""Forms of values that end up as arguments of rsync and ssh: none may run anything, none reaches a shell."""

# ruff: noqa: SIM905 -- thirty options read better as one text than as thirty quoted ones

import re
import shlex

from skd_cluster.config.problems import Kind, Remark, Severity
from skd_cluster.config.values import BadValue, Form, Note, each

_DASHES = "‐‑‒–—―−"  # noqa: RUF001 -- these are what is looked for
_DASHED_WORD = re.compile(rf"(?<!\S)[{_DASHES}]+(?=\S)")

# Options of rsync 3.2 that run a program, talk to a daemon, write elsewhere, or turn replication into something else.
_FORBIDDEN = frozenset(
    "rsh rsync-path remote-option daemon server sender config dparam address port sockopts password-file early-input "
    "write-batch only-write-batch read-batch log-file dry-run list-only remove-source-files files-from copy-as "
    "backup-dir temp-dir compare-dest copy-dest link-dest partial-dir help version".split()
)
_FORBIDDEN_SHORT = frozenset("eMnTV")
# Options whose value may be the next word.
_WITH_VALUE = _FORBIDDEN - {"daemon", "server", "sender", "dry-run", "list-only", "remove-source-files"} | frozenset(
    "filter exclude include exclude-from include-from bwlimit timeout contimeout chmod chown usermap groupmap iconv "
    "max-size min-size max-delete modify-window block-size compress-level skip-compress compress-choice checksum-choice "
    "checksum-seed suffix info debug out-format stop-after stop-at outbuf protocol max-alloc".split()
)
_WITH_VALUE_SHORT = frozenset("eMTfB@")
# Options of ssh that run a program here or there.
_SSH_FORBIDDEN = frozenset(
    "proxycommand localcommand permitlocalcommand knownhostscommand remotecommand pkcs11provider "
    "securitykeyprovider xauthlocation include match".split()
)
_SSH_OPTION = re.compile(r"([A-Za-z0-9]+)=(\S.*)")


def exclude() -> Form:
    """Return the form of `exclude`: the patterns alone, without their options."""
    return Form("--exclude PATTERN, any number of times", _read_exclude, options=True)


def rsync_args() -> Form:
    """Return the form of `rsync_args`: options that change how rsync copies, not what it runs."""
    return Form("options of rsync", _read_rsync, options=True)


def ssh_options() -> Form:
    """Return the form of `ssh_options`: `Name=value` each, as ssh takes them after -o."""
    return Form("Name=value, with or without -o before it", _read_ssh, options=True)


def mend_dashes(text: str) -> str:
    """Put two hyphens for the dash that a web page made of them at the start of a word."""
    return _DASHED_WORD.sub("--", text)


def _words(text: str) -> list[str]:
    """Split as a shell would, and as version 2 did through one. Nothing is expanded."""
    if "\0" in text or "\n" in text:
        raise BadValue(Kind.BAD_ARGUMENT, "words on one line", text)
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadValue(Kind.BAD_ARGUMENT, "words, each quote closed", text) from error


def _read_exclude(text: str, note: Note) -> tuple[str, ...]:
    patterns = []
    words = iter(_words(text))
    for word in words:
        option, equals, pattern = word.partition("=")
        if option == "--exclude" and not equals:
            pattern = next(words, "")
        if option == "--exclude" and pattern:
            patterns.append(pattern)
        else:
            note(Remark(Kind.BAD_ARGUMENT, "--exclude PATTERN", word))
    return tuple(patterns)


def _read_rsync(text: str, note: Note) -> tuple[str, ...]:
    """Keep what is harmless, drop -u, note the rest. The value of a refused option is not looked at."""
    kept: list[str] = []
    words = iter(_words(text))
    for word in words:
        refused = _refused(word)
        takes_next = _takes_next(word)
        value = next(words, None) if takes_next else None
        if refused is not None:
            note(Remark(Kind.BAD_ARGUMENT, _instead(refused), refused))
        elif takes_next and value is None:
            note(Remark(Kind.BAD_ARGUMENT, f"a value after {word}", word))
        else:
            left = _without_update(word, note)
            kept += [one for one in (left, value) if one]
    return tuple(kept)


def _refused(word: str) -> str | None:
    """Return the part of a word that cannot be passed to rsync, or None."""
    if word.startswith("--"):
        return word if word[2:].partition("=")[0] in _FORBIDDEN or len(word) == 2 else None
    if not word.startswith("-") or len(word) == 1:
        return word
    for letter in word[1:]:
        if letter in _FORBIDDEN_SHORT:
            return f"-{letter}"
        if letter in _WITH_VALUE_SHORT:
            return None
    return None


def _takes_next(word: str) -> bool:
    """Tell whether the next word is this one's value."""
    if word.startswith("--"):
        return "=" not in word and word[2:] in _WITH_VALUE
    if not word.startswith("-"):
        return False
    first = next((at for at, letter in enumerate(word) if at and letter in _WITH_VALUE_SHORT), None)
    return first == len(word) - 1


def _instead(refused: str) -> str:
    if refused in {"-e", "--rsh"} or refused.startswith("--rsh="):
        return "ssh_port, ssh_key or ssh_options in its place"
    return "an option of rsync that runs nothing and copies as usual"


def _without_update(word: str, note: Note) -> str:
    """Drop -u: a file that is newer on the peer would never be replaced, and so a restored backup never arrive."""
    left = word
    if word == "--update":
        left = ""
    elif not word.startswith("--"):
        flags = re.match(r"-[^eMTfB@]*", word)
        head = flags.group() if flags else ""
        left = head.replace("u", "") + word[len(head) :]
        left = "" if left == "-" else left
    if left != word:
        found = "--update" if word == "--update" else "-u"
        note(Remark(Kind.DROPPED_ARGUMENT, "no such option (dropped: it loses changes)", found, Severity.NOTE))
    return left


def _read_ssh(text: str, note: Note) -> tuple[str, ...]:
    words = [word for word in _words(text) if word != "-o"]
    return each((word.removeprefix("-o") for word in words), _read_ssh_option, note)


def _read_ssh_option(word: str) -> str:
    match = _SSH_OPTION.fullmatch(word)
    if not match:
        raise BadValue(Kind.BAD_ARGUMENT, "Name=value", word)
    if match[1].lower() in _SSH_FORBIDDEN:
        raise BadValue(Kind.BAD_ARGUMENT, "an option of ssh that runs nothing", match[1])
    return word
