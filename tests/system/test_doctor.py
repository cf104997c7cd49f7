"""`doctor` and `status --watch` on a fresh pair, installed from the package on booted nodes."""

import json

from tests.labkit.appliance import Appliances
from tests.labkit.terminal import Terminal


def test_on_a_healthy_pair_it_finds_no_problem(pair: Appliances) -> None:
    for node in pair.nodes:
        done = node.run("skd-cluster doctor --json", check=False, timeout=120)
        found = json.loads(done.stdout)
        assert [one for one in found["findings"] if one["state"] == "problem"] == []
        assert done.returncode == 0
        assert {one["node"] for one in found["findings"]} == {"lb1", "lb2"}


def test_the_package_brings_what_watching_needs(pair: Appliances) -> None:
    for node in pair.nodes:
        with Terminal(node, "TERM=xterm LC_ALL=C.UTF-8 exec skd-cluster status --watch") as terminal:
            terminal.expect("heartbeat", within=20)
            terminal.expect("q ends")
            terminal.type("q")
            assert terminal.wait() == 0
