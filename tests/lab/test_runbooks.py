"""Each runbook, followed on a real pair: the fault it is for, the command it begins with, what it says to do, and that it is over.

The scenes are in runbooks.py. What an alert asks is asked of a real Prometheus, with less patience (`squeezed`).
"""

import re
from collections.abc import Iterator

import pytest

from tests.lab.runbooks import SCENES, Scene, Stage, first_command, seen_part, typed
from tests.labkit import Lab, eventually
from tests.labkit.prometheus import Prometheus
from tests.labkit.tier import FAILED

PATIENCE = 30.0


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One pair for all pages."""
    with Lab() as lab:
        lb1, lb2, client = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2"), lab.client("10.77.0.50")
        stage = Stage(lab, lb1, lb2, client, Prometheus(client))
        stage.start()
        yield stage
        for node in (lb1, lb2):
            assert "Traceback" not in node.output()


def ends(stage: Stage, alert: str) -> None:
    eventually(lambda: not stage.true(f"SkdCluster{alert}"), within=PATIENCE, what=f"{alert} is over")


@pytest.fixture(autouse=True)
def _what_was_said(request: pytest.FixtureRequest, stage: Stage) -> Iterator[None]:
    """After a failure: what the services and the replication said lately."""
    yield
    if request.node.stash.get(FAILED, False):
        for node in (stage.lb1, stage.lb2):
            log = node.path("/var/log/skdinotify.log")
            print(
                f"--- {node.name}: {node.role()}\n{node.output()[-3000:]}\n{log.read_text()[-1500:] if log.exists() else ''}"
            )


@pytest.mark.parametrize("scene", SCENES, ids=["+".join(scene.shows) for scene in SCENES])
def test_the_page_leads_from_the_fault_to_its_end(scene: Scene, stage: Stage) -> None:
    for alert in scene.shows:
        ends(stage, alert)  # what an earlier scene has left of it
    try:
        scene.cause(stage)
        for alert, (name, words, pattern) in scene.shows.items():
            eventually(
                lambda a=alert: stage.true(f"SkdCluster{a}"), within=PATIENCE, what=f"{alert} is asked and is so"
            )
            printed = typed(stage.lb1 if name == "lb1" else stage.lb2, first_command(alert))
            for word in words:
                assert word in seen_part(alert), f"the page of {alert} does not speak of {word!r}"
                assert word in printed, printed
            assert re.search(pattern, printed, re.MULTILINE), printed
    finally:
        scene.mend(stage)
    stage.settle()


def test_all_of_it_is_over(stage: Stage) -> None:
    """Apart from the pages: many look back over a while, and so the waits are one."""
    for alert in stage.asked:
        ends(stage, alert.removeprefix("SkdCluster"))
