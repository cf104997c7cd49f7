"""When to look, when to connect, what to send, when to try again: the replicator's decisions, without clock and IO.

Nothing is a queue: what has to be done is always the difference between our manifest and the one the peer confirmed.
So a missed event, a lost session and a refused batch need no memory: the difference is still there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, unique

from skd_cluster.core.comparison import Comparison, Part
from skd_cluster.core.deletions import DeletionGuard
from skd_cluster.core.lineage import Lineage
from skd_cluster.core.manifest import Manifest
from skd_cluster.core.model import SECOND, DataState, DataVersion, Nanos, nanos, seconds
from skd_cluster.core.reading import Reading
from skd_cluster.core.replication_actions import (
    Action,
    AskPeer,
    Batch,
    Connect,
    Disconnect,
    Send,
)
from skd_cluster.core.session import Refusal
from skd_cluster.core.troubles import Troubles

CONNECT_LIMIT = nanos(15)
ANSWER_LIMIT = nanos(60)
SLOWEST = 100_000
"""Bytes a second: a link slower than this is taken for hanging."""

_NEWER = "the peer holds a newer configuration than this master: waiting whether it becomes master"
FRESHER_WAIT = nanos(3)
"""The time of several packets: long enough for a master that should yield to do so."""


@unique
class Link(Enum):
    """How far the session is."""

    DOWN = "down"
    CONNECTING = "connecting"
    ASKING = "asking"
    READY = "ready"
    SENDING = "sending"


@dataclass(slots=True)
class Totals:
    """What became of the attempts so far. `lags` are those of the confirmed batches since the owner last took them."""

    runs: dict[str, int] = field(default_factory=lambda: {"ok": 0, "refused": 0, "failed": 0})
    files: int = 0
    size: int = 0
    lags: list[float] = field(default_factory=list)

    def confirmed(self, batch: Batch, now: Nanos) -> None:
        """Count a batch that the peer has confirmed."""
        self.runs["ok"] += 1
        self.files += len(batch.plan.entries) + len(batch.plan.delete)
        self.size += batch.plan.size
        self.lags.append(seconds(Nanos(now - batch.since)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the configuration says."""

    reconcile: Nanos
    max_delete: int


class ReplicationMachine:
    """Drives one replicator. Every method returns what to do; call `on_timer` when `deadline` has come.

    It starts with what was recorded and does nothing before `mastership`. `jitter` gives numbers
    from 0 to 1.
    """

    def __init__(self, limits: Limits, recorded: DataState, jitter: Callable[[], float]) -> None:
        self.lineage = Lineage(recorded)
        self.epoch = 0
        self.link = Link.DOWN
        self.totals = Totals()
        self._limits = limits
        self.troubles = Troubles(jitter)
        self._reading = Reading(limits.reconcile)
        self._settling = self._reading.settling
        self._trees = Comparison()
        self._their_version = DataVersion()
        self._wait_until: Nanos | None = None
        self._waited_for: DataVersion | None = None
        self._batch: Batch | None = None
        self._left = 0
        self._since: Nanos | None = None
        self._retry_at: Nanos | None = None
        self._limit_at: Nanos | None = None
        self._reconcile_at: Nanos | None = None
        self._guard = DeletionGuard(limits.max_delete)

    # --- what others may know ------------------------------------------------------------

    @property
    def in_sync(self) -> bool:
        """Whether the peer, in a living session, has confirmed all there is here."""
        known = self.link is Link.READY and self._trees.known
        return known and not (self._left or self._trees.unknown or len(self._settling) or self._retry_at is not None)

    @property
    def confirmed_tree(self) -> Manifest:
        """What the peer is known to hold."""
        return {} if self._trees.theirs is None else self._trees.theirs.entries

    @property
    def pending(self) -> int:
        """How many paths the peer has not confirmed, as far as known; 1 for an unknown number."""
        known = self._left + len(self._settling) + len(self._trees.unreadable)
        return known or int(self.lineage.unshared)

    @property
    def pending_since(self) -> Nanos | None:
        """When the oldest unconfirmed change was made."""
        instants = [one for one in (self._since, self._settling.oldest) if one is not None]
        return min(instants, default=None)

    @property
    def deadline(self) -> Nanos | None:
        """The next instant at which `on_timer` has something to do."""
        if not self.epoch:
            return None
        instants = [self._limit_at, self._retry_at if self._limit_at is None else None]
        if self.link is not Link.SENDING:
            instants.append(self._reading.deadline)
        if self.link is Link.READY and self._retry_at is None:
            instants.append(self._reconcile_at)
        return min((one for one in instants if one is not None), default=None)

    # --- what happens --------------------------------------------------------------------

    def mastership(self, epoch: int, now: Nanos) -> list[Action]:
        """Learn that this node is master of `epoch`."""
        self.epoch = epoch
        return self.sync_now(now)

    def sync_now(self, now: Nanos, *, allow_delete: bool = False, asked: bool = True) -> list[Action]:
        """Compare all the peer holds, without waiting for a retry. Who `asked` has our own tree read and hears what is wrong."""
        if allow_delete:
            self._guard.allow()
        self.troubles.impatient(now, asked=asked)
        if asked:
            self._reading.everything()
        if self.link is not Link.SENDING:
            self._trees.forget()
        if self._limit_at is None:
            self._retry_at = now if self._wait_until is None else max(now, self._wait_until)
        return self.on_timer(now)

    def touched(self, key: str, now: Nanos, *, writing: bool = False) -> None:
        """Learn that a path changed, or is being changed. The deadline may be nearer afterwards."""
        self._settling.touch(key, now, writing=writing)

    def lost_track(self, now: Nanos) -> list[Action]:
        """Learn that events were lost: anything may have changed."""
        self._reading.everything()
        self._since = self._since or now
        return self.on_timer(now)

    def blind(self, now: Nanos) -> None:
        """Learn that not all changes can be watched: the tree has to be read now and then."""
        self._reading.blind(now)

    def holds(self, manifest: Manifest, version: DataVersion, now: Nanos) -> list[Action]:
        """Learn what the peer holds, and of which version that is."""
        self._rest(Link.READY)
        newer = version > self.lineage.version and version.epoch != self.epoch
        if newer and self._waited_for != version:
            # The election may still give the mastership to who has the newer configuration: nothing is sent before.
            self._waited_for = version
            self._trees.forget()
            self._retry_at = self._wait_until = Nanos(now + FRESHER_WAIT)
            return [*self.troubles.tell("peer_newer", _NEWER, now)]
        self._trees.holds(manifest)
        self._their_version, self._wait_until = version, None
        self.lineage.rise_above(version)
        self._reconcile_at = Nanos(now + self._limits.reconcile)
        return self._read(now) or [*self._number(now), *self._compare(now)]

    def scanned(
        self, manifest: Manifest, unreadable: Mapping[str, str], changing: frozenset[str], now: Nanos
    ) -> list[Action]:
        """Learn what our tree holds. `changing` includes what was held."""
        self._trees.read(manifest, unreadable, changing)
        return self._seen(unreadable, changing, now)

    def looked(self, part: Part, now: Nanos) -> list[Action]:
        """Learn a part of what our tree holds."""
        self._trees.looked(part)
        return self._seen(part.unreadable, part.changing, now)

    def confirmed(self, found: str, now: Nanos) -> list[Action]:
        """Learn that the peer applied the batch, and the digest of its tree then."""
        batch, self._batch = self._batch, None
        self._rest(Link.READY)
        if batch is None:
            return self.on_timer(now)
        if found != batch.digest:
            self._trees.forget()
            return self._failed("refused", "differs", "the peer's tree is not the same after the push", now)
        self._trees.confirmed(batch.plan)
        self._their_version = batch.version
        self._left = 0
        self._guard.confirmed(len(batch.plan.delete), now)
        self.totals.confirmed(batch, now)
        self._since = None
        return [*self._well(), *self.lineage.agree(self._their_version), *self.on_timer(now)]

    def refused(self, reason: str, text: str, now: Nanos) -> list[Action]:
        """Learn that the peer refused a batch or a question. What it holds now is not known."""
        self._batch = None
        self._trees.forget()
        if self.link is Link.CONNECTING:
            return [Disconnect(), *self.lost(reason, text, now)]
        self._rest(Link.READY)
        if reason in (Refusal.CHANGED, Refusal.DIFFERS):
            self._reading.everything()
        return self._failed("refused", reason, text, now)

    def moved(self, key: str, now: Nanos) -> list[Action]:
        """Learn that a content changed between reading the tree and sending it: nothing was sent."""
        self._batch = None
        self._rest(Link.READY)
        self.touched(key, now)
        return self._compare(now)

    def lost(self, kind: str, text: str, now: Nanos) -> list[Action]:
        """Learn that the session ended, or did not come about."""
        self._batch = None
        self._trees.forget()
        self._wait_until = None
        self._rest(Link.DOWN)
        return self._failed("failed", kind, text, now)

    def on_timer(self, now: Nanos) -> list[Action]:
        """Do what is due."""
        if not self.epoch:
            return []
        if self._limit_at is not None and now >= self._limit_at:
            return [Disconnect(), *self.lost("timeout", f"no answer from the peer while {self.link.value}", now)]
        if self._retry_at is not None and self._limit_at is None and now >= self._retry_at:
            self._retry_at = None
        actions: list[Action] = []
        if self.link is Link.DOWN and self._retry_at is None:
            self.link, self._limit_at = Link.CONNECTING, Nanos(now + CONNECT_LIMIT)
            actions.append(Connect())
        reconcile = self._reconcile_at is not None and now >= self._reconcile_at
        if self.link is Link.READY and self._retry_at is None and (self._trees.theirs is None or reconcile):
            actions += self.connected(now)
            if reconcile:
                self._reading.everything()
        return actions + self._read(now)

    # --- how it is decided ---------------------------------------------------------------

    def _read(self, now: Nanos) -> list[Action]:
        if self.link is Link.SENDING:
            return []  # what changes now is compared when the batch is through
        action, since = self._reading.due(now, self._trees.unreadable)
        self._since = min((one for one in (self._since, since) if one is not None), default=None)
        return [] if action is None else [action]

    def _seen(self, unreadable: Mapping[str, str], changing: frozenset[str], now: Nanos) -> list[Action]:
        """Go on after our tree, or a part of it, was read."""
        self._reading.read(now, changing, unreadable=bool(self._trees.unreadable))
        actions: list[Action] = []
        for key, words in unreadable.items():
            actions += self.troubles.tell(f"unreadable {key}", f"cannot be read and is not replicated: {words}", now)
        return [*actions, *self._number(now), *self._compare(now)]

    def _number(self, now: Nanos) -> list[Action]:
        """Give our tree its version, if it has not got it."""
        actions: list[Action] = [*self.lineage.number(self._trees.digest, self.epoch)]
        if self.lineage.unshared:
            self._since = self._since or now
        return actions

    def _compare(self, now: Nanos) -> list[Action]:
        """Send what the peer lacks, when it can be told and taken."""
        theirs = self._trees.theirs
        if theirs is None or self.link is not Link.READY or self._retry_at is not None:
            return []
        plan = self._trees.plan(self._settling.held(now))
        self._left = len(plan.entries) + len(plan.delete)
        if plan.empty and self._their_version == self.lineage.version:
            self._since = None
            return [*self._well(), *self.lineage.agree(self._their_version)]
        if self._guard.holds(plan, theirs.entries, now):
            return [*self.troubles.tell("max_delete", self._guard.words(plan, theirs.entries), now)]
        batch = Batch(plan, self.epoch, self.lineage.version, theirs.digest_after(plan), self._since or now)
        self._batch, self.link = batch, Link.SENDING
        self._limit_at = Nanos(now + ANSWER_LIMIT + plan.size * SECOND // SLOWEST)
        return [Send(batch)]

    def connected(self, now: Nanos) -> list[Action]:
        """Learn that the peer said hello: ask what it holds."""
        self.link, self._limit_at = Link.ASKING, Nanos(now + ANSWER_LIMIT)
        self._reading.refresh(now)
        return [AskPeer()]

    def _rest(self, link: Link) -> None:
        self.link, self._limit_at = link, None

    def _well(self) -> list[Action]:
        """Forget what was wrong: all is well again, except what cannot be read."""
        self.troubles.over()
        self._guard.settle()
        return [] if self._trees.unreadable else [*self.troubles.forget()]

    def _failed(self, result: str, kind: str, text: str, now: Nanos) -> list[Action]:
        self.totals.runs[result] += 1
        self._retry_at = Nanos(now + self.troubles.wait())
        return [*self.troubles.tell(kind, text, now)]
