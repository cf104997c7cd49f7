"""The replicator's machine against a peer made of two dictionaries, in virtual time."""

import heapq
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.comparison import Part
from skd_cluster.core.ledger import within
from skd_cluster.core.manifest import Entry, Kind, digest
from skd_cluster.core.model import SECOND, DataState, DataVersion, nanos
from skd_cluster.core.replication import Limits, Link, ReplicationMachine
from skd_cluster.core.replication_actions import AskPeer, Connect, Disconnect, Look, Record, Scan, Send, Tell
from skd_cluster.core.session import SMALL_FILE, SMALL_FILES, Refusal


def file(content, size=1):
    return Entry(Kind.FILE, 0o644, 0, 0, content, size)


@dataclass
class World:
    """One master and one peer. What the machine wants happens after the times below."""

    ours: dict = field(default_factory=dict)
    theirs: dict = field(default_factory=dict)
    their_version: DataVersion = field(default_factory=DataVersion)
    up: bool = True
    refusing: str = ""
    unreadable: dict = field(default_factory=dict)
    jitter: float = 1.0
    max_delete: int = 50

    def __post_init__(self):
        self.now = nanos(100)
        limits = Limits(nanos(300), self.max_delete)
        self.machine = ReplicationMachine(limits, DataState(), lambda: self.jitter)
        self.events, self.count, self.session, self.scans = [], 0, 0, 0
        self.log, self.connects, self.recorded = [], [], []

    def later(self, delay, action):
        self.count += 1
        heapq.heappush(self.events, (self.now + nanos(delay), self.count, self.session, action))

    def do(self, actions):
        waiting = list(actions)
        while waiting:
            action = waiting.pop(0)
            match action:
                case Connect():
                    self.session += 1
                    self.connects.append(self.now)
                    self.later(0.05, self.connect)
                case Disconnect():
                    self.session += 1
                case AskPeer():
                    held = dict(self.theirs)
                    self.later(0.005, lambda held=held: self.machine.holds(held, self.their_version, self.now))
                case Scan():
                    self.scans += 1
                    visible = {key: one for key, one in self.ours.items() if key not in self.unreadable}
                    waiting += self.machine.scanned(
                        {key: one for key, one in visible.items() if key not in action.hold},
                        self.unreadable,
                        action.hold,
                        self.now,
                    )
                case Look():
                    waiting += self.machine.looked(self.look(action), self.now)
                case Send():
                    self.later(0.01, lambda batch=action.batch: self.arrive(batch))
                case Record():
                    self.recorded.append(action.state)
                case Tell():
                    self.log.append((action.event, action.text))

    def look(self, action):
        keys = {key.removesuffix("/") for key in action.keys}
        unreadable = {key: words for key, words in self.unreadable.items() if within(key, keys)}
        found = {key: one for key, one in self.ours.items() if within(key, keys) and key not in action.hold}
        known = {key: one for key, one in found.items() if key not in unreadable}
        return Part(known, keys, unreadable, action.hold)

    def connect(self):
        if not self.up:
            return self.machine.lost("no_sshd", "no sshd answers", self.now)
        return self.machine.connected(self.now)

    def arrive(self, batch):
        if not self.up:
            return self.machine.lost("unreachable", "gone", self.now)
        if self.refusing:
            return self.machine.refused(self.refusing, f"refused: {self.refusing}", self.now)
        for key in batch.plan.delete:
            del self.theirs[key]
        self.theirs |= batch.plan.entries
        self.their_version = batch.version
        return self.machine.confirmed(digest(self.theirs), self.now)

    def down(self):
        """The peer goes away; an open session breaks."""
        self.up = False
        if self.machine.link is not Link.DOWN:
            self.session += 1
            self.do(self.machine.lost("unreachable", "the peer is gone", self.now))

    def run(self, seconds):
        end = self.now + nanos(seconds)
        for _ in range(20_000):
            deadline = self.machine.deadline
            instants = [one for one in (deadline, self.events[0][0] if self.events else None) if one is not None]
            if not instants or min(instants) > end:
                break
            self.now = max(self.now, min(instants))
            while self.events and self.events[0][0] <= self.now:
                _, _, session, action = heapq.heappop(self.events)
                if session == self.session:
                    self.do(action())
            self.do(self.machine.on_timer(self.now))
        else:
            raise AssertionError("it turns in circles")
        self.now = end

    def edit(self, key, content, *, seen=True):
        self.ours[key] = file(content)
        if seen:
            self.machine.touched(key, self.now)


def master(**more):
    world = World(**more)
    world.do(world.machine.mastership(1, world.now))
    return world


def test_nothing_happens_before_mastership():
    world = World(ours={"config/a": file("1")})
    assert world.machine.deadline is None
    assert world.machine.on_timer(world.now) == []


def test_the_first_comparison_makes_the_peer_equal():
    world = master(ours={"config/a": file("1"), "config/b": file("2")}, theirs={"config/z": file("9")}, max_delete=100)
    world.run(1)
    assert world.theirs == world.ours
    assert world.machine.in_sync
    assert world.their_version == world.machine.lineage.version == DataVersion(1, 1)
    # Unshared until the peer has confirmed it.
    held = DataState(DataVersion(1, 1), digest(world.ours))
    assert world.recorded == [held, replace(held, agreed=DataVersion(1, 1))]
    assert (world.recorded[0].unshared, world.recorded[1].unshared) == (True, False)
    assert world.machine.totals.runs == {"ok": 1, "refused": 0, "failed": 0}


def test_only_what_the_peer_has_confirmed_or_said_counts_as_its_tree():
    world = master(ours={"config/a": file("1")})
    assert world.machine.confirmed_tree == {}
    world.run(1)
    assert world.machine.confirmed_tree == {"config/a": file("1")}
    world.edit("config/a", "2")
    world.run(0.0105)
    assert world.machine.link is Link.SENDING
    assert world.machine.confirmed_tree == {"config/a": file("1")}
    world.run(1)
    assert world.machine.confirmed_tree == {"config/a": file("2")}
    world.down()
    assert world.machine.confirmed_tree == {}


def test_an_edit_takes_the_quiet_time_and_a_message():
    world = master()
    world.run(1)
    world.machine.totals.lags.clear()
    world.edit("config/a", "1")
    assert world.machine.pending == 1
    world.run(0.0199)
    assert not world.machine.in_sync
    world.run(0.0002)
    assert world.theirs == world.ours
    assert world.machine.in_sync
    assert world.machine.totals.lags == [0.02]
    assert world.machine.pending_since is None
    assert world.their_version == DataVersion(1, 2)


def test_a_touch_without_change_sends_nothing():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.machine.touched("config/a", world.now)
    world.run(1)
    assert world.machine.totals.runs["ok"] == 1
    assert world.machine.in_sync


def test_equal_trees_of_different_versions_are_given_the_same_version():
    world = master(ours={"config/a": file("1")}, theirs={"config/a": file("1")}, their_version=DataVersion(0, 4))
    world.run(4)
    assert world.their_version == world.machine.lineage.version == DataVersion(1, 5)


def test_a_peer_with_newer_configuration_is_given_time_to_become_master():
    world = master(ours={"config/a": file("1")}, theirs={"config/a": file("9")}, their_version=DataVersion(3, 12))
    world.do(world.machine.mastership(4, world.now))
    world.run(2)
    world.do(world.machine.sync_now(world.now))
    world.run(1)
    assert world.theirs != world.ours
    assert world.machine.lineage.version < DataVersion(4, 12), "not made to look newer meanwhile"
    assert [event for event, _ in world.log] == ["replication_peer_newer"]
    world.run(1)
    assert world.theirs == world.ours
    assert world.their_version == world.machine.lineage.version == DataVersion(4, 13)


def test_the_version_never_falls():
    world = master(ours={"config/a": file("1")}, theirs={"config/a": file("1")}, their_version=DataVersion(1, 7))
    world.run(1)
    assert world.their_version == DataVersion(1, 8)


def test_what_this_master_sent_and_was_not_told_needs_no_waiting():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.edit("config/a", "2")
    world.run(0.0105)
    world.down()
    world.their_version, world.theirs = world.machine.lineage.version, dict(world.ours)
    world.up = True
    world.run(1)
    assert world.machine.in_sync


def test_what_the_peer_has_not_confirmed_is_unshared_until_it_has():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    assert not world.machine.lineage.unshared
    world.down()
    world.edit("config/a", "2")
    world.run(1)
    assert world.machine.lineage.unshared
    assert world.recorded[-1] == DataState(DataVersion(1, 2), digest(world.ours), DataVersion(1, 1))
    world.up = True
    world.run(10)
    assert not world.machine.lineage.unshared
    assert world.recorded[-1] == DataState(DataVersion(1, 2), digest(world.ours), DataVersion(1, 2))


def test_unshared_changes_are_known_after_a_restart():
    limits = Limits(nanos(300), 50)
    machine = ReplicationMachine(limits, DataState(DataVersion(1, 2), "ab", DataVersion(1, 1)), lambda: 1.0)
    assert machine.lineage.unshared


def test_retries_are_spaced_and_never_end():
    world = master(up=False)
    world.run(200)
    gaps = [round((b - a) / SECOND - 0.05, 3) for a, b in zip(world.connects, world.connects[1:], strict=False)]
    assert gaps[:10] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert [event for event, _ in world.log] == ["replication_no_sshd"]


def test_jitter_halves_a_wait_at_most():
    world = master(up=False, jitter=0.0)
    world.run(1)
    assert round((world.connects[1] - world.connects[0]) / SECOND - 0.05, 3) == 0.1


def test_the_same_trouble_is_told_again_after_ten_minutes():
    world = master(up=False)
    world.run(1300)
    assert 2 <= len(world.log) <= 3


def test_nothing_is_forgotten_while_the_peer_is_gone_and_its_return_is_told():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.down()
    world.edit("config/a", "2")
    world.run(1800)
    assert world.machine.lineage.version == DataVersion(1, 2)
    assert world.machine.pending >= 0
    assert "no sshd" in world.machine.troubles.last
    world.up = True
    world.run(31)
    assert world.theirs == world.ours
    assert world.log[-1] == ("replication_well", "replication works again")
    assert world.machine.troubles.last == ""
    assert world.machine.totals.lags[-1] > 1800


def test_a_command_does_not_wait_for_the_retry():
    world = master(up=False)
    world.run(100)
    world.up = True
    world.do(world.machine.sync_now(world.now))
    world.run(0.2)
    assert world.machine.in_sync


def test_a_missed_event_is_found_by_the_comparison():
    world = master()
    world.run(1)
    world.edit("config/a", "1", seen=False)
    world.run(280)
    assert world.theirs == {}
    world.run(30)
    assert world.theirs == world.ours


def test_each_comparison_reads_our_tree_however_lately_that_was_done():
    world = master()
    world.run(200)
    world.do(world.machine.lost_track(world.now))
    world.run(1)
    world.edit("config/a", "1", seen=False)
    world.run(120)
    assert world.theirs == world.ours


def test_a_new_session_reads_only_what_it_has_to():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.down()
    world.up = True
    world.scans = 0
    world.run(1)
    assert world.machine.in_sync
    assert world.scans == 0
    world.edit("config/a", "2")
    world.run(1)
    assert world.theirs == world.ours
    assert world.scans == 0


def test_lost_events_are_made_good_at_once():
    world = master()
    world.run(1)
    world.edit("config/a", "1", seen=False)
    world.do(world.machine.lost_track(world.now))
    world.run(0.1)
    assert world.theirs == world.ours


def test_what_somebody_changed_on_the_peer_is_put_right():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.theirs["config/a"] = file("drift")
    world.run(310)
    assert world.theirs == world.ours


def test_a_refusal_keeps_the_session_and_is_tried_again():
    world = master(ours={"config/a": file("1")}, refusing="not_running")
    world.run(60)
    assert len(world.connects) == 1
    assert world.machine.totals.runs["refused"] > 5
    assert [event for event, _ in world.log] == ["replication_not_running"]
    assert not world.machine.in_sync
    world.refusing = ""
    world.run(31)
    assert world.machine.in_sync


def test_an_unreadable_file_keeps_nothing_else_back():
    locked = {"config/a": "/x/a: Permission denied"}
    both = {"config/a": file("1"), "config/b": file("2")}
    world = master(ours=both, theirs={"config/a": file("old")}, unreadable=locked)
    world.run(1)
    assert world.theirs == {"config/a": file("old"), "config/b": file("2")}
    assert not world.machine.in_sync
    assert "/x/a: Permission denied" in world.machine.troubles.last
    assert len(world.log) == 1
    world.unreadable = {}
    world.run(6)
    assert world.theirs == world.ours
    assert world.machine.in_sync


def test_a_file_in_the_middle_of_being_written_waits_and_another_does_not():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.ours["config/a"] = file("half")
    world.machine.touched("config/a", world.now, writing=True)
    world.edit("config/b", "2")
    world.run(0.1)
    assert world.theirs == {"config/a": file("1"), "config/b": file("2")}
    world.edit("config/a", "whole")
    world.run(0.1)
    assert world.theirs == world.ours


def test_deleting_more_than_half_waits_for_a_word():
    world = master(ours={f"config/{number}": file("x") for number in range(10)})
    world.run(1)
    kept = {"config/0": file("x"), "config/1": file("y")}
    world.ours = dict(kept)
    world.do(world.machine.lost_track(world.now))
    world.run(400)
    assert len(world.theirs) == 10
    assert [event for event, _ in world.log] == ["replication_max_delete"]
    assert not world.machine.in_sync
    world.do(world.machine.sync_now(world.now, allow_delete=True))
    world.run(1)
    assert world.theirs == kept
    assert world.machine.in_sync
    world.ours = {}
    world.do(world.machine.lost_track(world.now))
    world.run(1)
    assert world.theirs == kept, "the word was for once"


@pytest.mark.parametrize(("count", "goes"), [(5, True), (6, False)])
def test_the_guard_begins_above_the_percentage(count, goes):
    world = master(ours={f"config/{number}": file("x") for number in range(10)})
    world.run(1)
    for number in range(count):
        del world.ours[f"config/{number}"]
    world.do(world.machine.lost_track(world.now))
    world.run(1)
    assert (world.theirs == world.ours) is goes


@pytest.mark.parametrize(
    ("sizes", "small"),
    [([1] * SMALL_FILES, True), ([1] * (SMALL_FILES + 1), False), ([SMALL_FILE], True), ([SMALL_FILE + 1], False),
     ([SMALL_FILE] * 16, True), ([SMALL_FILE] * 16 + [1], False)],
)  # fmt: skip
def test_what_goes_through_the_session(sizes, small):
    world = master(ours={f"config/{number}": file("x", size) for number, size in enumerate(sizes)})
    sent = []
    world.later = lambda _, action: sent.append(action)
    world.do(world.machine.connected(world.now))
    (batch,) = [one.batch for one in world.machine.holds({}, DataVersion(), world.now) if isinstance(one, Send)]
    assert batch.small is small


def test_no_answer_ends_the_session():
    world = master(ours={"config/a": file("1")})
    world.later = lambda *_: None
    world.run(60.04)
    assert len(world.connects) == 1
    world.run(0.22)
    assert len(world.connects) == 2
    world.run(14.9)
    assert len(world.connects) == 2
    world.run(0.6)
    assert len(world.connects) == 3
    assert "no answer" in world.machine.troubles.last


def write(world, key, content):
    world.ours[key] = file(content)
    world.machine.touched(key, world.now, writing=True)


def delete(world, key, _):
    world.ours.pop(key, None)
    world.machine.touched(key, world.now)


STEPS = {
    "edit": lambda world, key, content: world.edit(key, content),
    "miss": lambda world, key, content: world.edit(key, content, seen=False),
    "write": write,
    "delete": delete,
    "down": lambda world, *_: world.down(),
    "up": lambda world, *_: setattr(world, "up", True),
    "refuse": lambda world, *_: setattr(world, "refusing", "differs"),
    "accept": lambda world, *_: setattr(world, "refusing", ""),
    "lost": lambda world, *_: world.do(world.machine.lost_track(world.now)),
    "sync": lambda world, *_: world.do(world.machine.sync_now(world.now)),
    "drift": lambda world, key, _: world.theirs.update({key: file("drift")}),
    "lock": lambda world, key, _: setattr(world, "unreadable", {} if world.unreadable else {key: "locked"}),
}
scripts = st.lists(
    st.tuples(
        st.sampled_from(sorted(STEPS)),
        st.sampled_from(["config/a", "config/b", "config/c"]),
        st.sampled_from([0.001, 0.02, 0.3, 20.0]),
    ),
    max_size=25,
)


@given(scripts, st.floats(0, 1))
def test_whatever_happens_in_the_end_both_are_equal(script, jitter):
    world = master(jitter=jitter, max_delete=100)
    for number, (step, key, pause) in enumerate(script):
        STEPS[step](world, key, str(number))
        world.run(pause)
    world.up, world.refusing, world.unreadable = True, "", {}
    world.run(400)
    assert world.theirs == world.ours
    assert world.machine.in_sync
    assert world.machine.pending == 0
    assert world.machine.lineage.version == world.their_version
    generations = [state.version for state in world.recorded]
    assert generations == sorted(generations)


def test_a_file_that_changed_while_it_was_read_is_looked_at_again():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    actions = world.machine.lost_track(world.now)
    assert actions == [Scan(frozenset())]
    world.ours["config/a"] = file("2")
    world.do(world.machine.scanned({}, {}, frozenset({"config/a"}), world.now))
    assert not world.machine.in_sync
    world.run(0.3)
    assert world.theirs == world.ours == {"config/a": file("2")}


def test_what_cannot_be_read_for_a_while_makes_no_new_version():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.unreadable = {"config/a": "locked"}
    world.do(world.machine.lost_track(world.now))
    world.run(60)
    assert world.machine.lineage.version == DataVersion(1, 1)


def test_deletions_of_one_minute_count_together_and_what_is_held_back_stays_so():
    world = master(ours={f"config/{number}": file("x") for number in range(10)})
    world.run(1)
    for number in range(6):
        del world.ours[f"config/{number}"]
        world.machine.touched(f"config/{number}", world.now)
        world.run(5)
    assert len(world.theirs) == 5
    assert not world.machine.in_sync
    world.run(1000)
    assert len(world.theirs) == 5
    world.edit("config/5", "back again")
    world.run(1)
    assert world.theirs == world.ours
    assert world.machine.in_sync


def test_deletions_with_a_minute_between_them_do_not():
    world = master(ours={f"config/{number}": file("x") for number in range(10)})
    world.run(1)
    for number in range(9):
        del world.ours[f"config/{number}"]
        world.machine.touched(f"config/{number}", world.now)
        world.run(61)
    assert world.theirs == world.ours


def test_a_folder_that_cannot_be_read_keeps_what_the_peer_has_of_it():
    tree = {"config/d/a": file("1"), "config/b": file("1")}
    world = master(ours=dict(tree))
    world.run(1)
    del world.ours["config/d/a"]
    world.do(world.machine.scanned(world.ours, {"config/d": "locked"}, frozenset(), world.now))
    world.run(1)
    assert world.theirs == tree


def test_sync_in_the_middle_of_a_batch_lets_it_end_and_compares_then():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.edit("config/a", "2")
    world.run(0.0105)
    assert world.machine.link is Link.SENDING
    world.theirs["config/stray"] = file("9")
    world.do(world.machine.sync_now(world.now))
    world.run(1)
    assert world.theirs == world.ours == {"config/a": file("2")}


def test_sync_that_nobody_asked_for_does_not_repeat_what_is_wrong():
    world = master(up=False)
    world.run(5)
    world.do(world.machine.sync_now(world.now, asked=False))
    world.run(1)
    assert len(world.log) == 1
    world.do(world.machine.sync_now(world.now))
    world.run(1)
    assert len(world.log) == 2


def test_what_cannot_be_watched_is_looked_at_every_few_seconds():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.machine.blind(world.now)
    world.ours["config/a"] = file("2")  # without an event
    world.run(4.9)
    assert world.theirs != world.ours
    world.run(0.2)
    assert world.theirs == world.ours


def test_an_answer_nobody_waits_for_changes_nothing():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.do(world.machine.confirmed("00", world.now))
    assert world.machine.in_sync


def test_a_peer_that_refuses_the_hello_is_hung_up_on_and_tried_again():
    world = master(up=False, ours={"config/a": file("1")})
    world.run(0.01)
    assert world.machine.link is Link.CONNECTING
    world.do(world.machine.refused(Refusal.NOT_RUNNING, "it does not run", world.now))
    assert world.machine.link is Link.DOWN
    world.up = True
    world.run(1)
    assert world.machine.in_sync


def test_a_content_that_moved_before_it_was_sent_is_read_again():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.edit("config/a", "2")
    world.run(0.0105)
    world.session += 1  # nothing of this batch was sent
    world.do(world.machine.moved("config/a", world.now))
    world.run(1)
    assert world.theirs == world.ours
    assert world.machine.totals.runs["failed"] == world.machine.totals.runs["refused"] == 0


def test_a_change_while_the_peer_is_gone_is_pending_from_then_on():
    world = master(ours={"config/a": file("1")})
    world.run(1)
    assert (world.machine.pending, world.machine.pending_since) == (0, None)
    world.down()
    world.run(1)
    world.edit("config/a", "2")
    world.run(1)
    assert world.machine.pending == 1
    assert world.now - world.machine.pending_since == nanos(1)
    world.up = True
    world.run(10)
    assert (world.machine.pending, world.machine.pending_since) == (0, None)


def test_what_was_never_confirmed_is_pending_after_a_restart():
    world = World(ours={"config/a": file("1")}, up=False)
    world.machine = ReplicationMachine(
        Limits(nanos(300), 50), DataState(DataVersion(1, 2), "ab", DataVersion(1, 1)), lambda: 1.0
    )
    world.do(world.machine.mastership(1, world.now))
    assert world.machine.pending == 1
    assert world.machine.pending_since == world.now


def test_a_peer_that_was_master_itself_during_the_session_is_risen_above():
    """Found in the lab: after a short split the session of before went on, and every push seemed to come late."""
    world = master(ours={"config/a": file("1")})
    world.run(1)
    world.theirs["config/a"] = file("theirs")
    world.their_version = DataVersion(2, 3)
    world.edit("config/b", "2")
    world.do(world.machine.mastership(5, world.now))
    world.run(10)
    assert world.theirs == world.ours
    assert world.their_version == world.machine.lineage.version == DataVersion(5, 4)
