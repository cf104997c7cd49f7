"""What a node is in the election, what it says, and the doors through which it changes. `core.election` decides."""

from dataclasses import dataclass, field, replace

from skd_cluster.core.actions import Action, Changed, Claim, Identity, Release, Send, Word
from skd_cluster.core.model import NEVER, DataVersion, FaultNote, Nanos, Reason, Role
from skd_cluster.core.otherkey import OtherKey
from skd_cluster.core.peerview import PeerView
from skd_cluster.core.precedence import Claimant, epoch_above
from skd_cluster.core.restarting import Restarting
from skd_cluster.core.rivalry import Rivalry
from skd_cluster.core.silence import Silence
from skd_cluster.core.timers import FAR, next_paced
from skd_cluster.core.wire import Flag

_NOTHING = Flag(0)


@dataclass(slots=True)
class Standing:
    """One node's state. It does nothing by itself: its doors return what has to be done when it changes."""

    me: Identity
    epoch: int = 0
    data: DataVersion = field(default_factory=DataVersion)
    role: Role = Role.INIT
    since: Nanos = NEVER
    reason: Reason = Reason.START
    faults: frozenset[FaultNote] = frozenset()
    peer: PeerView = field(init=False)
    _present: bool = False
    unshared: bool = False
    """Whether this node has changes of the configuration that its peer has not confirmed; the caller's to keep true."""
    witnessed: bool = True
    """Whether a witness answers; the caller's to keep true. Without one nobody is master without a peer."""
    _silence: Silence = field(init=False)
    """INIT: when to decide alone. BACKUP: when the master counts as lost."""
    _send_at: Nanos = FAR
    _announced: Nanos = field(init=False)
    """The interval that is said. While a longer one is news to the peer, `me.interval` is still the shorter one."""
    _longer_at: Nanos = FAR
    """When what is said is done."""
    _awake_at: Nanos = NEVER
    _resigned_until: Nanos = NEVER
    _other_key: OtherKey = field(default_factory=OtherKey)
    _blind: bool = False
    """Promoted without having followed a master or met a peer that could be one: newer configuration may come back."""
    _rivalry: Rivalry = field(default_factory=Rivalry)
    _restart: Restarting = field(default_factory=Restarting)
    _asking: bool = False
    """Was master and overslept: asks whether somebody took over."""
    _excused: bool = False
    """The silence was put down to our own pause once; a node that stutters must take over all the same."""

    def __post_init__(self) -> None:
        """Know nothing of the peer yet."""
        self.peer = PeerView(self.me)
        self._announced = self.me.interval
        self._silence = Silence(self.me.probing)

    # ---- what the caller reads

    @property
    def deadline(self) -> Nanos:
        """The next instant at which `on_timer` has something to do."""
        return min(self._send_at, self._silence.deadline, self._other_key.deadline)

    @property
    def judge_at(self) -> Nanos:
        """When silence is judged, by `on_timer` after everything that has arrived."""
        return self._silence.judge_at

    def word(self, now: Nanos, *, paced: bool) -> Word:
        """Return what to say now."""
        priority = self.me.priority
        flags = Flag.PACED if paced else _NOTHING
        if now < self._resigned_until:
            flags |= Flag.RESIGNED
            priority = 0
        if self.role is Role.INIT and self._present:
            flags |= Flag.PRESENT
        if self._asking or self._silence.polling:
            flags |= Flag.POLL
        if self._wants_mastership(now):
            flags |= Flag.WANTED
        if self.unshared:
            flags |= Flag.UNSHARED
        if self._restart.asking:
            flags |= Flag.RESTARTING | Flag.POLL
        return Word(priority, self.role, flags, self.epoch, self.data, self._announced, self.me.dead_ratio)

    def all_faults(self) -> frozenset[FaultNote]:
        """Everything that keeps this node from being master, the peer's other key included."""
        return self.faults | self._other_key.faults

    @property
    def _claimant(self) -> Claimant:
        return Claimant(self.me, self.data, self._present)

    @property
    def _paced(self) -> bool:
        """Whether what is sent by the clock comes at the pace that it says."""
        return self._announced == self.me.interval

    @property
    def _silent_because(self) -> Reason:
        """Why nobody is heard to be master."""
        return Reason.RECOVERED if self._asking else Reason.PEER_SILENT

    def _keep_pace(self, now: Nanos) -> None:
        """Set when to speak next, now that it is due; go over to a longer interval when the peer knows of it."""
        if now >= self._longer_at:
            self.me = self.peer.me = replace(self.me, interval=self._announced)
            self._longer_at = FAR
        self._send_at = next_paced(self._send_at, self.me.interval, now)

    def _wants_mastership(self, now: Nanos) -> bool:
        master = self.peer.last
        if self.role is not Role.BACKUP or master is None or master.role is not Role.MASTER:
            return False
        return now - self.since >= self.me.preempt_delay and self._claimant.wants_mastership(master)

    # ---- the doors

    def restart(self, now: Nanos) -> list[Action]:
        """Tell the peer, as a master, that this node is about to be started anew and keeps its addresses."""
        if self.role is not Role.MASTER:
            return []
        self._restart.ask(now)
        return [Send(copies=2)]

    def may_leave(self, now: Nanos) -> bool:
        """Whether nobody takes over while this node is started anew: the peer has heard that it should wait, or is gone."""
        return self.role is Role.MASTER and (
            self._restart.agreed(self.peer.heard_us_at) or (self._restart.asking and not self.peer.alive(now))
        )

    def _promote(self, reason: Reason, now: Nanos, silent: Nanos = NEVER) -> list[Action]:
        """Become MASTER. Never with a fault: such a node stays in INIT or BACKUP no longer than its fault is known."""
        self.epoch = epoch_above(max(self.epoch, self.peer.epoch, self.data.epoch), self.me)
        self._send_at = Nanos(now + self.me.interval)  # the pace begins with this word: the peer counts from it
        return [*self._become(Role.MASTER, reason, now, silent=silent), Send()]

    def _leave(self, role: Role, reason: Reason, now: Nanos, detail: str = "") -> list[Action]:
        """Go where no mastership is possible; a master says goodbye."""
        if self.role is Role.MASTER:
            return self._resign(role, reason, now, detail)
        return self._become(role, reason, now, detail)

    def _resign(self, role: Role, reason: Reason, now: Nanos, detail: str = "") -> list[Action]:
        """Give the addresses up first and say so then: two copies, and each hello repeats it until somebody is master."""
        actions = self._become(role, reason, now, detail)
        self._resigned_until = self._silence.judge_at  # FAR for those who cannot take it back
        return [*actions, Send(copies=2)]

    def _raise_epoch(self, seen: int) -> list[Action]:
        """Raise a master's epoch above every other one, or its replication would be refused."""
        self.epoch = epoch_above(max(self.epoch, seen), self.me)
        return [Changed(self.role, self.role, Reason.RIVAL_WON)]

    def _adopt(self, seen: int) -> list[Action]:
        """Follow an epoch, and have it remembered: a restart must not fall behind what was followed."""
        if seen <= self.epoch:
            return []
        self.epoch = seen
        return [Changed(self.role, self.role, self.reason)]

    def _become(
        self, new: Role, reason: Reason, now: Nanos, detail: str = "", *, silent: Nanos = NEVER
    ) -> list[Action]:
        """Assign the role, arm its timer, settle the addresses: the only door."""
        old, self.role = self.role, new
        self.since, self.reason = now, reason
        self._resigned_until = NEVER
        self._rivalry.over()
        self._restart.forget()
        self._excused = False
        self._blind = self._blind and new is Role.MASTER
        self._asking = self._asking and new is Role.BACKUP
        self._silence.wait(Nanos(now + self.peer.patience) if new is Role.BACKUP else FAR)
        ownership = Claim() if new is Role.MASTER else Release()
        return [ownership, Changed(old, new, reason, detail, silent)]
