"""The kinds of lines in the journal: a stable word and a MESSAGE_ID for each, and how often a kind may repeat."""

from dataclasses import dataclass
from uuid import UUID, uuid5

from skd_cluster.core.model import Nanos, nanos

_NAMESPACE = UUID("8e6d1a52-4f0b-4c7e-9a39-5d2c7b1f60e4")
"""Drawn once. A word's MESSAGE_ID follows from it and the word, so neither may ever change."""

EVENTS = {
    "role_changed": "the role of this node changed",
    "started": "the service started",
    "stopped": "the service stopped as asked",
    "disabled": "the service declined to start because of `enable_cluster`",
    "config_problem": "something in the configuration file is wrong or doubtful",
    "config_refused": "the configuration cannot be used",
    "config_reloaded": "the configuration was read again and what can change live was applied",
    "elector_lost": "the elector died; this node drops its addresses and resigns",
    "elector_silent": "the elector stopped reporting",
    "elector_back": "the elector reports again",
    "child_started": "the replicator was started",
    "child_died": "the replicator died and will be started again",
    "hook_started": "a hook was started",
    "hook_output": "a line that a hook printed",
    "hook_ended": "a hook ended well, or was ended because the role changed again",
    "hook_failed": "a hook failed or took too long",
    "hook_missing": "a hook is not there, which is allowed",
    "check_failed": "a health check turned unhealthy",
    "check_recovered": "a health check turned healthy",
    "floating_changed": "the set of floating addresses changed with the product's files",
    "floating_problem": "a file of a virtual interface cannot be used",
    "command": "an administrator's command",
    "applied": "this backup took over configuration from the master",
    "metrics_unavailable": "the metrics port cannot be opened",
    "metrics_available": "the metrics port could be opened after all",
    "file_unwritable": "a file of the service cannot be written",
    "repeated": "a kind of line came so often that some were left out",
    "internal": "the service met something it should not have met",
}
"""Words of the supervisor. Children add their own in their notes; `message_id` works for any word."""


def message_id(event: str) -> str:
    """Return the MESSAGE_ID of a kind of line, for `journalctl MESSAGE_ID=`."""
    return uuid5(_NAMESPACE, event).hex


@dataclass(slots=True)
class _Window:
    opened: Nanos
    passed: int = 0
    held: int = 0


class Repeats:
    """Limits the lines of a kind: a few pass at once, the rest of a window is counted and told as a number."""

    BURST = 5
    WINDOW = nanos(10)

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def allow(self, event: str, now: Nanos) -> bool:
        """Whether this line may be written now."""
        window = self._windows.setdefault(event, _Window(now))
        if window.passed < self.BURST:
            window.passed += 1
            return True
        window.held += 1
        return False

    @property
    def deadline(self) -> Nanos | None:
        """When the oldest window closes."""
        return min((Nanos(one.opened + self.WINDOW) for one in self._windows.values()), default=None)

    def on_timer(self, now: Nanos) -> list[tuple[str, int]]:
        """Close windows; return kinds of which lines were left out, and how many."""
        over = [event for event, one in self._windows.items() if now - one.opened >= self.WINDOW]
        closed = [(event, self._windows.pop(event).held) for event in over]
        return [(event, held) for event, held in closed if held]
