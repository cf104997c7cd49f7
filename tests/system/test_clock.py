"""The clock of a node is stepped by a year while the service runs.

A container has the host's clock, which nobody may set: the service gets a library in front of it, so does all it starts.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labkit import CONFIG_TREE, eventually
from tests.labkit.appliance import CLUSTER, Appliances
from tests.labkit.booted import SERVICE, BootedNode

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
STEP = "/etc/clock-step"
YEAR = 365 * 86400
DROP_IN = f"""\
[Service]
Environment=LD_PRELOAD=/usr/lib/libfaketime.so.1 FAKETIME_TIMESTAMP_FILE={STEP} FAKETIME_NO_CACHE=1
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1
"""


@pytest.fixture
def stepped(pair: Appliances) -> Iterator[BootedNode]:
    """lb1 with a clock that can be stepped."""
    assert LIBRARY.exists(), "script/bootstrap installs it"
    node = pair.lb1
    shutil.copyfile(LIBRARY, node.path("/usr/lib/libfaketime.so.1"))
    drop_in = node.write(f"/etc/systemd/system/{SERVICE}.d/clock.conf", DROP_IN)
    node.write(STEP, "+0\n")
    # Hooks are run through systemd-run, which under this library never learns that its unit has ended.
    pair.configure(node, up_script="/nonexistent", down_script="/nonexistent")
    node.run(f"systemctl daemon-reload; systemctl restart {SERVICE}")
    yield node
    drop_in.unlink()
    pair.configure(node)
    node.run(f"systemctl daemon-reload; systemctl restart {SERVICE}")


def last_success(node: BootedNode) -> float:
    return float(node.status()["replication"]["last_success"] or 0)


@pytest.mark.parametrize("step", [YEAR, -YEAR])
def test_nobody_notices_but_the_log(pair: Appliances, stepped: BootedNode, step: int) -> None:
    pair.restore()
    before = stepped.unit()["NRestarts"]
    with pair.client.probe(CLUSTER) as probe:
        probe.wait_answer()
        mark = probe.mark()
        stepped.path(STEP).write_text(f"{step:+d}\n")
        file = f"{CONFIG_TREE}/zlb-start"
        content = f"#!/bin/sh\n# {step} seconds later\n"
        stepped.path(file).write_text(content)
        eventually(lambda: pair.lb2.path(file).read_text() == content, within=10, what="replication goes on")
        ready = lambda: stepped.run("skd-cluster failover --dry-run", check=False).returncode == 0  # noqa: E731
        eventually(ready, within=10, what="and is confirmed")
        when = last_success(stepped)
        assert abs(when - time.time() - step) < 3600, "the clock was not stepped"  # noqa: TID251
        stepped.run("skd-cluster failover")
        eventually(lambda: pair.roles() == ("backup", "master"), within=5, what="there")
        eventually(lambda: pair.lb2.status()["peer"]["in_sync"], within=10, what="lb1 has it all")
        pair.lb2.run("skd-cluster failover")
        eventually(lambda: pair.roles() == ("master", "backup"), within=5, what="and back")
        probe.wait_answer()
        assert probe.gap_since(mark).ms < 250
    assert stepped.unit()["NRestarts"] == before
