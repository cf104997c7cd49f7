"""`status --watch` on a real pair, on real screens, while things happen."""

import re
from collections.abc import Iterator

import pytest

from tests.lab.healthy import healthy_pair
from tests.labkit import Lab, Node, eventually
from tests.labkit.screen import Screen

pytestmark = pytest.mark.timeout(120)

WATCH = "skd-cluster status --watch; echo ended with $?"


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Iterator[tuple[Node, Node]]:
    with healthy_pair(lab, lb1, lb2) as pair:
        yield pair


def test_both_nodes_and_what_happens_to_them(pair: tuple[Node, Node]) -> None:
    lb1, lb2 = pair
    with Screen(lb2) as screen:
        screen.type(WATCH)
        screen.await_text("takeover   this node could take over now")
        eventually(lambda: re.search(r"heartbeat  [▁▂▃▄▇]{20}", screen.line("heartbeat")), what="beats")
        print("\n".join(screen.lines))
        first = screen.lines
        assert first[0].startswith("skd-cluster  lb2 and 10.77.0.1 ")
        assert re.match(r"lb2 BACKUP since \d\d:\d\d:\d\d +│ 10\.77\.0\.1 MASTER$", first[1]), first
        assert "addresses  10.77.0.100 on eth0: not here" in first
        assert first[-1] == "q ends"

        lb1.run(["skd-cluster", "failover"])
        screen.await_text("lb2 MASTER since")
        screen.await_text("10.77.0.1 BACKUP")
        screen.await_text("addresses  10.77.0.100 on eth0: held here")
        screen.await_text("takeover   10.77.0.1 could take over now", within=20)
        screen.await_text("lb2 is master")  # of the events

        lb1.kill_daemon()
        screen.await_text("10.77.0.1 SILENT")
        assert "x" * 5 in eventually(lambda: re.search("x{5,}", screen.line("heartbeat")), what="missed ones").group()
        screen.await_text("could NOT take over: 10.77.0.1 is not heard")
        print("\n".join(screen.lines))

        assert lb2.stop_daemon() == 0
        screen.await_text("NOT RUNNING")
        screen.await_text("before     lb2 was MASTER")
        lb2.start_daemon()
        screen.await_text("lb2 MASTER since")

        screen.press("q")
        screen.await_text("ended with 0")
        assert not any("heartbeat" in line for line in screen.lines), "what was there before is there again"
        assert screen.lines[0].startswith("ready> skd-cluster status --watch")


@pytest.mark.parametrize("end", ["q", "C-c"])
@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"LC_ALL": "C"}], ids=["plain", "no colour", "ascii"])
def test_every_size_and_the_way_out(pair: tuple[Node, Node], end: str, environment: dict[str, str]) -> None:
    with Screen(pair[0], **environment) as screen:
        screen.type(WATCH)
        screen.await_text("lb1 MASTER since")
        for columns, rows in ((40, 10), (200, 50), (80, 24), (12, 4), (100, 30)):
            screen.resize(columns, rows)
            lines = eventually(lambda size=(columns, rows): filled(screen, *size), what=f"{columns}x{rows}")
            assert not any("Traceback" in line for line in lines)
            assert len(lines) <= rows
        assert any("│" in line for line in screen.lines) != ("LC_ALL" in environment)
        screen.press(end)
        screen.await_text("ended with 0")
        screen.type("echo $((6 * 7)); stty -a | grep -o '[-]*echo ' ")  # the line is seen as it is typed
        screen.await_text("42")
        assert screen.await_text("echo $((6")


def test_ctrl_z_and_back(pair: tuple[Node, Node]) -> None:
    with Screen(pair[0]) as screen:
        screen.type("skd-cluster status --watch")
        screen.await_text("lb1 MASTER since")
        screen.press("C-z")
        screen.await_text("Stopped")
        assert not any("heartbeat" in line for line in screen.lines)
        screen.type("fg")
        screen.await_text("lb1 MASTER since")
        screen.press("q")
        screen.await_text("ready> ")


def filled(screen: Screen, columns: int, rows: int) -> list[str]:
    """Return the lines once all that belongs to this size is drawn."""
    lines = screen.lines
    assert re.search(r"\d\d$", lines[0]) or columns < 20, lines
    assert columns < 20 or len(lines[0]) == columns, lines
    assert lines[-1].strip() == "q ends", lines
    assert len(lines) == rows or columns >= 80, lines
    return lines
