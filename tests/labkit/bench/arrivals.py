"""Which changes arrive at all, and how late: what people, editors and the product do to a tree, one after the other."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.fixtures.skudonet_tree import core_rename_write

from .copiers import LSYNCD, SIDE_BY_SIDE, Copier, Pair, replicating, wait_quiet
from .effort import Effort
from .replication import LOOK, arrival, has
from .rows import Limit, Row, Table
from .stage import leave_alone

AWAY: Final = 2.0
"""Seconds without sshd."""

AFTER_AWAY: Final = 40.0
"""Seconds one looks after that: everybody may wait for a while before he tries again."""

LONG_AGO: Final = 1_500_000_000
AHEAD: Final = 3600
WITHIN_A_SECOND: Final = 0.15
"""Of a second of the clock, so that two rewrites are in the same one."""

ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One kind. `make` does it and returns the check; what it needs before is in the tree from the start (`lay_out`)."""

    what: str
    make: Callable[[Pair], Callable[[], bool]]
    within: float = LOOK
    rounds: int = 1


def arrives(effort: Effort) -> Table:
    """Every kind, of each copier."""
    table = Table(
        "What arrives",
        f"Seconds until the backup has it; *never*: not within {LOOK:g} s, {AFTER_AWAY:g} s where sshd was away. The worst "
        f"of {ROUNDS} where there are three numbers. Where nothing else is said it is at the top of the tree, which is all "
        "that version 2 watches.",
        yardstick=LSYNCD,
    )
    found = {name: _all(name) for name in SIDE_BY_SIDE}
    for change in CHANGES:
        samples = {name: taken[change.what] for name, taken in found.items()}
        most = change.within if change.within > LOOK else 1.0
        table.rows.append(Row(change.what, "s", samples, (Limit("max", most),), LSYNCD))
    return table


def _all(name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with replicating(name, lay_out) as (pair, copier):
        for change in CHANGES:
            found[change.what] = [_one(pair, copier, change) for _ in range(change.rounds)]
    return found


def _one(pair: Pair, copier: Copier, change: Change) -> float:
    check = change.make(pair)
    took = arrival(check, change.within)
    wait_quiet(pair, copier)
    return took


def lay_out(tree: Path) -> None:
    """Put what will be changed into the tree."""
    for name in ("edited", "saved", "rewritten", "mode", "owner", "deleted", "restored", "newer", "away"):
        (tree / f"{name}.cfg").write_text(f"{name} as it was\n")
    for folder in ("sub/deep", "gone/deep"):
        (tree / folder).mkdir(parents=True)
        (tree / folder / "farm.cfg").write_text("as it was\n")
    (tree / "current.pem").symlink_to("old.pem")


def _rewrite(name: str, pair: Pair) -> Callable[[], bool]:
    content = os.fsencode(f"{name} was changed to something longer\n")
    pair.ours(name).write_bytes(content)
    return partial(has, pair.theirs(name), content)


def _new_folder(pair: Pair) -> Callable[[], bool]:
    pair.ours("new/deep").mkdir(parents=True)
    names = [f"new/deep/{number}.cfg" for number in range(20)]
    for name in names:
        pair.ours(name).write_text(name)
    return lambda: all(has(pair.theirs(name), name.encode()) for name in names)


def _empty_folder(pair: Pair) -> Callable[[], bool]:
    pair.ours("empty").mkdir()
    return pair.theirs("empty").is_dir


def _save(pair: Pair) -> Callable[[], bool]:
    text = "written elsewhere and moved into place\n"
    core_rename_write(pair.ours("saved.cfg"), text)
    return partial(has, pair.theirs("saved.cfg"), text.encode())


def _same_size(pair: Pair) -> Callable[[], bool]:
    """Rewrite at the beginning of a second, and once more when that has arrived."""
    number = time.monotonic_ns() % 10**9
    one, other = (f"{word} {number:09d}\n" for word in ("aaaa", "bbbb"))
    leave_alone(1.0 - time.time() % 1.0 + 0.001)  # noqa: TID251 -- the files' own clock
    pair.ours("rewritten.cfg").write_text(one)
    arrival(partial(has, pair.theirs("rewritten.cfg"), one.encode()), 1.0 - WITHIN_A_SECOND)
    pair.ours("rewritten.cfg").write_text(other)
    return partial(has, pair.theirs("rewritten.cfg"), other.encode())


def _mode(pair: Pair) -> Callable[[], bool]:
    pair.ours("mode.cfg").chmod(0o600)
    return lambda: pair.theirs("mode.cfg").stat().st_mode & 0o777 == 0o600


def _owner(pair: Pair) -> Callable[[], bool]:
    os.chown(pair.ours("owner.cfg"), 33, 33)
    return lambda: pair.theirs("owner.cfg").stat().st_uid == 33


def _delete(pair: Pair) -> Callable[[], bool]:
    pair.ours("deleted.cfg").unlink()
    return lambda: not pair.theirs("deleted.cfg").exists()


def _delete_folder(pair: Pair) -> Callable[[], bool]:
    pair.ours("gone/deep/farm.cfg").unlink()
    pair.ours("gone/deep").rmdir()
    pair.ours("gone").rmdir()
    return lambda: not pair.theirs("gone").exists()


def _link(pair: Pair) -> Callable[[], bool]:
    new = pair.ours("current.pem.new")
    new.symlink_to("new.pem")
    new.rename(pair.ours("current.pem"))
    return lambda: str(pair.theirs("current.pem").readlink()) == "new.pem"


def _restore(pair: Pair) -> Callable[[], bool]:
    """As tar does: the old content, and then its old time."""
    check = _rewrite("restored.cfg", pair)
    os.utime(pair.ours("restored.cfg"), (LONG_AGO, LONG_AGO))
    return check


def _newer(pair: Pair) -> Callable[[], bool]:
    ahead = time.time() + AHEAD  # noqa: TID251 -- the files' own clock
    pair.theirs("newer.cfg").write_text("somebody wrote here on the backup\n")
    os.utime(pair.theirs("newer.cfg"), (ahead, ahead))
    return _rewrite("newer.cfg", pair)


def _away(pair: Pair) -> Callable[[], bool]:
    """Without sshd and without the sessions it had open."""
    pair.backup.stop_sshd()
    pair.backup.run("pkill -x sshd", check=False)
    check = _rewrite("away.cfg", pair)
    leave_alone(AWAY)
    pair.backup.start_sshd()
    return check


CHANGES: Final = (
    Change("edit", partial(_rewrite, "edited.cfg")),
    Change("edit in a sub-folder", partial(_rewrite, "sub/deep/farm.cfg")),
    Change("new sub-folders with 20 files", _new_folder),
    Change("empty folder", _empty_folder),
    Change("save by rename", _save),
    Change("rewrite of the same size within a second", _same_size, rounds=ROUNDS),
    Change("mode alone", _mode),
    Change("owner alone", _owner),
    Change("deletion", _delete),
    Change("deletion of a folder", _delete_folder),
    Change("link that leads elsewhere", _link),
    Change("restored with its old time", _restore),
    Change("edit of what is newer on the backup", _newer),
    Change("name with a newline", partial(_rewrite, "two\nlines.cfg")),
    Change("name that is not UTF-8", partial(_rewrite, "caf\udce9.cfg")),
    Change("edit while sshd is away", _away, AFTER_AWAY),
)
