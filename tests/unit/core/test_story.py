"""Every sentence of `skd-cluster why`, from the records it is made of."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.flight import ELECTOR_LOST, RESTARTING, Kind, Record
from skd_cluster.core.model import MILLISECOND, SECOND, Reason
from skd_cluster.core.story import TOGETHER, Half, choose, partner, tell

WALL = 1000.0
AT = 50 * SECOND


def ms(count: float) -> int:
    """Return an instant, so many milliseconds after the change."""
    return AT + round(count * MILLISECOND)


def record(
    node: str = "lb2", old: str = "backup", new: str = "master", reason: str = "peer_silent", **more: Any
) -> Record:
    """Return one of a change at WALL."""
    peer = {"lb1": "10.77.0.2", "lb2": "10.77.0.1"}[node]
    own = {"lb1": "10.77.0.1", "lb2": "10.77.0.2"}[node]
    return Record(**{
        "number": 1, "node": node, "address": own, "peer": peer, "version": "3.0.0", "wall": WALL, "at": AT,
        "old": old, "new": new, "reason": reason, "epoch": 7, **more,
    })  # fmt: skip


SILENT = record(
    silent=600 * MILLISECOND, took=9 * MILLISECOND, confirmed=12 * MILLISECOND,
    packets=((ms(-700), Kind.HEARD, 2, 100), (ms(-600), Kind.HEARD, 2, 100), (ms(-590), Kind.SENT, 1, 100)),
    events=((ms(40), "hook_ended", "up hook done in 0.0 s"), (ms(41), "applied", "took over generation 3")),
)  # fmt: skip
PLANNED = (
    record("lb1", "master", "backup", "command", packets=((ms(0), Kind.SENT, 1, 0),),
           events=((ms(-1), "command", "failover was asked for"), (ms(-20_000), "command", "standby was asked for"))),
    record("lb2", "backup", "master", "peer_resigned", wall=WALL + 0.001, took=MILLISECOND,
           packets=((ms(0), Kind.HEARD, 1, 0),)),
)  # fmt: skip


def story(*halves: Half, silence: str = "") -> list[str]:
    """Return the sentences with their milliseconds, told of the last change, lb2 being here."""
    incident = choose(
        [one for one in halves if one.record.node == "lb2"], [one for one in halves if one.record.node == "lb1"]
    )
    assert incident is not None
    return [f"{(line.at - WALL) * 1000:.0f} {line.node} {line.text}" for line in tell(incident, silence).lines]


@pytest.mark.parametrize(
    ("reason", "words"), [("peer_silent", "heard 10.77.0.1 for the last time"), ("elected", "heard 10.77.0.1")]
)
def test_the_last_word_before_a_silence_is_called_so_and_no_other(reason, words):
    packets = ((ms(-600), Kind.HEARD, 1, 100),)
    told = story(Half(record(reason=reason, packets=packets)))
    assert f"-600 lb2 {words}" in told


def unknown(*halves: Half, silence: str = "") -> list[str]:
    incident = choose(
        [one for one in halves if one.record.node == "lb2"], [one for one in halves if one.record.node == "lb1"]
    )
    assert incident is not None
    return tell(incident, silence).unknown


def test_a_silent_master_alone() -> None:
    assert story(Half(SILENT), silence="no route to host") == [
        "-600 lb2 heard 10.77.0.1 for the last time",
        "0 lb2 had not heard 10.77.0.1 for 0.60 s, and took over",
        "9 lb2 had its addresses up, 9.0 ms after the decision",
        "12 lb2 the gateway confirmed them, 12.0 ms after the decision",
        "40 lb2 up hook done in 0.0 s",
    ]
    assert unknown(Half(SILENT), silence="no route to host") == [
        "10.77.0.1 does not answer, so what it knows of this is missing: no route to host"
    ]


def test_a_planned_failover_from_both_sides_whoever_is_asked() -> None:
    one, two = PLANNED
    wanted = [
        "-1 lb1 failover was asked for",
        "0 lb1 became backup: an administrator said so",
        "0 lb1 told its peer that it goes",
        "1 lb2 heard lb1 say that it goes",
        "1 lb2 became master: the master resigned",
        "2 lb2 had its addresses up, 1.0 ms after the decision",
    ]
    assert story(Half(one), Half(two)) == wanted
    for ours, theirs in (([Half(one)], [Half(two)]), ([Half(two)], [Half(one)])):
        incident = choose(ours, theirs)
        assert incident is not None
        assert tell(incident).title == [
            "lb2 went from backup to master: the master resigned",
            "lb1 went from master to backup: an administrator said so",
        ]


def test_the_other_node_s_clock_is_put_right() -> None:
    one, two = PLANNED
    assert story(Half(replace(one, wall=WALL + 3), -3.0), Half(two)) == story(Half(one), Half(two))


def test_a_node_that_did_not_run_and_an_elector_that_died() -> None:
    paused = record("lb2", "master", "backup", "paused", detail="did not run for 1891 ms",
                    packets=((ms(0), Kind.LATE, 1860 * MILLISECOND, 0), (ms(-5), Kind.LATE, 20 * MILLISECOND, 0)))  # fmt: skip
    assert story(Half(paused)) == [
        "0 lb2 did not get to run for 1.86 s",
        "0 lb2 became backup: this node did not run for longer than its peer waits (did not run for 1891 ms)",
    ]
    lost = record(
        "lb1", "master", "gone", ELECTOR_LOST, events=((ms(5), "elector_lost", "the elector ended with signal 9"),)
    )
    assert story(Half(lost), Half(PLANNED[1])) == [
        "0 lb1 gave its addresses up: its elector had died",
        "1 lb2 heard lb1 say that it goes",
        "1 lb2 became master: the master resigned",
        "2 lb2 had its addresses up, 1.0 ms after the decision",
        "5 lb1 the elector ended with signal 9",
    ]


def test_a_restart_is_told_from_its_beginning() -> None:
    gone = record("lb2", "master", "master", RESTARTING, number=1, wall=WALL - 1)
    back = record("lb2", "init", "master", "restarted", number=2)
    assert story(Half(gone), Half(back)) == [
        "-1000 lb2 went away for its restart, with the addresses in place",
        "0 lb2 became master: it was master before its restart, and its peer has waited",
    ]
    assert unknown(Half(gone), Half(back)) == []
    late = replace(gone, wall=WALL - 20)
    assert story(Half(late), Half(back)) == [
        "0 lb2 became master: it was master before its restart, and its peer has waited"
    ]


def test_the_other_node_without_a_record() -> None:
    start = record("lb1", "init", "backup", "start", wall=WALL + 90)
    assert unknown(Half(SILENT)) == [
        "10.77.0.1 has no record of this change: it noticed nothing of it, or could not write"
    ]
    assert unknown(Half(SILENT), Half(start)) == [
        "lb1 has no record of this change, and its service was up again 90 s later: it was killed, crashed, or lost its power"
    ]


def test_a_cut_way_is_told_from_a_dead_master() -> None:
    fault = record("lb1", "master", "fault", "fault", wall=WALL + 0.2)
    silent = replace(fault, packets=((ms(-900), Kind.SENT, 2, 100),))
    cut = replace(fault, packets=tuple((ms(at), Kind.SENT, 2, 100) for at in (-750, -650, -450, -350, -250)))
    assert unknown(Half(SILENT), Half(silent)) == []
    assert unknown(Half(SILENT), Half(cut)) == [
        "where it was lost: lb1 went on sending (3 packets) while lb2 heard none of it"
    ]


def test_what_the_record_lacks_is_said() -> None:
    assert unknown(Half(replace(SILENT, packets=(), confirmed=0)), silence="x")[1:] == [
        "lb2 has no packets on record: its elector had no time to hand them over",
        "whether the network has learnt the new place: no gateway has answered lb2 about it",
    ]


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize(("old", "new"), [("backup", "master"), ("master", "fault"), ("init", "backup")])
def test_every_reason_is_told_in_words(reason: Reason, old: str, new: str) -> None:
    lines = story(Half(record(old=old, new=new, reason=reason, silent=SECOND)))
    assert len(lines) == 1
    assert lines[0].startswith(("0 lb2 became", "0 lb2 had not heard"))


def test_the_last_change_of_master_is_chosen_or_the_one_nearest_to_a_time() -> None:
    moved, since = (
        Half(record(number=1)),
        Half(record(number=2, old="fault", new="backup", reason="recovered", wall=WALL + 60)),
    )
    chosen = choose([moved, since], [])
    assert chosen is not None
    assert chosen.main is moved
    near = choose([moved, since], [], at=WALL + 50)
    assert near is not None
    assert near.main is since
    assert choose([], []) is None
    alone = choose([since], [])
    assert alone is not None
    assert alone.main is since


@given(st.lists(st.tuples(st.sampled_from([("backup", "master"), ("master", "backup"), ("init", "backup"), ("fault", "backup")]),
                          st.floats(0, 300)), max_size=6), st.floats(0, 300))  # fmt: skip
def test_a_partner_is_the_nearest_opposite_and_never_far(
    others: list[tuple[tuple[str, str], float]], at: float
) -> None:
    half = Half(record("lb2", wall=at))
    known = [Half(record("lb1", old, new, "command", wall=when)) for (old, new), when in others]
    fits = [one for one in known if one.record.old == "master" and abs(one.at - at) <= TOGETHER]
    found = partner(half, known)
    assert (found is None) == (not fits)
    if found is not None:
        assert abs(found.at - at) == min(abs(one.at - at) for one in fits)


@given(st.permutations([Half(PLANNED[0]), Half(PLANNED[1])]), st.floats(-5, 5))
def test_a_story_is_in_the_order_of_time(halves: list[Half], shift: float) -> None:
    incident = choose([halves[0]], [replace(halves[1], shift=shift)])
    assert incident is not None
    instants = [line.at for line in tell(incident).lines]
    assert instants == sorted(instants)
    assert len(instants) == 6


def test_what_is_heard_after_the_decision_is_not_its_cause() -> None:
    again = replace(SILENT, packets=(*SILENT.packets, (ms(2), Kind.HEARD, 1, 0)))
    assert story(Half(again), silence="x") == story(Half(SILENT), silence="x")
