"""`failover --dry-run` on a real pair: what it promises, and whether the failover keeps it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.healthy import healthy_pair
from tests.labkit import Lab, Node, eventually
from tests.labkit.node import HOOKS

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Iterator[tuple[Node, Node]]:
    def slow_hooks() -> None:
        for node in (lb1, lb2):
            node.write(HOOKS.format("start"), "#!/bin/sh\nsleep 0.5\n", 0o755)

    with healthy_pair(lab, lb1, lb2, slow_hooks) as pair:
        yield pair


def rehearsed(node: Node) -> tuple[int, dict[str, Any]]:
    done = node.run(["skd-cluster", "failover", "--dry-run", "--json"], check=False, timeout=60)
    return done.returncode, json.loads(done.stdout)


def test_what_is_promised_is_kept_and_measured_the_next_time(pair: tuple[Node, Node]) -> None:
    lb1, lb2 = pair
    code, first = rehearsed(lb1)
    assert (code, first["obstacles"], first["seconds"]) == (0, [], None)
    assert (lb1.role(), lb2.role()) == ("master", "backup")

    for source, target in ((lb1, lb2), (lb2, lb1)):
        eventually(lambda source=source: source.status()["replication"]["in_sync"], within=20, what="in sync")
        source.run(["skd-cluster", "failover"])
        eventually(lambda target=target: target.status()["hooks"]["up"]["last"] == "ok", within=5, what="its up hook")
    eventually(lambda: lb1.status()["replication"]["in_sync"], within=20, what="in sync")
    code, then = rehearsed(lb1)
    print(lb1.run(["skd-cluster", "failover", "--dry-run"]).stdout, lb1.run("skd-cluster status").stdout)
    assert code == 0
    assert 0.5 < then["seconds"] < 5
    assert "takeover   10.77.0.2 could take over now" in lb1.run("skd-cluster status").stdout
    assert lb2.status()["ready"]["ok"]


def test_what_stands_in_the_way_is_told_and_goes_away(pair: tuple[Node, Node]) -> None:
    lb1, lb2 = pair
    lb2.run("skd-cluster standby")
    code, found = rehearsed(lb1)
    assert code == 1
    assert "10.77.0.2 is standby, not backup" in found["obstacles"]
    lb2.run("skd-cluster online")
    eventually(lambda: rehearsed(lb1)[0] == 0, within=15, what="free again")

    lb2.run(f"chmod 644 {HOOKS.format('start')}")
    code, found = rehearsed(lb1)
    assert code == 1
    assert any("not executable" in one for one in found["obstacles"])
    lb2.run(f"chmod 755 {HOOKS.format('start')}")

    lb2.stop_sshd()
    code, found = rehearsed(lb1)
    assert any("could not be asked" in one for one in found["cautions"])

    lb2.stop_daemon()
    eventually(lambda: rehearsed(lb1)[0] == 1, within=5, what="lb1 misses lb2")
    assert "10.77.0.2 is not heard" in rehearsed(lb1)[1]["obstacles"]
    assert lb2.run(["skd-cluster", "failover", "--dry-run"], check=False).returncode == 3


def test_backup_is_not_the_one_to_ask(pair: tuple[Node, Node]) -> None:
    code, found = rehearsed(pair[1])
    assert code == 1
    assert "lb2 is backup, not master" in found["obstacles"]
