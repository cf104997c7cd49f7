import json
from dataclasses import replace

import pytest

from skd_cluster.core.hooks import Hook, Outcome
from skd_cluster.core.messages import Data
from skd_cluster.core.model import Nanos, Role, nanos
from skd_cluster.core.status import Board, Refusals, Snapshot, problems, status
from skd_cluster.core.totals import HookTotals, ReplicationTotals
from tests.fakes.supervised import change, replicated, report

FIRST = Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2", epoch=4)
DIGEST = "ab" * 32


def seen(role=Role.BACKUP, **changes):
    found = report(role)
    return Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2", elector=found, **changes), Nanos(found.at + 1000)


def test_the_contract_s_keys_are_there_before_anything_is_known():
    found = status(FIRST, Nanos(5), 1.7e9)
    assert json.loads(json.dumps(found)) == found
    wanted = "role since reason epoch generation peer addresses replication checks version"
    assert set(wanted.split()) <= set(found)
    assert {"address", "alive", "heard", "role", "in_sync", "version"} <= set(found["peer"])
    assert {"running", "in_sync", "lag_seconds", "last_success", "last_error", "pending"} <= set(found["replication"])
    assert found["role"] == "backup"
    assert found["problems"] == ["the elector has not reported yet"]


def test_the_heartbeat_is_told_in_seconds():
    snapshot, now = seen()
    assert status(snapshot, now, 0)["peer"]["heartbeat"] == {"interval_seconds": 0.0, "late_seconds": []}
    snapshot.elector.peer["heartbeat"] = {"interval": 200_000_000, "beats": [120, None, -30]}
    found = status(snapshot, now, 0)["peer"]["heartbeat"]
    assert found == {"interval_seconds": 0.2, "late_seconds": [0.00012, None, -0.00003]}


def test_since_is_wall_time():
    snapshot, _ = seen()
    assert status(snapshot, Nanos(snapshot.elector.since + nanos(90)), 1000.0)["since"] == 910.0


@pytest.mark.parametrize(
    ("digest", "ours", "same"), [(DIGEST, DIGEST, True), ("cd" * 32, DIGEST, False), ("00" * 32, "00" * 32, False)]
)
def test_a_backup_is_in_sync_when_the_peer_announces_its_digest(digest, ours, same):
    snapshot, now = seen(data=Data(1, 1, ours))
    snapshot.elector.peer["digest"] = digest
    found = status(snapshot, now, 0)
    assert found["replication"]["in_sync"] is found["peer"]["in_sync"] is same
    snapshot.elector.peer["alive"] = False
    assert not status(snapshot, now, 0)["replication"]["in_sync"]


def test_a_master_believes_the_peer_s_confirmation():
    snapshot, now = seen(Role.MASTER, replication=replicated(pending=3, pending_since=1), replicator_running=True)
    found = status(snapshot, now, 0)["replication"]
    assert (found["in_sync"], found["running"], found["pending"]) == (True, True, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alive": False}, "the peer 192.0.2.2 is not heard (2 packets since the start had another key)"),
        ({"hears_us": False}, "the peer 192.0.2.2 is heard but does not hear this node"),
        ({"role": 2}, "the peer 192.0.2.2 is master as well"),
    ],
)
def test_problems_of_a_master_with_its_peer(changes, words):
    snapshot, now = seen(Role.MASTER)
    assert problems(snapshot, now) == []
    snapshot.elector.peer.update(changes)
    assert problems(snapshot, now) == [words]


def test_what_a_standard_does_not_say_is_no_problem_but_for_a_master():
    snapshot, now = seen(Role.MASTER)
    snapshot = replace(snapshot, elector=replace(snapshot.elector, transport="carp", speaks="carp"))
    assert status(snapshot, now, 0)["transport"] == {"configured": "carp", "speaks": "carp"}
    snapshot.elector.peer.update(alive=True, hears_us=False)
    assert problems(snapshot, now) == []
    snapshot.elector.peer.update(alive=False)
    unknown = "whether 192.0.2.2 could take over is not known: a backup that speaks carp is silent"
    assert problems(snapshot, now) == [unknown]
    backup = replace(snapshot, elector=replace(snapshot.elector, role=int(Role.BACKUP)))
    assert problems(backup, now) == ["the peer 192.0.2.2 is not heard (2 packets since the start had another key)"]
    snapshot.elector.peer.update(native=True, alive=True, hears_us=True)
    assert problems(snapshot, now) == []


def test_a_crash_is_a_trouble_for_an_hour():
    _, now = seen()
    once = {"crashes": 1, "crashed_at": Nanos(now - nanos(130))}
    (told,) = problems(seen(**once)[0], now)
    assert told.startswith(
        "the service ended without being stopped once since the boot, and was started again 2 min ago"
    )
    assert "3 times" in problems(seen(**once | {"crashes": 3})[0], now)[0]
    assert status(seen(**once)[0], now, 0)["crashes"] == 1
    assert problems(seen(crashes=1, crashed_at=Nanos(now - nanos(3700)))[0], now) == []
    assert problems(seen(crashes=1)[0], now) == []


def test_a_refused_login_is_a_trouble_for_an_hour():
    _, now = seen()
    refusals = Refusals().plus("192.0.2.2", "no shell", Nanos(now - nanos(7300)), 1.7e9)
    assert problems(seen(refusals=refusals)[0], now) == []
    snapshot, now = seen(refusals=refusals.plus("192.0.2.2", "no id", Nanos(now - nanos(130)), 1.8e9))
    assert problems(snapshot, now) == [
        "a login with the pair's key was refused 2 times, last to 192.0.2.2 2 min ago: no id"
    ]
    assert status(snapshot, now, 0)["refusals"] == {
        "count": 2,
        "client": "192.0.2.2",
        "text": "no id",
        "last": 1.8e9,
    }


def test_of_a_silent_elector_neither_role_nor_addresses_are_believed():
    snapshot, now = seen(Role.MASTER)
    assert status(snapshot, now, 0)["role"] == "master"
    found = status(snapshot, Nanos(now + nanos(4)), 100.0)
    assert found["problems"] == [
        "the elector has not reported for 4 s: the addresses are no longer held, the peer takes over"
    ]
    assert (found["role"], found["since"], found["reason"]) == ("fault", 96.0, "fault")
    assert (found["addresses"][0]["held"], found["peer"]["alive"], found["elector"]["fresh"]) == (False, False, False)


def test_faults_are_problems():
    snapshot, now = seen()
    snapshot.elector.faults.append(["interface", "eth0 has no carrier"])
    assert problems(snapshot, now) == ["interface: eth0 has no carrier"]


def test_the_first_decision_is_no_failover_and_a_takeover_is_measured():
    first = FIRST.with_role(change(Role.INIT, Role.MASTER, epoch=5, reason="start"))
    assert (first.epoch, dict(first.failovers), sum(first.takeover_counts)) == (5, {}, 0)
    taken = first.with_role(change(Role.BACKUP, Role.MASTER, epoch=6, silent=700_000_000, took=1_000_000))
    assert taken.failovers == {("master", "peer_silent"): 1}
    assert (sum(taken.takeover_counts), taken.takeover_total) == (1, 0.701)
    same = taken.with_role(change(Role.MASTER, Role.MASTER, epoch=8))
    assert (same.epoch, same.failovers) == (8, taken.failovers)


def test_hook_totals():
    totals = HookTotals().with_run(Outcome.OK, nanos(0.2)).with_run(Outcome.TIMEOUT, nanos(60))
    assert (sum(totals.counts), totals.failures, totals.last) == (2, 1, "timeout")
    assert totals.with_run(Outcome.SUPERSEDED, nanos(1)).failures == 1
    assert totals.with_run(Outcome.MISSING, nanos(1)) == totals
    assert problems(seen(hooks={Hook.UP: totals})[0], seen()[1]) == ["the last up hook: timeout"]


def test_totals_outlive_a_replicator():
    before = ReplicationTotals().plus(replicated(runs={"ok": 2}, sent_files=1)).plus(None)
    after = before.plus(replicated(runs={"ok": 1, "failed": 1}, sent_files=5))
    assert (dict(after.runs), after.sent_files) == ({"failed": 1, "ok": 3, "refused": 0}, 6)


def test_the_epoch_of_a_peer_counts_once_it_was_verified():
    snapshot, _ = seen(epoch=3)
    snapshot.elector.peer["epoch"] = 9
    assert snapshot.known_epoch == 9
    snapshot.elector.peer["heard_at"] = 0
    assert snapshot.known_epoch == 3


def test_replication_s_trouble_is_a_problem_of_the_master_only():
    trouble = replicated(last_error="no sshd answers")
    for role, told in ((Role.MASTER, ["replication: no sshd answers"]), (Role.BACKUP, [])):
        snapshot, now = seen(role, replication=trouble)
        assert [one for one in problems(snapshot, now) if "sshd" in one] == told


def test_a_configuration_that_is_not_in_force_is_a_problem():
    snapshot, now = seen(reload_ok=False, reload_note="it has errors")
    assert problems(snapshot, now)[-1] == "the configuration file is not in force: it has errors"


def test_the_board_shows_the_newest():
    board = Board(FIRST)
    board.update(epoch=5)
    assert board.now == replace(FIRST, epoch=5)
