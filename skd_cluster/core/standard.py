"""The election of a node that is configured for CARP or VRRP: the same node, the same doors, the standard's decisions.

The native packets are said and understood all the same. They decide while the peer is heard natively and configured for
another transport than this node; in all other cases the standard does. So a pair changes its transport node by node,
and each knows role, version and digest of the other, which no standard has words for.
"""

from dataclasses import dataclass, field

from skd_cluster.core.actions import Action, Advertise, Claim, Identity, Send
from skd_cluster.core.dialect import Bid, Dialect
from skd_cluster.core.election import ElectionMachine
from skd_cluster.core.model import NEVER, Nanos, Reason, Role
from skd_cluster.core.timers import FAR, next_paced
from skd_cluster.core.wire import Advert, Flag

_ANNOUNCED_AFTER = 2
"""Advertisements after which ucarp announces again, having heard a weaker master."""


@dataclass  # without slots: they would break super()
class StandardElection(ElectionMachine):
    """One node's half. Hand it what `Dialect` reads as a bid by `on_bid`, and send what `Advertise` asks for."""

    dialect: Dialect = field(kw_only=True)
    standard: bool = field(default=True, init=False)
    """Whether the standard decides, and not the native rule."""
    heard: Bid | None = field(default=None, init=False)
    """The master last heard, if it did not resign."""
    heard_at: Nanos = field(default=NEVER, init=False)
    _because: Reason = field(default=Reason.PEER_SILENT, init=False)
    """Why this backup takes over when its wait is over: the master fell silent, resigned, or is outranked."""
    _advertise_at: Nanos = field(default=FAR, init=False)
    _announce_after: int = field(default=0, init=False)

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
        return self.standard and self.heard is not None and now - self.heard_at <= self.peer.patience

    # ---- events

    def awake(self, now: Nanos) -> list[Action]:
        """Tell the machine that the loop runs. A standard's master asks nobody: it hears its rival, and one stays by rank."""
        if not self.standard or self.role is not Role.MASTER:
            return super().awake(now)
        self._awake_at = now
        return []

    def on_advert(self, advert: Advert, now: Nanos, heard_us_at: Nanos) -> list[Action]:
        """Take a native packet. Where the standard decides it is news of the peer, and its word that it resigns."""
        self._go_by(advert.transport is self.dialect.transport, now)
        if not self.standard:
            return super().on_advert(advert, now, heard_us_at)
        first = self.peer.heard(advert, now, heard_us_at)
        self._other_key.forget()
        actions = self._recover(now)
        if self.role is not Role.MASTER:
            actions += self._adopt(advert.epoch)
        elif advert.role is not Role.MASTER and advert.epoch > self.epoch:
            actions += self._raise_epoch(advert.epoch)
        if self.role is Role.INIT and advert.role is Role.MASTER:
            actions += self._become(Role.BACKUP, Reason.PEER_MASTER, now)
        offered = advert.resigns and now >= self._resigned_until and self.peer.hears_us(now)
        if self.role is Role.BACKUP and offered:
            actions += self._promote(Reason.PEER_RESIGNED, now)
        return [*actions, Send()] if first or Flag.POLL in advert.flags else actions

    def on_bid(self, bid: Bid, now: Nanos) -> list[Action]:
        """Take an advertisement of the standard, authenticated as far as the standard can."""
        if not self.standard:
            return []  # it is the peer's only if it was said before the native rule came into force
        self._other_key.forget()
        actions = self._recover(now)
        if not bid.resigns:
            self.heard, self.heard_at = bid, now
            self._silence.master_heard_at = now
            self._excused = False
            self._impose()
        match self.role:
            case Role.INIT if not bid.resigns:
                actions += self._become(Role.BACKUP, Reason.PEER_MASTER, now)
            case Role.BACKUP:
                actions += self._follow_bid(bid, now)
            case Role.MASTER:
                actions += self._defend_bid(bid, now)
            case _:
                pass
        return actions

    def on_bad_key(self, now: Nanos) -> list[Action]:
        """Take note that the peer's address speaks with another key."""
        return super().on_bad_key(now) if self.heard is None else []

    def on_timer(self, now: Nanos, *, drained: bool = True) -> list[Action]:
        """Do what is due."""
        if now >= self._send_at and not self.peer.alive(now):
            self._go_by(True, now)
        actions = super().on_timer(now, drained=drained)
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

    def _follow_bid(self, bid: Bid, now: Nanos) -> list[Action]:
        """BACKUP has heard a master."""
        if self.dialect.gives_up(self.me, bid):
            return self._promote(Reason.PEER_RESIGNED, now)
        preempts = self.me.preempt and now - self.since >= self.me.preempt_delay
        if preempts and not bid.resigns and bid.weaker(self.dialect.bid(self.me)):
            self._because = Reason.ELECTED
            return self._promote(Reason.ELECTED, now) if self.dialect.at_once else []
        self._because = Reason.PEER_RESIGNED if bid.resigns else Reason.PEER_SILENT
        self._silence.wait(Nanos(now + self.dialect.patience(self.me, bid)))
        return []

    def _defend_bid(self, bid: Bid, now: Nanos) -> list[Action]:
        """MASTER has heard another one."""
        ours = self.dialect.bid(self.me)
        if not bid.resigns and bid.rank > ours.rank:
            # The last word tells the other one that there was a rival, so that it announces its addresses again.
            return [*self._become(Role.BACKUP, Reason.RIVAL_WON, now), Advertise()]
        if self.dialect.repeats or bid.resigns:
            self._advertise_at = Nanos(now + ours.interval)
            return [Advertise()]
        self._announce_after = _ANNOUNCED_AFTER
        return [Claim()]

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
        self._advertise_at = FAR
        self._announce_after = 0
        self._because = Reason.PEER_SILENT
        return super()._become(new, reason, now, detail, silent=silent)

    def _go_by(self, standard: bool, now: Nanos) -> None:  # noqa: FBT001 -- the one thing it is about
        """Let the standard decide from now on, or the native rule. No role changes by that; who waits, waits anew."""
        if standard is self.standard:
            return
        self.standard = standard
        self._impose()
        if self.role in (Role.INIT, Role.BACKUP):
            self._silence.wait(Nanos(now + self.peer.patience))
        self._advertise_at = now if standard and self.role is Role.MASTER else FAR

    def _impose(self) -> None:
        self.peer.imposed = self.dialect.patience(self.me, self.heard) if self.standard else NEVER
