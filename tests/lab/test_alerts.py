"""From a real fault to whoever is on duty: Prometheus with our rules, Alertmanager with our example, a webhook."""

import json
from collections.abc import Iterator

import pytest

from tests.lab.healthy import healthy_pair
from tests.labkit import Client, Lab, Node, eventually
from tests.labkit.monitoring import Alertmanager, squeezed
from tests.labkit.node import CHECKS
from tests.labkit.prometheus import RULES, Prometheus

pytestmark = pytest.mark.timeout(120)

PAIR = {"pair": "10.77.0.1,10.77.0.2"}


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Iterator[tuple[Node, Node]]:
    with healthy_pair(lab, lb1, lb2) as pair:
        yield pair


@pytest.fixture
def on_duty(pair: tuple[Node, Node], client: Client) -> Alertmanager:
    """Whoever gets the messages, while Prometheus already scrapes both nodes and nothing is wrong."""
    found, prometheus = Alertmanager(client), Prometheus(client)
    prometheus.start(squeezed(RULES.read_text()), alertmanager=found.start())
    eventually(
        lambda: prometheus.ask("skd_cluster:pair_ready_backups == 1"), within=30, what="a pair that is well is seen"
    )
    return found


def told(on_duty: Alertmanager, path: str, status: str, *names: str) -> None:
    """Wait for one message in which all these alerts have this status."""

    def so() -> bool:
        for one in on_duty.messages():
            found = {alert["labels"]["alertname"] for alert in one["alerts"] if alert["status"] == status}
            if one["path"] == path and set(names) <= found:
                return True
        raise AssertionError([(one["path"], one["groupLabels"], words(one)) for one in on_duty.messages()])

    eventually(so, within=30, what=f"{path} is told that {names} are {status}")


def words(message: dict) -> list[str]:
    return [f"{one['labels']['alertname']} {one['status']}" for one in message["alerts"]]


def test_faults_arrive_as_one_message_a_pair_and_resolve(
    pair: tuple[Node, Node], on_duty: Alertmanager, lab: Lab
) -> None:
    _, lb2 = pair
    assert on_duty.messages() == []

    lb2.kill_daemon()
    told(on_duty, "/on-duty", "firing", "SkdClusterPeerDown", "SkdClusterNodeMissing")
    lb2.start_daemon()
    for name in ("SkdClusterPeerDown", "SkdClusterNodeMissing"):  # not necessarily at the same moment
        told(on_duty, "/on-duty", "resolved", name)
    told(on_duty, "/on-duty", "firing", "SkdClusterCrashed")

    lb2.write(f"{CHECKS}/web", "#!/bin/sh\necho no answer on 443\nexit 1\n", 0o755)
    told(on_duty, "/on-duty", "firing", "SkdClusterCheckFailing")
    lb2.path(f"{CHECKS}/web").unlink()
    told(on_duty, "/on-duty", "resolved", "SkdClusterCheckFailing")

    assert all(one["groupLabels"] == PAIR for one in on_duty.messages())
    (check,) = {
        json.dumps(alert["labels"])
        for one in on_duty.messages()
        for alert in one["alerts"]
        if alert["labels"]["alertname"] == "SkdClusterCheckFailing"
    }
    assert {"check": "web", "node": "lb2", **PAIR}.items() <= json.loads(check).items()


def test_what_follows_from_a_greater_trouble_is_not_told_and_what_can_wait_goes_elsewhere(
    pair: tuple[Node, Node], on_duty: Alertmanager
) -> None:
    lb1, lb2 = pair
    lb2.run(["skd-cluster", "standby"])
    told(on_duty, "/mailbox", "firing", "SkdClusterStandby")
    told(on_duty, "/on-duty", "firing", "SkdClusterBackupNotReady")
    lb1.run(["skd-cluster", "standby"])
    told(on_duty, "/on-duty", "firing", "SkdClusterNoMaster")
    for name in ("SkdClusterAddressMissing", "SkdClusterBackupNotReady"):
        eventually(lambda name=name: on_duty.inhibited(name), within=20, what=f"{name} is held back")

    lb1.run(["skd-cluster", "online"])
    lb2.run(["skd-cluster", "online"])
    told(on_duty, "/on-duty", "resolved", "SkdClusterNoMaster")
    told(on_duty, "/mailbox", "resolved", "SkdClusterStandby")
    assert not any("SkdClusterStandby" in str(words(one)) for one in on_duty.messages() if one["path"] == "/on-duty")
