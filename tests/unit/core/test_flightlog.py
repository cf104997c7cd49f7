"""What the supervisor notices around a change becomes one record, and no more than it may hold."""

from dataclasses import replace

from skd_cluster.core.flightlog import AFTER, EVENTS, OPEN, FlightLog, Origin
from skd_cluster.core.messages import RoleChange
from skd_cluster.core.model import Nanos, Role, nanos
from tests.fakes.supervised import report

WHO = Origin("lb2", "10.77.0.2", "10.77.0.1", "3.0.0")
NOW = nanos(100)
TAKEN = RoleChange(NOW, Role.BACKUP, Role.MASTER, "peer_silent", 7, "", nanos(0.6), nanos(0.009))


def later(seconds: float) -> Nanos:
    return Nanos(NOW + nanos(seconds))


def frozen() -> FlightLog:
    log = FlightLog(WHO, 41)
    log.note(later(-1), "check_failed", "check web: down")
    log.freeze(TAKEN, later(0.5), 1000.5)
    return log


def test_a_change_freezes_what_was_before_it() -> None:
    log = frozen()
    record = log.record
    assert record is not None
    assert (record.number, record.node, record.old, record.new, record.reason) == (
        42,
        "lb2",
        "backup",
        "master",
        "peer_silent",
    )
    assert (record.wall, record.at, record.silent, record.took) == (1000.0, NOW, nanos(0.6), nanos(0.009))
    assert record.events == ((later(-1), "check_failed", "check web: down"),)
    assert log.due == later(0.5)


def test_before_the_first_change_there_is_no_record_and_rows_belong_to_none() -> None:
    log = FlightLog(WHO, 41)
    log.add([(NOW, 0, 2, 100)], NOW)
    assert log.record is None
    assert log.due is None
    log.freeze(TAKEN, NOW, 1000.0)
    assert log.record is not None
    assert log.record.packets == ()


def test_what_follows_is_added_and_written_together_a_second_later() -> None:
    log = frozen()
    log.due = None
    log.note(later(2), "hook_ended", "up hook done")
    log.add([(NOW - 1, 0, 2, 100), (NOW - 2, 1, 1, 100)], later(2.5))
    assert log.due == later(3)
    assert log.record is not None
    assert log.record.packets == ((NOW - 2, 1, 1, 100), (NOW - 1, 0, 2, 100))
    assert [event for _, event, _ in log.record.events] == ["check_failed", "hook_ended"]


def test_a_record_is_closed_after_a_while_and_has_a_bound() -> None:
    log = frozen()
    for _ in range(2 * AFTER):
        log.note(later(1), "applied", "x" * 1000)
    log.due = None
    log.note(Nanos(NOW + OPEN), "command", "later")
    assert log.due is None
    assert log.record is not None
    assert len(log.record.events) == 1 + AFTER
    assert max(len(text) for _, _, text in log.record.events) == 300
    for _ in range(2 * EVENTS):
        log.note(Nanos(NOW + OPEN), "applied", "y")
    log.freeze(replace(TAKEN, at=Nanos(NOW + 2 * OPEN)), Nanos(NOW + 2 * OPEN), 2000.0)
    assert log.record is not None
    assert (log.record.number, len(log.record.events), log.record.packets) == (43, EVENTS, ())


def test_what_hooks_print_is_not_recorded() -> None:
    log = FlightLog(WHO, 0)
    log.note(NOW, "hook_output", "up hook: password=secret")
    log.freeze(TAKEN, NOW, 0.0)
    assert log.record is not None
    assert log.record.events == ()


def test_the_gateway_s_answer_belongs_to_a_promotion_only() -> None:
    log = frozen()
    log.follow(report(Role.BACKUP, at=later(1), confirmed=5), later(1))
    assert log.record is not None
    assert log.record.confirmed == 0
    log.follow(report(Role.MASTER, at=later(1), confirmed=5), later(1))
    log.follow(report(Role.MASTER, at=later(2), confirmed=6), later(2))
    assert log.record.confirmed == 5


def test_news_between_two_reports_is_noted_and_a_flood_once_in_ten_seconds() -> None:
    log = FlightLog(WHO, 0)
    link = {"name": "UDP", "alive": True, "fault": ""}
    one = report(Role.BACKUP, links=[link])
    log.follow(one, NOW)
    two = replace(one, peer={**one.peer, "hears_us": False}, links=[{**link, "alive": False}])
    log.follow(two, later(1))
    for second in range(2, 14):
        log.follow(replace(two, counters={"dropped.bad_key": 2 + second, "dropped.duplicate": second}), later(second))
    log.freeze(TAKEN, later(20), 0.0)
    assert log.record is not None
    assert [(at, event) for at, event, _ in log.record.events] == [
        (later(1), "unheard"), (later(1), "path_lost"), (later(2), "dropped"), (later(12), "dropped"),
    ]  # fmt: skip
