"""Whether the other node could take over, and what a failover would be."""

from dataclasses import replace
from typing import Any

import pytest

from skd_cluster.core.checks import CheckState
from skd_cluster.core.diagnosis_facts import NodeFacts
from skd_cluster.core.hooks import Hook, Outcome
from skd_cluster.core.model import Nanos, Role, nanos
from skd_cluster.core.readiness import Plan, obstacles, plan, readiness
from skd_cluster.core.status import Snapshot, status
from skd_cluster.core.totals import HookTotals
from tests.fakes.supervised import change, replicated, report

DIGEST = "ab" * 32


def seen(role: Role = Role.MASTER, **changes: Any) -> tuple[Snapshot, Nanos]:
    elector = report(role)
    snapshot = Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2", elector=elector, replication=replicated())
    return replace(snapshot, **changes), Nanos(elector.at + 1000)


def test_healthy_pair_has_nothing_in_the_way() -> None:
    snapshot, now = seen()
    assert obstacles(snapshot, now) == []
    assert readiness(snapshot, now) == {"ok": True, "obstacles": [], "takeovers": {}}


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        ({"alive": False}, "192.0.2.2 is not heard"),
        ({"hears_us": False}, "192.0.2.2 does not hear this node"),
        ({"role": Role.FAULT}, "192.0.2.2 is fault, not backup"),
        ({"role": Role.STANDBY}, "192.0.2.2 is standby, not backup"),
    ],
)
def test_what_keeps_the_peer_from_it(peer: dict[str, Any], words: str) -> None:
    snapshot, now = seen()
    assert snapshot.elector is not None
    snapshot.elector.peer.update(peer)
    assert obstacles(snapshot, now) == [words]


def test_changes_that_wait_are_counted() -> None:
    snapshot, now = seen(replication=replicated(in_sync=False, pending=3))
    assert obstacles(snapshot, now) == ["192.0.2.2 does not have the newest configuration: 3 changes wait"]


def test_silent_elector_and_a_service_that_ends() -> None:
    snapshot, now = seen(stopping=True)
    assert obstacles(snapshot, Nanos(now + nanos(9))) == ["the elector does not report", "the service is stopping"]


def test_backup_judges_itself() -> None:
    snapshot, now = seen(Role.FAULT, checks=(CheckState("web", healthy=False, detail="no answer"),))
    newer = "lb1 does not have the newest configuration"
    assert obstacles(snapshot, now) == ["lb1 is fault", "check web: no answer", newer]
    snapshot, now = seen(Role.BACKUP)
    assert snapshot.elector is not None
    assert obstacles(snapshot, now) == [newer]
    snapshot.elector.peer.update(role=Role.FAULT)
    assert obstacles(snapshot, now) == []
    snapshot.elector.peer.update(alive=False)
    assert obstacles(snapshot, now) == ["192.0.2.2 is not heard"]


def test_a_standard_leaves_unknown_whether_its_backup_could_take_over() -> None:
    snapshot, now = seen()
    assert snapshot.elector is not None
    snapshot = replace(snapshot, elector=replace(snapshot.elector, transport="carp", speaks="carp"))
    assert snapshot.elector is not None
    snapshot.elector.peer.update(alive=False)
    assert obstacles(snapshot, now) == ["not known: a backup that speaks carp is silent"]
    snapshot.elector.peer.update(alive=True, native=True)
    assert obstacles(snapshot, now) == []


def test_a_standard_s_backup_does_not_know_whether_it_has_the_newest_configuration() -> None:
    snapshot, now = seen(Role.BACKUP)
    assert snapshot.elector is not None
    snapshot = replace(snapshot, elector=replace(snapshot.elector, transport="vrrp", speaks="vrrp"))
    assert obstacles(snapshot, now) == ["not known: vrrp does not say whether lb1 has the newest configuration"]


def test_how_long_the_last_takeover_took_is_kept_by_reason() -> None:
    snapshot, now = seen()
    for reason, silent in (("peer_silent", 300_000_000), ("peer_resigned", 0), ("peer_silent", 320_000_000)):
        snapshot = snapshot.with_role(change(Role.BACKUP, Role.MASTER, reason=reason, silent=silent, took=2_000_000))
    assert readiness(snapshot, now)["takeovers"] == {"peer_silent": 0.322, "peer_resigned": 0.002}


def facts(**changes: Any) -> NodeFacts:
    told = {
        "role": "backup",
        "hooks": {"up": {"last": "ok", "last_seconds": 4.0}},
        "ready": {"takeovers": {"peer_resigned": 0.002}},
    }
    return NodeFacts(node="lb2", status=told | changes.pop("status", {}), hooks=[["up_script", "/up", ""]], **changes)


def planned(found: list[str] | None = None, theirs: NodeFacts | None = None, silence: str = "") -> Plan:
    snapshot, now = seen(
        hooks={**dict.fromkeys(Hook, HookTotals()), Hook.DOWN: HookTotals().with_run(Outcome.OK, nanos(1.5))}
    )
    told = {**status(snapshot, now, 0), "ready": readiness(snapshot, now)}
    return plan(found or [], told, theirs, silence)


def test_plan_names_each_step_with_what_was_measured() -> None:
    made = planned(theirs=facts())
    assert [(one.node, one.seconds) for one in made.steps] == [
        ("lb1", None),
        ("lb2", 0.002),
        ("lb2", 4.0),
        ("lb1", 1.5),
        ("lb2", None),
    ]
    assert (made.obstacles, made.cautions, made.seconds) == ((), (), 4.002)
    assert made.text == "lb2 would become master, the addresses after 2 ms, everything after 4.0 s"


def test_nothing_measured_is_nothing_promised() -> None:
    made = planned(theirs=replace(facts(), status={"role": "backup"}))
    assert (made.seconds, made.text) == (None, "lb2 would become master")


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (replace(facts(), status={}), "the service of lb2 does not answer"),
        (
            facts(status={"faults": [{"fault": "interface", "detail": "eth1 down"}]}),
            "lb2 has a fault: interface eth1 down",
        ),
        (
            facts(
                status={"checks": [{"name": "a", "healthy": True}, {"name": "web", "healthy": False, "detail": "no"}]}
            ),
            "lb2: check web: no",
        ),
        (replace(facts(), hooks=[["up_script", "/up", "not executable"]]), "the up hook of lb2, /up: not executable"),
    ],
)
def test_what_only_the_peer_knows_stands_in_the_way(theirs: NodeFacts, words: str) -> None:
    assert planned(theirs=theirs).obstacles == (words,)
    assert planned(["lb2 is fault"], theirs).text == f"lb2 is fault; {words}"


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (None, "192.0.2.2 could not be asked for its hooks and checks: no sshd"),
        (facts(status={"hooks": {"up": {"last": "timeout", "last_seconds": 60}}}), "the last up hook of lb2: timeout"),
        (replace(facts(), hooks=[["up_script", "/up", "missing"]]), "lb2 has no up hook: nothing is started there"),
    ],
)
def test_what_makes_one_think_is_no_obstacle(theirs: NodeFacts | None, words: str) -> None:
    made = planned(theirs=theirs, silence="no sshd")
    assert (made.obstacles, made.cautions) == ((), (words,))
