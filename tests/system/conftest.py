"""The package as built from this tree, and pairs of booted appliances to install it on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labkit.appliance import Appliances, dependencies
from tests.labkit.booted import BootedLab, why_not
from tests.labkit.machine import REPOSITORY
from tests.labkit.tier import FAILED, demand, pytest_runtest_makereport  # noqa: F401 -- pytest finds its hook here

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of all may wait for an image of Debian, and each first one of a module for its pair."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session", autouse=True)
def _host_can_do_it() -> None:
    demand("system", "booted nodes are", why_not())


@pytest.fixture(scope="session")
def package() -> Path:
    """The Debian package of this tree."""
    done = subprocess.run(
        [REPOSITORY / "script" / "deb"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"script/deb failed: {done.stdout[-1000:]}{done.stderr[-3000:]}"
    built = [line.removeprefix("built ") for line in done.stdout.splitlines() if line.startswith("built dist/")]
    return REPOSITORY / built[0]


@pytest.fixture(scope="module")
def fresh(package: Path) -> Iterator[Appliances]:
    """Two nodes with the product and without the cluster service. For a whole module: a test leaves it as it found it."""
    with BootedLab(dependencies(package)) as lab:
        yield Appliances(lab)


@pytest.fixture(scope="module")
def working(fresh: Appliances, package: Path) -> Appliances:
    """The same, set up as the README says: lb1 is master."""
    try:
        fresh.set_up(package)
    except AssertionError:
        print_journals(fresh)
        raise
    return fresh


@pytest.fixture
def pair(working: Appliances, request: pytest.FixtureRequest) -> Iterator[Appliances]:
    """A working pair, lb1 is master, whatever the test before did to it. After a failure the journals are printed."""
    try:
        working.restore()
    except AssertionError:
        print_journals(working)
        raise
    yield working
    if request.node.stash.get(FAILED, False):
        print_journals(working)


def print_journals(pair: Appliances) -> None:
    for node in pair.nodes:
        if not node.is_on:
            print(f"--- {node.name} is off: {node.console()[-2000:]}")
            continue
        print(f"--- {node.name}: role {node.role()!r}")
        print(node.run("journalctl -q --no-pager -o short-precise -n 60", check=False).stdout)
