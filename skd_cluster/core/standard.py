"""The election of a node that is configured for CARP or VRRP: the same node, the same doors, the standard's decisions.

The native packets are said and understood all the same. The native rule decides while the peer is heard natively and
configured for another transport than this node; in all other cases the standard does. So a pair changes its transport
node by node, and each knows role, version and digest of the other, which no standard has words for.

A peer that is heard natively is believed natively only: its word that it is master counts as the bid that it makes, and
bids, which can be recorded and forged, count as long as there is nothing better (docs/protocol.md).
"""

from dataclasses import dataclass, field, replace

from skd_cluster.core.actions import Action, Advertise, Claim, Identity, Send
from skd_cluster.core.dialect import Bid, Dialect
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import NEVER, SECOND, Nanos, Reason, Role
from skd_cluster.core.timers import FAR, next_paced
from skd_cluster.core.wire import Advert, Flag

_ANNOUNCED_AFTER = 2
"""Advertisements after which ucarp announces again, having heard a weaker master."""

_ANNOUNCED_EVERY = SECOND
"""At most, beside a weaker master that hears nobody and advertises each hundredth of a second."""


@dataclass  # without slots: they would break super()
class StandardElection(ElectionMachine):
    """One node's half. Hand it what `Dialect` reads as a bid by `on_bid`, and send what `Advertise` asks for."""

    dialect: Dialect = field(kw_only=True)
    standard: bool = field(default=True, init=False)
    """Whether the standard decides, and not the native rule."""
    heard_at: Nanos = field(default=NEVER, init=False)
    """When a master was heard in the standard that did not resign."""
    _gone: bool = field(default=False, init=False)
    """Whether it has resigned since."""
    _followed: Bid | None = field(default=None, init=False)
    """The last word of the master that this backup follows."""
    _because: Reason = field(default=Reason.PEER_SILENT, init=False)
    """Why this backup takes over when its wait is over: the master fell silent, resigned, or is outranked."""
    _advertise_at: Nanos = field(default=FAR, init=False)
    _announce_after: int = field(default=0, init=False)
    _announced_until: Nanos = field(default=NEVER, init=False)
    """Until then the announcement beside a weaker master counts."""

    def __post_init__(self) -> None:
        """Go by the standard until the peer is met."""
        super().__post_init__()
        self._impose()

    @property
    def deadline(self) -> Nanos:
        """The next instant at which `on_timer` has something to do."""
        return min(super().deadline, self._advertise_at)

    def follows(self, now: Nanos) -> bool:
        """Whether a master that speaks the standard is heard."""
        there = self.standard and self.heard_at != NEVER and not self._gone
        return there and now - self.heard_at <= self.peer.patience

    # ---- events

    def awake(self, now: Nanos) -> list[Action]:
        """Tell the machine that the loop runs. A standard's master asks nobody: it hears its rival, and one stays by rank."""
        if not self.standard or self.role is not Role.MASTER:
            return super().awake(now)
        self._awake_at = now
        return []

    def on_advert(self, advert: Advert, now: Nanos, heard_us_at: Nanos) -> list[Action]:
        """Take a native packet. Where the standard decides, MASTER in it is a bid, and RESIGNED an offer."""
        self._go_by(advert.transport is self.dialect.transport, now)
        if not self.standard:
            return super().on_advert(advert, now, heard_us_at)
        first = self.peer.heard(advert, now, heard_us_at)
        self._other_key.forget()
        actions = self._recover(now)
        if self.role is not Role.MASTER:
            actions += self._adopt(advert.epoch)
        if advert.role is Role.MASTER:
            actions += self._weigh_native(advert, now)
        elif self.role is Role.MASTER and (self._rivalry.over() or advert.epoch > self.epoch):
            # There were two, and the other one has yielded: caches may have learnt the wrong one, so announce again.
            actions += [*self._raise_epoch(advert.epoch), Claim(), Send()]
        offered = advert.resigns and now >= self._resigned_until and self.peer.hears_us(now)
        if self.role is Role.BACKUP and offered:
            actions += self._promote(Reason.PEER_RESIGNED, now)
        asked = (first or Flag.POLL in advert.flags) and not any(isinstance(action, Send) for action in actions)
        return [*actions, Send()] if asked else actions

    def on_bid(self, bid: Bid, now: Nanos) -> list[Action]:
        """Take an advertisement of the standard, authenticated as far as the standard can."""
        if not self.standard or self.peer.alive(now):
            return []  # what it says natively cannot be forged, and is the same
        self._other_key.forget()
        self._gone = bid.resigns
        if not bid.resigns:
            self.heard_at = now
        actions = self._recover(now)
        return [*actions, *self._weigh(bid, self.dialect.bid(self.me), now)]

    def on_bad_key(self, now: Nanos) -> list[Action]:
        """Take note that the peer's address speaks with another key."""
        return super().on_bad_key(now) if self.heard_at == NEVER else []

    def on_timer(self, now: Nanos, *, drained: bool = True) -> list[Action]:
        """Do what is due."""
        actions = super().on_timer(now, drained=drained)
        if not self.peer.alive(now):
            self._go_by(True, now)
        if now < self._advertise_at:
            return actions
        self._advertise_at = next_paced(self._advertise_at, self.dialect.bid(self.me).interval, now)
        actions.append(Advertise())
        if self._announce_after:
            self._announce_after -= 1
            if not self._announce_after:
                actions.append(Claim())
        return actions

    def retune(self, me: Identity, now: Nanos) -> list[Action]:
        """Be asked to be something else from now on, and say so at once."""
        actions = super().retune(me, now)
        if self.standard:
            self._impose()
            self._advertise_at = now if self.role is Role.MASTER else FAR
        return actions

    def failover(self, now: Nanos, *, force: bool = False) -> tuple[str, list[Action]]:
        """Hand over to the peer. Returns why not (empty: done) and the actions."""
        if self.standard and self.role is Role.MASTER and not force and not self.peer.alive(now):
            word = self.dialect.transport.word
            return f"a backup of {word} is silent, so whether it could take over is not known here: --force tries", []
        return super().failover(now, force=force)

    def restart(self, now: Nanos) -> list[Action]:
        """Tell the peer that this node is about to be started anew. A standard has no word for it: this node leaves."""
        return [] if self.standard else super().restart(now)

    # ---- decisions

    def _weigh_native(self, advert: Advert, now: Nanos) -> list[Action]:
        """Take the peer's word that it is master as the bid that it makes; both go by the same ranks."""
        them = replace(self.me, interval=advert.interval, priority=advert.priority)
        us = replace(self.me, interval=self._announced)  # what the peer hears, before it is kept
        theirs, ours = self.dialect.bid(them, advert.sender), self.dialect.bid(us, self.dialect.local)
        if self.role is not Role.MASTER or theirs.rank > ours.rank:
            return self._weigh(theirs, ours, now)
        if self._rivalry.meets(self.peer, now):
            return [*self._weigh(theirs, ours, now), Send()]
        if self._rivalry.unheard(self.peer, now):
            self._followed = theirs
            return self._yield(advert, Reason.NOT_HEARD, now)
        return []

    def _weigh(self, bid: Bid, ours: Bid, now: Nanos) -> list[Action]:
        """Take a master's word in whatever role."""
        if not bid.resigns:
            self._silence.master_heard_at = now
            self._resigned_until = NEVER
            self._excused = self._asking = False
        match self.role:
            case Role.INIT if not bid.resigns:
                self._followed = bid
                return self._become(Role.BACKUP, Reason.PEER_MASTER, now)
            case Role.BACKUP:
                return self._follow_bid(bid, ours, now)
            case Role.MASTER:
                return self._defend_bid(bid, ours, now)
            case _:
                return []

    def _follow_bid(self, bid: Bid, ours: Bid, now: Nanos) -> list[Action]:
        """BACKUP has heard a master."""
        if self.dialect.gives_up(self.me, bid):
            return self._promote(Reason.PEER_RESIGNED, now)
        if bid.weaker(ours) and not bid.resigns and self._may_preempt(now):
            self._because = Reason.ELECTED
            return self._promote(Reason.ELECTED, now) if self.dialect.at_once else []
        if not bid.resigns:
            self._followed = bid
            self._impose()
        self._because = Reason.PEER_RESIGNED if bid.resigns else Reason.PEER_SILENT
        self._silence.wait(Nanos(now + self.dialect.patience(self.me, bid)))
        return []

    def _may_preempt(self, now: Nanos) -> bool:
        """Whether this node may take over from a living master. One that is known to be behind, or not to be heard, may not."""
        if not self.me.preempt or now - self.since < self.me.preempt_delay:
            return False
        return not self.peer.alive(now) or (self.peer.hears_us(now) and not self._is_behind)

    @property
    def _is_behind(self) -> bool:
        return self.peer.last is not None and self.peer.last.data > self.data

    def _defend_bid(self, bid: Bid, ours: Bid, now: Nanos) -> list[Action]:
        """MASTER has heard another one. The loser's announcements came before it yields, so ours come again after that."""
        if not bid.resigns and bid.rank > ours.rank:
            self._followed = bid
            # The last word tells the other one that there was a rival, so that it announces its addresses again.
            return [*self._become(Role.BACKUP, Reason.RIVAL_WON, now), Advertise()]
        actions: list[Action] = []
        if self.dialect.repeats or bid.resigns:
            self._advertise_at = Nanos(now + ours.interval)
            actions.append(Advertise())
        if not bid.resigns:
            self._announce_after = _ANNOUNCED_AFTER
            if now >= self._announced_until:
                self._announced_until = Nanos(now + _ANNOUNCED_EVERY)
                actions.append(Claim())
        return actions

    def _look_for_witness(self, now: Nanos) -> list[Action]:
        """Step down as a master that is cut off, and say so: a backup that is silent may be there all the same."""
        actions = super()._look_for_witness(now)
        return [*actions, Advertise(resigns=True)] if actions and self.standard else actions

    @property
    def _silent_because(self) -> Reason:
        """Why nobody is heard to be master."""
        return self._because if self.standard else super()._silent_because

    # ---- the doors

    def _promote(self, reason: Reason, now: Nanos, silent: Nanos = NEVER) -> list[Action]:
        """Become MASTER, and say so in the standard as well."""
        actions = super()._promote(reason, now, silent)
        if not self.standard:
            return actions
        self._advertise_at = Nanos(now + self.dialect.bid(self.me).interval)
        return [*actions, Advertise()]

    def _resign(self, role: Role, reason: Reason, now: Nanos, detail: str = "") -> list[Action]:
        """Give the addresses up first and say so then, in both languages."""
        actions = super()._resign(role, reason, now, detail)
        return [*actions, Advertise(resigns=True)] if self.standard else actions

    def _become(
        self, new: Role, reason: Reason, now: Nanos, detail: str = "", *, silent: Nanos = NEVER
    ) -> list[Action]:
        """Assign the role: only a master advertises."""
        self._advertise_at = now if self.standard and new is Role.MASTER else FAR
        self._announce_after = 0
        self._announced_until = NEVER
        self._because = Reason.PEER_SILENT
        if new is not Role.BACKUP:
            self._followed = None
        self._impose()
        return super()._become(new, reason, now, detail, silent=silent)

    def _go_by(self, standard: bool, now: Nanos) -> None:  # noqa: FBT001 -- the one thing it is about
        """Let the standard decide from now on, or the native rule. No role changes by that, and nobody waits for longer."""
        if standard is self.standard:
            return
        self.standard = standard
        self._impose()
        self._advertise_at = now if standard and self.role is Role.MASTER else FAR

    def _impose(self) -> None:
        self.peer.imposed = self.dialect.patience(self.me, self._followed) if self.standard else NEVER
