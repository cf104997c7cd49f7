"""The kinds of lines in the journal: a stable word and a MESSAGE_ID for each, and how often a kind may repeat."""

from dataclasses import dataclass
from uuid import UUID, uuid5

from skd_cluster.core.messages import RoleChange
from skd_cluster.core.model import MILLISECOND, Nanos, Reason, Role, nanos

_NAMESPACE = UUID("8e6d1a52-4f0b-4c7e-9a39-5d2c7b1f60e4")
"""Drawn once. A word's MESSAGE_ID follows from it and the word, so neither may ever change."""

EVENTS = {
    "role_changed": "the role of this node changed",
    "started": "the service started",
    "stopped": "the service stopped as asked",
    "crashed": "the service was started after a run that ended without being stopped",
    "restarting": "a master that is restarted goes away for a moment and keeps its addresses",
    "restart_refused": "a master that is restarted hands over, because its peer did not agree to wait",
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
    "conflict": "changes that only one node had gave way to the master's and are kept under a name",
    "gate_refused": "a login with the pair's key asked for something that the key is not for",
    "metrics_unavailable": "the metrics port cannot be opened",
    "metrics_available": "the metrics port could be opened after all",
    "file_unwritable": "a file of the service cannot be written",
    "repeated": "a kind of line came so often that some were left out",
    "internal": "the service met something it should not have met",
    "interval_refused": "this host was measured not to keep `advert_interval`; a longer one is used",
    "transport_changed": "another transport decides who is master from now on",
    "peer_version": "the peer speaks a version of its standard that this node does not",
    "peer_addresses": "the peer advertises other addresses than this node",
    "foreign_arp": "another machine claims a floating address that this node holds",
    "address_guarded": "a floating address appeared on a node that is not master and was removed",
    "address_restored": "somebody else removed a floating address from the master; it was added again",
    "elector_refused": "the host refuses what the elector cannot work without",
    "realtime_refused": "the elector works without real-time scheduling or locked memory",
    "cannot_watch": "a folder cannot be watched; it is compared now and then",
    "events_lost": "the kernel told of too many changes; everything is compared",
    "not_replicated": "a socket, pipe or device in the tree is left out",
    "replication_well": "replication works again after trouble",
    "state": "the version of the configuration cannot be recorded",
}
"""The words there are. A trouble of the replication has a word of its own for each kind, `replication_` and the kind."""

PASSING = frozenset({"hook_started", "hook_output", "applied", "repeated"})
"""Lines that come by the dozen and would push out of sight what people look for."""


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


_WHY = {
    Reason.START: "first decision after the start",
    Reason.ADDRESS_PRESENT: "the cluster address was already up here",
    Reason.FRESHER: "its configuration is the newer one",
    Reason.ELECTED: "priority, then the lower address",
    Reason.PEER_SILENT: "the master was not heard",
    Reason.PEER_RESIGNED: "the master resigned",
    Reason.PEER_MASTER: "there is a master already",
    Reason.RIVAL_WON: "two masters met and the other one stays",
    Reason.NOT_HEARD: "two masters met and the other one cannot hear this node",
    Reason.PAUSED: "this node did not run for longer than its peer waits",
    Reason.COMMAND: "an administrator said so",
    Reason.STANDBY: "an administrator took it out",
    Reason.FAULT: "something it depends on is down",
    Reason.RECOVERED: "what it depends on works again",
    Reason.SHUTDOWN: "the service stops",
    Reason.RESTARTED: "it was master before its restart, and its peer has waited",
    Reason.NO_WITNESS: "neither the peer nor a witness is heard",
    Reason.YIELD_FRESHER: "the peer came back with newer configuration",
}


def why_words(reason: str) -> str:
    """Return a reason in words; one of a later release as it is."""
    return _WHY[Reason(reason)] if reason in set(Reason) else reason


def role_sentence(node: str, change: RoleChange) -> str:
    """Return the one line about a change of role."""
    why = why_words(change.reason)
    if change.silent:
        why += f" for {change.silent // MILLISECOND} ms"
    if change.detail:
        why += f" ({change.detail})"
    took = f", addresses up after {change.took / MILLISECOND:.1f} ms" if change.took else ""
    return f"{node} is {Role(change.new).word} now, epoch {change.epoch}: {why}{took}"


def reference() -> str:
    """Return docs/logging.md, made from the table above."""
    lines = [_INTRODUCTION, "| SKD_EVENT | MESSAGE_ID | when |", "|---|---|---|"]
    lines += [f"| `{event}` | `{message_id(event)}` | {when} |" for event, when in EVENTS.items()]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
# Logging

Made from the code; a test keeps it so.

Under systemd every line goes to the journal with these fields beside `MESSAGE` and `PRIORITY`:

| field | meaning |
|---|---|
| `SKD_EVENT`, `MESSAGE_ID` | the kind of line, as a word and as the identifier that `journalctl` filters by |
| `SKD_ROLE`, `SKD_OLD_ROLE` | the role after and before a change |
| `SKD_REASON` | why it changed, the same word as in `status --json` and in the metrics |
| `SKD_EPOCH` | the mastership; it rises with each promotion |
| `SKD_PEER` | the address of the peer |
| `SKD_HOOK`, `SKD_OUTCOME`, `SKD_STATUS`, `SKD_SECONDS` | which hook, how it ended, its exit status, how long it ran |
| `SKD_CHECK` | which health check |
| `SKD_CLIENT` | the address whose login was refused |

What a line means and what to do about it is said by `journalctl -x` (the package brings the catalogue):

    journalctl -xu skudonet-ce-cluster
    journalctl -u skudonet-ce-cluster SKD_EVENT=role_changed
    journalctl -u skudonet-ce-cluster -o verbose SKD_EVENT=hook_failed
    journalctl -u skudonet-ce-cluster SKD_REASON=peer_silent --since -7d
    journalctl -u skudonet-ce-cluster SKD_EVENT=check_failed + SKD_EVENT=check_recovered
    journalctl -u skudonet-ce-cluster -p warning --since today

What led to a change of role, on both nodes and with the packets around it, is told by `skd-cluster why` ([why.md](why.md)), from a
recorder of its own: it needs no journal.

Without the journal the same lines go to standard error as `LEVEL event sentence key=value`.

Nothing waits for the log: a thousand lines are kept when the journal does not take them, more are dropped and counted in
`skd_cluster_log_lines_dropped_total`. Of one kind of line at most five in ten seconds are written, then how many more
there were.

Trouble with replication has further words, `replication_` and the kind of trouble, such as `replication_no_sshd`.

"""
