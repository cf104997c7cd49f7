"""Contents by rsync, over the connection of the session, into the peer's staging folder.

rsync copies what our manifest names and decides nothing: no quick check, no deletion, no attributes. Those of
`rsync_args` that say how bytes travel are kept.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from skd_cluster.adapters.command import Watched, watch
from skd_cluster.adapters.ssh import options
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.schema import Config
from skd_cluster.core.model import Nanos

_STALLED = 30
"""Seconds without a byte after which rsync gives up by itself."""

VANISHED = 24
"""rsync's exit code when a file was gone before it was read."""

_KEPT = ("--bwlimit", "--compress", "--skip-compress", "--zc", "--zl", "--no-compress", "--whole-file")


def kept_arguments(arguments: Iterable[str]) -> list[str]:
    """Return those of `rsync_args` that concern the transport."""
    kept = []
    for word in arguments:
        if word.startswith(_KEPT) and (word != "--bwlimit"):
            kept.append(word)
        elif word.startswith("-") and not word.startswith("--") and "z" in word:
            kept.append("-z")
    return kept


def remote_shell(config: Config, control: Path) -> str:
    """Return the value of `-e`: rsync splits it at blanks and knows quotes."""
    return " ".join(_quoted(word) for word in ("ssh", *options(config, control), "-o", "ControlMaster=no"))


def _quoted(word: str) -> str:
    if not any(char in word for char in " \t\"'"):
        return word
    return "'" + word.replace("'", "''") + "'"


def transfer(config: Config, control: Path, source: str, target: str, names: Sequence[str], limit: Nanos) -> Watched:
    """Start one rsync of these names below `source` (none: `source` itself) to `target` on the peer.

    Raises CannotStartError.
    """
    host = str(config.remote_ip)
    login = f"root@[{host}]" if ":" in host else f"root@{host}"
    argv = [
        str(config.rsync),
        "--ignore-times",
        "--inplace",  # into a private folder: a temporary name would gain nothing, and may be too long
        "--chmod=F600,D700",
        "--perms",
        "--no-s",  # the target in plain sight on the command line, quoted by rsync: the gate there looks at it
        f"--timeout={_STALLED}",
        "-e",
        remote_shell(config, control),
        *kept_arguments(config.rsync_args),
    ]
    if names:
        argv += ["--files-from=-", "--from0", "--no-implied-dirs", f"{source}/", f"{login}:{target}/"]
    else:
        argv += [source, f"{login}:{target}"]
    # Told to be in the folder: to rsync a name that begins with # or ; is a comment, also between NULs.
    listed = b"".join(b"./" + os.fsencode(name) + b"\0" for name in names)
    return watch(argv, limit, env={"LC_ALL": "C"}, stdin=listed)


def jobs(tree: Tree, fetch: Iterable[str]) -> list[tuple[str, str, list[str]]]:
    """Return what one rsync each has to do: the root's place, its key, the names below it (none: it is a file)."""
    by_root: dict[str, list[str]] = {}
    for key in fetch:
        root = tree.scope.root_of(key)
        if root is not None:
            names = by_root.setdefault(root, [])
            if key != root:
                names.append(key[len(root) + 1 :])
    return [(tree.roots[root], root, names) for root, names in by_root.items()]
