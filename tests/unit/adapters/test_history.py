import json

from skd_cluster.adapters.history import History
from skd_cluster.core.history import parse


def test_a_second_try_of_a_generation_adds_to_what_the_first_one_did(tmp_path):
    kept = History(tmp_path / "history", 5).generation(7)
    kept.about({"before": {"config/a": [0o100644, 0, 0]}, "made": ["config/b"], "deleted": [], "from": [1, 6]})
    again = History(tmp_path / "history", 5).generation(7)
    again.about({"before": {"config/b": [0o100644, 0, 0]}, "made": [], "deleted": [], "from": [1, 6], "at": 3})
    found = parse(7, json.loads((tmp_path / "history" / "0000000007" / "about.json").read_text()))
    assert (found.changed, found.made, found.at) == (("config/a",), ("config/b",), 3)


def test_facts_that_cannot_be_read_are_written_anew(tmp_path):
    kept = History(tmp_path / "history", 5).generation(7)
    kept.about({"at": 1})
    about = tmp_path / "history" / "0000000007" / "about.json"
    for broken in ("", "{", "[]", "null", "7"):
        about.write_text(broken)
        kept.about({"at": 2})
        assert json.loads(about.read_text())["at"] == 2


def test_what_was_put_right_in_one_generation_is_forgotten_like_generations_but_not_what_waits(tmp_path):
    history = History(tmp_path / "history", 2)
    for number in (6, 7, 8):
        history.generation(number).about({"at": 1})
    for push in range(2, 7):
        history.generation(8, push).about({"at": 1})
    history.generation(6, 2).about({"at": 1})
    history.generation(8, 3).wait("drift-1-lb2")
    history.prune()
    left = sorted(one.name for one in (tmp_path / "history").glob("0*"))
    assert left == ["0000000007", "0000000008", "0000000008-3", "0000000008-5", "0000000008-6"]
