"""Who is master: the state machine. Events and `now` in, actions out; every decision is in this file.

    INIT ──► BACKUP ◄──► MASTER          any ──► FAULT ──► BACKUP        any ──► STANDBY ──► BACKUP

The caller's duties: call `awake` first after each wait, hand over every packet that has arrived before `on_timer` is
asked to judge silence, perform the actions in order, and call `on_timer` at or after `deadline`.
"""

from dataclasses import dataclass, replace

from skd_cluster.core.actions import Action, Claim, Identity, Send
from skd_cluster.core.model import (
    MILLISECOND,
    NEVER,
    FaultNote,
    Nanos,
    Reason,
    Role,
)
from skd_cluster.core.standing import Standing
from skd_cluster.core.timers import FAR, answered_pace
from skd_cluster.core.wire import Advert, Flag


@dataclass(slots=True)
class ElectionMachine(Standing):
    """One node's half of the election. Pure: no clock, no chance, no IO; it never raises on what a peer says."""

    # ---- events

    def start(self, now: Nanos, *, present: bool, standby: bool = False, resumes: bool = False) -> list[Action]:
        """Begin. `present`: the cluster address is up here already, which chooses the first master.

        `resumes`: this node was the master of its epoch until a moment ago, and its peer waits for it (`restart`).
        """
        self.since = self._awake_at = self._send_at = now
        self._present = present
        if standby:
            return self._become(Role.STANDBY, Reason.STANDBY, now)
        if resumes and self.role is Role.INIT:
            self._send_at = Nanos(now + self.me.interval)
            return [*self._become(Role.MASTER, Reason.RESTARTED, now), Send()]
        if self.role is Role.INIT:
            self._silence.wait(Nanos(now + self.peer.patience))
        return self._check_faults(now)

    def awake(self, now: Nanos) -> list[Action]:
        """Tell the machine that the loop runs. One that overslept asks before it acts.

        A master that was silent for longer than the peer waits drops its addresses first, unless the peer was gone
        before: then nobody was there to take over. Anybody else gives the peer its patience anew, once a silence, since the
        packets that came meanwhile may be lost with the pause.
        """
        due, ran_at, self._awake_at = self.deadline, self._awake_at, now
        if self.role is Role.MASTER:
            # Not the length of the sleep: the peer counts from our last advertisement, which is older.
            silent = Nanos(now - (self._send_at - self.me.interval))
            if silent > self.peer.their_patience and self.peer.alive(ran_at):
                self._asking = True
                detail = f"did not run for {(now - ran_at) // MILLISECOND} ms"
                return [*self._become(Role.BACKUP, Reason.PAUSED, now, detail), Send()]
        elif self._silence.judge_at != FAR and now - due > self.peer.interval // 2 and not self._excused:
            self._excused = True
            self._silence.postpone(Nanos(now + self.peer.patience))
        return []

    def on_advert(self, advert: Advert, now: Nanos, heard_us_at: Nanos) -> list[Action]:
        """Take a packet that `core.peer` has judged to be the peer's and new."""
        first = self.peer.heard(advert, now, heard_us_at)
        self._other_key.forget()
        actions = self._recover(now)
        back = self._restart.heard(advert, now, current=self.peer.hears_us(now))
        if back and self.role is Role.BACKUP:
            self._silence.wait(Nanos(now + self.peer.patience))  # its silence counts as everybody's again
        if advert.role is Role.MASTER:
            self._silence.master_heard_at = now
            self._resigned_until = NEVER
            self._excused = False
        match self.role:
            case Role.INIT:
                actions += self._meet(advert, now)
            case Role.BACKUP:
                actions += self._follow(advert, now)
            case Role.MASTER:
                actions += self._defend(advert, now)
            case Role.FAULT | Role.STANDBY:  # pragma: no branch -- mypy proves that these are all
                actions += self._adopt(advert.epoch)
        asked = first or Flag.POLL in advert.flags  # the first one's answer lets the peer prove us too
        if asked and not any(isinstance(action, Send) for action in actions):
            actions.append(Send())
        return actions

    def on_bad_key(self, now: Nanos) -> list[Action]:
        """Take note that the peer's address speaks with another key. Only a node that has verified nothing cares."""
        if self.peer.last is not None or self._other_key.overridden or self.role is Role.MASTER:
            return []
        self._other_key.heard_at = now
        return self._check_faults(now)

    def on_timer(self, now: Nanos, *, drained: bool = True) -> list[Action]:
        """Do what is due. Silence is judged only when every packet that has arrived was handed over (`drained`)."""
        actions: list[Action] = []
        if now >= self._other_key.deadline:
            self._other_key.forget()
            actions += self._check_faults(now)
        if now >= self._silence.judge_at and drained:
            actions += self._judge(now)
        if self._silence.poll(now, self.peer.interval):
            actions.append(Send())
        if now >= self._send_at:
            self._keep_pace(now)
            actions += [*self._look_for_witness(now), Send(paced=self._paced)]
        return actions

    def set_faults(self, faults: frozenset[FaultNote], now: Nanos) -> list[Action]:
        """Replace what is wrong on this node; a master with a fault resigns."""
        self.faults = faults
        return self._check_faults(now)

    def retune(self, me: Identity, now: Nanos) -> list[Action]:
        """Be asked to be something else from now on; nobody's role changes by that alone.

        The peer hears of it at once. It waits for us as long as we said last, so a longer interval is said for its whole
        patience before it is kept: who has heard none of these would have taken over anyway.
        """
        pace = min(self.me.interval, me.interval)
        self._longer_at = Nanos(now + self.peer.their_patience) if me.interval > pace else FAR
        self._announced = me.interval
        self.me = self.peer.me = replace(me, interval=pace)
        self._silence.probing = me.probing
        self._send_at = Nanos(now + pace)
        return [Send()]

    def failover(self, now: Nanos, *, force: bool = False) -> tuple[str, list[Action]]:
        """Hand over to the peer. Returns why not (empty: done) and the actions."""
        if self.role is not Role.MASTER:
            return f"this node is {self.role.word}, only the master can hand over", []
        if not force:
            refusal = self.peer.unfit(now) or self.peer.outdated(self.data)
            if refusal:
                return refusal, []
        return "", self._resign(Role.BACKUP, Reason.COMMAND, now)

    def standby(self, now: Nanos) -> list[Action]:
        """Take this node out, whatever the other one does."""
        if self.role is Role.STANDBY:
            return []
        return self._leave(Role.STANDBY, Reason.STANDBY, now)

    def online(self, now: Nanos, *, force: bool = False) -> list[Action]:
        """Take part again; with `force` also while the peer speaks with another key."""
        if force:
            self._other_key.override()
        back = self._become(Role.BACKUP, Reason.COMMAND, now) if self.role is Role.STANDBY else []
        return [*back, *self._check_faults(now)]

    def stop(self, now: Nanos) -> list[Action]:
        """Leave for good."""
        return self._leave(Role.STANDBY, Reason.SHUTDOWN, now)

    # ---- decisions

    def _meet(self, advert: Advert, now: Nanos) -> list[Action]:
        """INIT has found its peer."""
        if advert.role is Role.MASTER:
            self.epoch = max(self.epoch, advert.epoch)
            return self._become(Role.BACKUP, Reason.PEER_MASTER, now)
        if not self.peer.hears_us(now):
            return []  # made before we slept: somebody may be master since
        # A backup that has met us first waits for us by the same rule; one that has lost its master waits anyway.
        undecided = advert.role in (Role.INIT, Role.BACKUP) and not advert.resigns
        if undecided and not self._claimant.goes_first(advert):
            return self._become(Role.BACKUP, Reason.START, now)
        self._blind = advert.role in (Role.FAULT, Role.STANDBY)
        return self._promote(self._claimant.reason(advert), now)

    def _follow(self, advert: Advert, now: Nanos) -> list[Action]:
        """BACKUP has heard its peer."""
        if advert.role is Role.MASTER:
            # One that took over while we were paused and still held the addresses has to announce them again.
            seen = max(self.epoch, advert.epoch) + 1 if self._asking else advert.epoch
            self._asking = False
            self._silence.heard(now, self.peer.interval, self.peer.patience)
            if self._restart.waits(now):
                self._silence.postpone(self._restart.waits_until)
            return [*self._adopt(seen), *self._answer_pace(advert, now)]
        adopted = self._adopt(advert.epoch)
        if advert.resigns and now >= self._resigned_until and self.peer.hears_us(now):
            # One that does not echo us was made before we slept, and may have been withdrawn since.
            return [*adopted, *self._promote(Reason.PEER_RESIGNED, now)]
        if self._asking and self.peer.heard_us_at >= self.since:
            # Composed after we woke: nobody is master, and nobody but us was.
            return [*adopted, *self._promote(Reason.RECOVERED, now)]
        return adopted

    def _answer_pace(self, advert: Advert, now: Nanos) -> list[Action]:
        """Say the hello that is due soon now: two nodes of one pace then wake up once an interval instead of twice.

        Waking up costs more than all that is done then (docs/performance.md). The next one is due a little after the next
        advertisement, which only has to come.
        """
        same_pace = Flag.PACED in advert.flags and advert.interval == self.me.interval
        if not same_pace or now < self._send_at - self.me.interval // 2:
            return []
        self._send_at = Nanos(now + answered_pace(self.me.interval))
        return [Send(paced=self._paced)]

    def _defend(self, advert: Advert, now: Nanos) -> list[Action]:
        """MASTER has heard its peer."""
        if advert.role is Role.MASTER:
            return self._rival(advert, now)
        fit = not self.peer.unfit(now)
        fresher = self._blind and advert.data > self.data
        self._blind = self._blind and not fit
        if fit and fresher:
            return self._resign(Role.BACKUP, Reason.YIELD_FRESHER, now)
        if self._rivalry.over() or advert.epoch > self.epoch:
            # There were two, and the other one has yielded: caches may have learnt the wrong one, so announce again.
            return [*self._raise_epoch(advert.epoch), Claim(), Send()]
        if fit and Flag.WANTED in advert.flags:
            return self._resign(Role.BACKUP, Reason.ELECTED, now)
        return []

    def _rival(self, advert: Advert, now: Nanos) -> list[Action]:
        """Two masters have met: one yields. Who has changed nothing meanwhile goes before who has, else by rank.

        One that is not heard cannot make the other yield, so it yields itself after its rival had the time to hear it:
        counted from when they met, and anew when they have lost each other in between.
        """
        unshared = Flag.UNSHARED in advert.flags
        stays = self.peer.yields_to_us if unshared == self.unshared else self.unshared
        if not stays:
            return self._yield(advert, Reason.RIVAL_WON, now)
        if self._rivalry.meets(self.peer, now):
            return [Send()]
        if self._rivalry.unheard(self.peer, now):
            return self._yield(advert, Reason.NOT_HEARD, now)
        return []

    def _yield(self, advert: Advert, reason: Reason, now: Nanos) -> list[Action]:
        """Leave the addresses to the other master, which announces them again when it sees an epoch above its own."""
        self.epoch = max(self.epoch, advert.epoch) + 1
        return [*self._become(Role.BACKUP, reason, now), Send()]

    def _judge(self, now: Nanos) -> list[Action]:
        """Silence has lasted long enough. Without a witness it may be ours: wait for one, as for who is only restarted."""
        if self._restart.waits(now) or not self.witnessed:
            self._silence.postpone(Nanos(now + self.me.interval))
            return []
        heard_at = self._silence.master_heard_at
        self._blind = not heard_at
        if self.role is Role.INIT:
            return self._promote(self._claimant.reason(None), now)
        silent = Nanos(now - heard_at) if heard_at else NEVER
        return self._promote(self._silent_because, now, silent)

    def _look_for_witness(self, now: Nanos) -> list[Action]:
        """Step down as a master that sees neither its peer nor a witness: it is the one that is cut off."""
        if self.role is not Role.MASTER or self.witnessed or self.peer.alive(now):
            return []
        return self._become(Role.BACKUP, Reason.NO_WITNESS, now)

    def _check_faults(self, now: Nanos) -> list[Action]:
        """Go to FAULT or leave it, as what is wrong demands. STANDBY outranks FAULT: somebody chose it."""
        faulty = bool(self.all_faults())
        if faulty and self.role not in (Role.FAULT, Role.STANDBY):
            detail = "; ".join(f"{note.fault} {note.detail}".strip() for note in sorted(self.all_faults()))
            return self._leave(Role.FAULT, Reason.FAULT, now, detail)
        return self._recover(now)

    def _recover(self, now: Nanos) -> list[Action]:
        """Leave FAULT, if there is none any more."""
        if self.role is not Role.FAULT or self.all_faults():
            return []
        return self._become(Role.BACKUP, Reason.RECOVERED, now)
