"""Notices that the set of floating addresses changed with the product's files."""

import os
from collections.abc import Callable

from skd_cluster.adapters.journal import Journal
from skd_cluster.config.floating import floating_addresses
from skd_cluster.config.schema import Config
from skd_cluster.core.model import IPAddress, Nanos, Vip, nanos

_EVERY = nanos(1)

Signature = tuple[tuple[str, int, int, int], ...]


class FloatingWatch:
    """Looks at the files once a second, which is a few `stat`, and reads them when one looks different."""

    def __init__(self, journal: Journal, config: Config, changed: Callable[[tuple[Vip, ...]], object]) -> None:
        self._journal = journal
        self._config = config
        self._changed = changed
        self._seen: Signature | None = None
        self._problems: frozenset[str] = frozenset()
        self._look_at = Nanos(0)
        self._unlisted: set[IPAddress] = set()
        """What the last reload took out of `cluster_ip`."""
        self.vips: tuple[Vip, ...] = ()

    @property
    def deadline(self) -> Nanos:
        """When to look again."""
        return self._look_at

    def on_timer(self, now: Nanos) -> None:
        """Look, read if need be, and tell a difference."""
        if now < self._look_at:
            return
        self._look_at = Nanos(now + _EVERY)
        before = self.vips
        if self.look() and self.vips != before:
            shown = " ".join(str(vip) for vip in self.vips)
            self._journal.log("floating_changed", f"the floating addresses are now {shown}")
            self._changed(self.vips)

    def look(self) -> bool:
        """Read the files if one of them changed; return whether they were read."""
        seen = signature(self._config)
        if seen == self._seen:
            return False
        self._seen, before = seen, self.vips
        found = floating_addresses(self._config)
        problems = frozenset(str(problem) for problem in found.problems)
        for problem in sorted(problems - self._problems):
            self._journal.log("floating_problem", problem, "warning")
        self._problems = problems
        self.vips = found.vips
        if problems:
            # The product truncates a file before it writes it: what was floating a moment ago still is.
            known = {vip.address for vip in found.vips}
            self.vips += tuple(vip for vip in before if vip.address not in known | self._unlisted)
            self._seen = None
        return True

    def reconfigure(self, config: Config) -> None:
        """Look anew, with another configuration."""
        self._unlisted = {one.address for one in self._config.cluster_ip} - {one.address for one in config.cluster_ip}
        self._config = config
        self._seen = None
        self._look_at = Nanos(0)


def signature(config: Config) -> Signature:
    """Return what changes when a file of an interface is written, added or removed."""
    try:
        with os.scandir(config.configdir) as entries:
            files = [one for one in entries if one.name.startswith("if_") and one.name.endswith("_conf")]
            return tuple(sorted(_stamp(one) for one in files))
    except OSError:
        return ()


def _stamp(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    try:
        found = entry.stat()
    except OSError:
        return (entry.name, 0, 0, 0)
    return (entry.name, found.st_mtime_ns, found.st_size, found.st_ino)
