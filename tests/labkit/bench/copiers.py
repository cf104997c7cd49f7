"""What keeps one folder like another over ssh, behind one face, and the pair of nodes it is measured on."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from tests.fixtures.skudonet_tree import TreeFacts
from tests.labkit import CONFIG_TREE, Lab, Node, eventually
from tests.labkit.machine import SYSTEM_PYTHON

from .rows import OURS
from .stage import leave_alone

LSYNCD: Final = "lsyncd"
LSYNCD_CONF: Final = "/etc/lsyncd.conf.lua"
TEMPLATE: Final = """\
settings {{ nodaemon = true, logfile = "/var/log/lsyncd.log" }}
sync {{
  default.rsyncssh, source = "{tree}", host = "root@{peer}", targetdir = "{tree}", delay = {delay},
  rsync = {{ archive = true }}
}}
"""
SHARED: Final = "Host *\n  ControlMaster auto\n  ControlPath /run/shared-%C\n  ControlPersist yes\n"
TICKS: Final = os.sysconf("SC_CLK_TCK")
SETTLING: Final = 0.1
"""Seconds of looking on in which nothing of a copier may run that only runs when there is something to do."""


@dataclass
class Pair:
    """Two nodes whose root can log in at the other's; `master` has the product's tree, `backup` an empty folder."""

    lab: Lab
    master: Node
    backup: Node
    facts: TreeFacts

    def ours(self, name: str = "") -> Path:
        """Return a path of the master's tree."""
        return self.master.path(CONFIG_TREE) / name

    def theirs(self, name: str = "") -> Path:
        """Return the same path at the backup."""
        return self.backup.path(CONFIG_TREE) / name


class Copier(Protocol):
    """One way of replicating."""

    name: ClassVar[str]
    process: ClassVar[str]
    """The one whose start is the start of all."""

    def start(self, pair: Pair) -> None:
        """Have it run."""

    def quiet(self, pair: Pair) -> bool:
        """Whether it has nothing to do."""


class Ours:
    """The whole service on both nodes."""

    name: ClassVar[str] = OURS
    process: ClassVar[str] = "skdinotify"

    def start(self, pair: Pair) -> None:
        """As systemd would, both at once: the address is up on the master-to-be."""
        both = (pair.master, pair.backup)
        pair.master.add_address()
        for node in both:
            node.write_config(floating="listed", max_delete="100")
        for node in both:
            node.start_daemon(wait=False)
        eventually(lambda: [node.role() for node in both] == ["master", "backup"], within=10, what="roles are decided")

    def quiet(self, pair: Pair) -> bool:
        """By its own word."""
        return bool(pair.master.status()["replication"]["in_sync"])


class Lsyncd:
    """Debian's lsyncd, which gathers events for `delay` seconds and starts an rsync for them; modes and owners as well."""

    name: ClassVar[str] = LSYNCD
    process: ClassVar[str] = "lsyncd"
    delay: ClassVar[int] = 0
    ssh_config: ClassVar[str] = ""

    def start(self, pair: Pair) -> None:
        """In the foreground."""
        text = TEMPLATE.format(tree=CONFIG_TREE, peer=pair.backup.address, delay=self.delay)
        pair.master.write(LSYNCD_CONF, text)
        if self.ssh_config:
            pair.master.write("/root/.ssh/config", self.ssh_config)
        pair.master.popen(["lsyncd", LSYNCD_CONF], output="/var/log/lsyncd.out")

    def quiet(self, pair: Pair) -> bool:
        """By having no rsync or ssh at work, and none to come."""
        return _idle(pair, SETTLING + self.delay)


class LsyncdShared(Lsyncd):
    """With one ssh connection that stays open, by ssh's own configuration."""

    name: ClassVar[str] = "lsyncd, shared ssh"
    ssh_config: ClassVar[str] = SHARED


class LsyncdDelayed(Lsyncd):
    """With the least delay of its manual's examples."""

    name: ClassVar[str] = "lsyncd, delay 1"
    delay: ClassVar[int] = 1


class Predecessor:
    """Version 2 of this program, stood in for."""

    name: ClassVar[str] = "version 2"
    process: ClassVar[str] = "python3"
    _PROGRAM: Final = Path(__file__).with_name("predecessor.py")

    def start(self, pair: Pair) -> None:
        """On the master."""
        target = f"root@{pair.backup.address}:{CONFIG_TREE}"
        pair.master.popen([SYSTEM_PYTHON, self._PROGRAM, CONFIG_TREE, target], output="/var/log/predecessor.out")

    def quiet(self, pair: Pair) -> bool:
        """By having no rsync at work."""
        return _idle(pair, SETTLING)


COPIERS: Final[Mapping[str, Callable[[], Copier]]] = {
    one.name: one for one in (Ours, Lsyncd, LsyncdDelayed, LsyncdShared, Predecessor)
}
SIDE_BY_SIDE: Final = (OURS, LSYNCD, LsyncdDelayed.name, Predecessor.name)
"""lsyncd over a shared connection is an edit's business alone: elsewhere a login more or less is nothing."""


def _idle(pair: Pair, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if "rsync" in pair.master.processes().values():
            return False
        leave_alone(SETTLING / 5)
    return True


@contextmanager
def nodes(grow: Callable[[Path], None] | None = None) -> Iterator[Pair]:
    """Build the pair; `grow` may add to the master's tree."""
    with Lab() as lab:
        master, backup = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        facts = master.make_tree()
        pair = Pair(lab, master, backup, facts)
        if grow:
            grow(pair.ours())
        pair.theirs().mkdir(parents=True)
        lab.trust()
        yield pair


@contextmanager
def replicating(
    name: str, grow: Callable[[Path], None] | None = None, within: float = 120
) -> Iterator[tuple[Pair, Copier]]:
    """Build a pair on which a copier has made the trees equal, and waits for changes."""
    with nodes(grow) as pair:
        copier = COPIERS[name]()
        copier.start(pair)
        eventually(pair.theirs("zlb-stop").exists, within=within, what=f"{name} has begun")
        wait_quiet(pair, copier, within)
        yield pair, copier


def wait_quiet(pair: Pair, copier: Copier, within: float = 30) -> None:
    """Return when all is done."""
    eventually(lambda: copier.quiet(pair), within=within, what=f"{copier.name} has nothing to do")


def began(node: Node, process: str) -> float:
    """Return when a process was started, on the monotonic clock, as exactly as the kernel tells: 10 ms."""
    pid = next(pid for pid, name in node.processes().items() if name == process)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return int(fields[19]) / TICKS - asleep
