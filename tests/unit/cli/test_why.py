"""`skd-cluster why` on a node alone."""

import json
import time

import pytest

from skd_cluster.adapters import flight
from skd_cluster.cli.main import main
from skd_cluster.cli.why import moment
from tests.fakes.supervised import Node
from tests.unit.core.test_flight import RECORD


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path) as one:
        yield one


def why(node, *words):
    return main(["why", "--config", str(node.config), "--local", *words])


def test_nothing_on_record_is_said_and_fails(node, capsys):
    assert why(node) == 1
    assert (
        capsys.readouterr().err == "no change of role is on record yet (192.0.2.2 does not answer: --local was given)\n"
    )


def test_a_story_and_a_list_without_a_running_service(node, capsys):
    flight.folder(node.folder / "state").mkdir(parents=True)
    flight.path_of(node.folder / "state", 3).write_bytes(flight.content(RECORD))
    assert why(node) == 0
    printed = capsys.readouterr().out
    assert "lb2 went from backup to master: the master was not heard\n" in printed
    assert "  lb2  had not heard 10.77.0.1 for 0.60 s, and took over\n" in printed
    assert "not known or not certain: 10.77.0.1 does not answer" in printed
    assert why(node, "--list", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)["changes"]
    assert one == {"at": 1.7e9, "node": "lb2", "number": 3, "epoch": 7, "old": "backup", "new": "master",
                   "reason": "peer_silent", "detail": ""}  # fmt: skip
    assert why(node, "--json", "--at", "2023-11-14 22:13") == 0
    assert json.loads(capsys.readouterr().out)["at"] == 1.7e9


def test_a_refused_configuration_is_78(node, capsys):
    node.config.write_text('$interface="lo";\n')
    assert why(node) == 78
    assert "the configuration is refused" in capsys.readouterr().err


def test_a_time_without_a_date_is_of_the_last_24_hours():
    now = time.time()  # noqa: TID251 -- what the words are about
    for text in ("03:12", "03:12:07", "23:59:59"):
        assert now - 86_400 - 3600 <= moment(text) <= now
    assert moment("2026-11-25 03:12:07") == time.mktime((2026, 11, 25, 3, 12, 7, 0, 0, -1))
    with pytest.raises(ValueError, match="yesterday"):
        moment("yesterday")
