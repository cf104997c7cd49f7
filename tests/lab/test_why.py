"""Each kind of failover caused on a real pair, and what `skd-cluster why` tells of it afterwards, on either node."""

import json
import os
import re
import signal
from typing import Any

import pytest

from tests.lab.test_restart import RESTARTING, SYSTEMCTL, UNDER_SYSTEMD, stopped_for
from tests.labkit import Lab, Node, eventually

CHECK = "/usr/local/skudonet/app/ucarp/checks.d/web"


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Lab:
    """Start a pair, lb1 master, that can ask each other by ssh."""
    for node in (lb1, lb2):
        node.write_config(floating="listed", advert_interval="0.1", check_interval="0.2")
        node.make_tree(farms=2)
        node.write("/usr/local/bin/systemctl", SYSTEMCTL, mode=0o755)
    lab.trust()
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon(env=UNDER_SYSTEMD)
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=5, what="lb1 master, lb2 backup")
    eventually(lambda: lb1.status()["replication"]["in_sync"], within=20, what="in sync")
    return lab


def why(node: Node, *words: str) -> dict[str, Any]:
    done = node.run(["skd-cluster", "why", "--json", *words], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert "secret" not in done.stdout
    return found


def roles(lb1: Node, lb2: Node, *wanted: str) -> None:
    eventually(lambda: (lb1.role(), lb2.role()) == wanted, within=8, what=f"roles {wanted}")


def told(found: dict[str, Any]) -> list[str]:
    """Return the story without times: `node sentence`, spans as S."""
    return [re.sub(r"\d+\.\d+ m?s\b", "S", f"{line['node']} {line['text']}") for line in found["story"]]


def in_order(found: dict[str, Any], *wanted: str) -> None:
    """Check that these sentences are told in this order; others may be between them."""
    lines = told(found)
    print("\n".join(lines), *found["unknown"], sep="\n")
    rest = iter(lines)
    for sentence in wanted:
        assert any(sentence in line for line in rest), f"{sentence!r} is not told, or too early, in {lines}"
    instants = [line["at"] for line in found["story"]]
    assert instants == sorted(instants)


def test_power_loss(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.pause(lb1.daemon_pids()["skd-elector"])  # or it would see that the cable is out, or its supervisor dead
    pair.cut(lb1)
    lb1.kill_daemon()
    roles(lb1, lb2, "master", "master")  # lb1's file is what the loss left behind

    eventually(lambda: why(lb2, "--local")["records"][0]["packets"], what="the packets are on record")
    found = why(lb2, "--local")
    assert found["title"] == ["lb2 went from backup to master: the master was not heard"]
    in_order(found, "lb2 heard 10.77.0.1 for the last time", "lb2 had not heard 10.77.0.1 for S, and took over",
             "lb2 had its addresses up, S after the decision")  # fmt: skip
    pair.mend(lb1)
    lb1.start_daemon()
    roles(lb1, lb2, "backup", "master")
    begun = r"lb1 has no record of this change, and its service was up again \d+ s later: .*"
    eventually(lambda: [one for one in why(lb1)["unknown"] if re.fullmatch(begun, one)], what="its start is on record")
    assert why(lb1)["title"] == ["lb2 went from backup to master: the master was not heard"]


def test_planned_failover(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.run(["skd-cluster", "failover"])
    roles(lb1, lb2, "backup", "master")

    for node in (lb1, lb2):
        found = both_halves(node)
        assert found["title"] == [
            "lb2 went from backup to master: the master resigned",
            "lb1 went from master to backup: an administrator said so",
        ]
        in_order(found, "lb1 failover was asked for", "lb1 became backup: an administrator said so")
        in_order(found, "lb2 heard lb1 say that it goes", "lb2 became master: the master resigned")
        assert any("clock is" in one for one in found["unknown"])


def both_halves(node: Node) -> dict[str, Any]:
    """Return the story, once both nodes have written theirs with the elector's packets."""

    def full() -> dict[str, Any] | None:
        found = why(node)
        return found if len(found["records"]) == 2 and all(one["packets"] for one in found["records"]) else None

    return eventually(full, within=5, what="both halves")  # type: ignore[return-value]


def test_sigterm(pair: Lab, lb1: Node, lb2: Node) -> None:
    assert lb1.stop_daemon() == 0
    eventually(lambda: lb2.role() == "master", what="lb2 took over")

    for node in (lb1, lb2):  # lb1's service is down: its files are read
        found = both_halves(node)
        assert found["title"][1] == "lb1 went from master to standby: the service stops"
        in_order(found, "lb1 became standby: the service stops", "lb1 told its peer that it goes")
        in_order(found, "lb2 heard lb1 say that it goes", "lb2 became master: the master resigned")


def test_elector_killed(pair: Lab, lb1: Node, lb2: Node) -> None:
    os.kill(lb1.daemon_pids()["skd-elector"], signal.SIGKILL)
    eventually(lambda: lb2.role() == "master", what="lb2 took over")
    eventually(lambda: not lb1.daemon_pids(), within=5, what="lb1's service has ended")

    found = why(lb1)
    assert found["title"][1] == "lb1 went from master to gone: its elector died"
    in_order(
        found, "lb1 gave its addresses up: its elector had died", "lb2 heard lb1 say that it goes", "lb2 became master"
    )
    assert any("the elector ended with signal 9" in line for line in told(found))


def test_check_fails(pair: Lab, lb1: Node, lb2: Node) -> None:
    lb1.write(CHECK, "#!/bin/sh\necho port 443 is closed\nexit 1\n", mode=0o755)
    roles(lb1, lb2, "fault", "master")

    found = both_halves(lb2)
    assert found["title"][1].startswith("lb1 went from master to fault: something it depends on is down (check web")
    in_order(found, "lb1 check web: ", "lb1 became fault: something it depends on is down (check web: ")
    assert any("port 443 is closed" in line for line in told(found))


def test_cable_out(pair: Lab, lb1: Node, lb2: Node) -> None:
    pair.cut(lb1)
    roles(lb1, lb2, "fault", "master")
    assert why(lb1)["title"][0].startswith("lb1 went from master to fault: something it depends on is down (interface")
    pair.mend(lb1)
    roles(lb1, lb2, "backup", "master")

    found = both_halves(lb2)
    assert found["title"][0] == "lb2 went from backup to master: the master was not heard"
    assert "carrier" in found["title"][1]


def test_restart(pair: Lab, lb1: Node, lb2: Node) -> None:
    stopped_for(lb1, RESTARTING)
    lb1.start_daemon(env=UNDER_SYSTEMD)
    roles(lb1, lb2, "master", "backup")

    found = eventually(lambda: two if len((two := why(lb2))["records"]) == 2 else None, what="both records")
    in_order(found, "lb1 went away for its restart, with the addresses in place", "lb1 skd-cluster ",
             "lb1 became master: it was master before its restart, and its peer has waited")  # fmt: skip


def test_a_cut_way_between_two_living_nodes_is_told_from_a_death(pair: Lab, lb1: Node, lb2: Node) -> None:
    """lb2 hears nothing of lb1, which goes on sending until it has to yield."""
    pair.partition(lb1, lb2, one_way=True)
    roles(lb1, lb2, "backup", "master")
    pair.heal()

    found = both_halves(lb2)
    assert any("lb1 went on sending" in one for one in found["unknown"])
    assert found["title"][0] == "lb2 went from backup to master: the master was not heard"


def test_list_at_and_files(pair: Lab, lb1: Node, lb2: Node) -> None:
    for source, wanted in ((lb1, ("backup", "master")), (lb2, ("master", "backup"))):
        eventually(lambda one=source: one.status()["replication"]["in_sync"], within=10, what="in sync")
        source.run(["skd-cluster", "failover"])
        roles(lb1, lb2, *wanted)
    both_halves(lb1)
    changes = why(lb1, "--list")["changes"]
    assert [(one["node"], one["new"]) for one in changes if one["reason"] == "command"] == [
        ("lb1", "backup"),
        ("lb2", "backup"),
    ]
    first = next(one for one in changes if one["reason"] == "command")
    stamp = lb1.run(["date", "-d", f"@{first['at']:.0f}", "+%F %T"]).stdout.strip()
    assert len(why(lb1, "--at", stamp)["title"]) == 2
    print(lb1.run(["skd-cluster", "why"]).stdout, lb1.run(["skd-cluster", "why", "--list"]).stdout)
    modes = lb1.run("stat -c '%a %n' /var/lib/skd-cluster/flight /var/lib/skd-cluster/flight/*").stdout.split("\n")
    assert {line.split()[0] for line in modes if line} == {"700", "600"}
