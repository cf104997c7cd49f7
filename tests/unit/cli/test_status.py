import json
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from skd_cluster.cli.main import main
from skd_cluster.cli.status import render
from skd_cluster.core.checks import CheckState
from skd_cluster.core.histogram import JITTER_BOUNDS
from skd_cluster.core.model import Nanos, Role
from skd_cluster.core.readiness import readiness
from skd_cluster.core.status import Snapshot, status
from tests.fakes.supervised import Node, replicated, report

FIRST = Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2", epoch=4)


def lines(snapshot):
    now = snapshot.elector.at + 1000 if snapshot.elector else 0
    ready = readiness(snapshot, Nanos(now))
    return list(render({**status(snapshot, Nanos(now), 1.7e9), "ready": ready}))


def test_a_master_that_is_well():
    snapshot = replace(FIRST, elector=report(Role.MASTER), replication=replicated(), replicator_running=True, epoch=4)
    found = lines(snapshot)
    assert found[0].startswith("node       lb1 is MASTER since 2023-11-1")
    assert found[1:3] == [
        "           epoch 4, configuration generation 0",
        "addresses  203.0.113.10 on lo: held here",
    ]
    assert found[3] == "peer       192.0.2.2 is BACKUP, version 3.0.0; both hear each other"
    assert found[4].startswith("copying    in sync; sent: last 2023-11-1")
    assert found[5] == "takeover   192.0.2.2 could take over now"
    assert len(found) == 7


def test_takeover_in_one_line_on_either_node():
    slow = replace(FIRST, elector=report(Role.MASTER), takeovers={"peer_silent": 0.31, "peer_resigned": 0.002})
    assert "takeover   192.0.2.2 could NOT take over: 192.0.2.2 does not have the newest configuration" in lines(slow)
    ready = replace(slow, replication=replicated())
    assert (
        "takeover   192.0.2.2 could take over now; the last ones took 2 ms (peer resigned), 310 ms (peer silent)"
        in lines(ready)
    )
    backup = replace(FIRST, elector=report(Role.BACKUP))
    assert any(one.startswith("takeover   this node could") for one in lines(backup))


def test_what_was_late_is_told_and_nothing_else():
    counts = [5] * (len(JITTER_BOUNDS) + 1)
    elector = report(Role.BACKUP, jitter={"counts": counts, "total": 1.0}, lateness={"counts": counts, "total": 1.0})
    assert not [one for one in lines(replace(FIRST, elector=report(Role.BACKUP))) if one.startswith("timing")]
    elector.peer["patience"] = 1_062_500_000
    assert [one for one in lines(replace(FIRST, elector=elector)) if one.startswith("timing")] == [
        "timing     the elector woke up more than 0.1 s late 15 times",
        "timing     packets of the peer were more than 0.25 s off their time 10 times; it counts as lost after 1.06 s",
    ]


def test_problems_come_first():
    elector = report(Role.FAULT, faults=[["interface", "eth0 has no carrier"]])
    elector.peer.update(alive=False, heard_at=0)
    found = lines(replace(FIRST, elector=elector, checks=(CheckState("web", healthy=False, detail="no answer"),)))
    assert [one[0] for one in found[:4]] == ["!", "!", "!", "n"]
    assert "peer       192.0.2.2 never heard since this service started" in found
    assert "checks     web: FAILED: no answer" in found


@pytest.mark.parametrize("snapshot", [FIRST, replace(FIRST, elector=report(Role.STANDBY))])
def test_it_can_always_be_shown(snapshot):
    assert all(line.isprintable() and line == line.rstrip() for line in lines(snapshot))


def test_against_a_running_service(tmp_path, capsys):
    with Node(tmp_path) as node:
        node.begin(Role.BACKUP)
        assert main(["status", "--config", str(node.config)]) == 0
        assert "is BACKUP since" in capsys.readouterr().out
        assert main(["status", "--json", "--config", str(node.config)]) == 0
        assert json.loads(capsys.readouterr().out)["role"] == "backup"


def test_watching_is_imported_only_when_it_is_asked_for(tmp_path):
    with Node(tmp_path) as node:
        node.begin(Role.BACKUP)
        words = "import sys; from skd_cluster.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"
        command = [sys.executable, "-c", words, "status", "--config", str(node.config)]
        loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert not {"rich", "skd_cluster.cli.watch"} & set(loaded)


def test_watching_as_json_is_a_line_each_second(tmp_path):
    with Node(tmp_path) as node:
        node.begin(Role.BACKUP)
        words = [
            sys.executable,
            "-m",
            "skd_cluster.cli.main",
            "status",
            "--watch",
            "--json",
            "--config",
            str(node.config),
        ]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert [json.loads(process.stdout.readline())["role"] for _ in range(2)] == ["backup", "backup"]
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
