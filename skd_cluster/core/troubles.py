"""What is wrong with the replication: how long to wait before the next attempt, and what people are told, once."""

from collections.abc import Callable

from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.replication_actions import Tell

FIRST_RETRY, LAST_RETRY = nanos(0.2), nanos(30)

TELL_AGAIN = nanos(600)
"""The same trouble is told again after this long."""


class Troubles:
    """`last` is the latest one in words, empty when all is well. `jitter` gives numbers from 0 to 1."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self.last = ""
        self._jitter = jitter
        self._failures = 0
        self._told: dict[str, Nanos] = {}

    def wait(self) -> Nanos:
        """Return the time until the next attempt: doubling to half a minute, half of it by chance."""
        longest = min(FIRST_RETRY << min(self._failures, 20), LAST_RETRY)
        self._failures += 1
        return Nanos(round(longest * (0.5 + self._jitter() / 2)))

    def tell(self, kind: str, text: str, now: Nanos) -> list[Tell]:
        """Note a trouble; say it, unless it was just said."""
        self.last = text
        again_at = self._told.get(kind)
        if again_at is not None and now < again_at:
            return []
        self._told[kind] = Nanos(now + TELL_AGAIN)
        return [Tell(f"replication_{kind.partition(' ')[0]}", text)]

    def impatient(self, now: Nanos, *, asked: bool) -> None:
        """Begin with short waits again; and say what is still wrong again if somebody asked."""
        self._failures = 0
        if asked:
            self._told = dict.fromkeys(self._told, now)

    def over(self) -> None:
        """Begin with short waits again: an attempt was successful."""
        self._failures = 0

    def forget(self) -> list[Tell]:
        """Learn that all is well; say so if anything had been told."""
        troubled, self.last = bool(self._told), ""
        self._told.clear()
        return [Tell("replication_well", "replication works again", "info")] if troubled else []
