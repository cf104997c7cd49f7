"""The lab's fixtures: a fresh laboratory for each test that asks for one."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.replication_pair import Pair
from tests.labkit import Client, Lab, Node, why_not
from tests.labkit.tier import FAILED, demand, pytest_runtest_makereport  # noqa: F401 -- pytest finds its hook here


@pytest.fixture(scope="session", autouse=True)
def _host_can_do_it() -> None:
    demand("lab", "the lab is", why_not())


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """An empty lab. After a failure all that the daemons said is printed."""
    with Lab() as lab:
        yield lab
        if request.node.stash.get(FAILED, False):
            for node in lab.machines.values():
                if isinstance(node, Node):
                    print(f"--- {node.name}: role {node.role()!r}, told systemd {node.notified[-20:]}")
                    print(node.output()[-4000:])


@pytest.fixture
def lb1(lab: Lab) -> Node:
    return lab.node("lb1", "10.77.0.1")


@pytest.fixture
def lb2(lab: Lab) -> Node:
    return lab.node("lb2", "10.77.0.2")


@pytest.fixture
def client(lab: Lab) -> Client:
    return lab.client("10.77.0.50")


@pytest.fixture
def pair(lab: Lab) -> Pair:
    """Two nodes for replication; nothing is sent yet."""
    return Pair(lab, max_delete="100")


def thorough() -> bool:
    """Whether the tests that take minutes are wanted: SKD_TORTURE=all."""
    return os.environ.get("SKD_TORTURE") == "all"
