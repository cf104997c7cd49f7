"""What `diff` and `history` print of what two nodes say; the nodes are real in tests/lab/test_history.py."""

import json

import pytest

from skd_cluster.cli.comparison import Side, show
from skd_cluster.cli.history import _table
from skd_cluster.cli.main import main
from skd_cluster.core.difference import differences
from skd_cluster.core.history import Generation, Keeper, Place, parse
from skd_cluster.core.manifest import Entry, Kind, content_of
from skd_cluster.core.model import ExitCode
from skd_cluster.core.textdiff import LARGEST


def side(name, files, asked):
    def contents(keys):
        asked.extend(keys)
        return [files.get(key) for key in keys]

    return Side(name, contents)


def tree(files, mode=0o644):
    return {key: Entry(Kind.FILE, mode, 0, 0, content_of(key, body), len(body)) for key, body in files.items()}


def shown(ours, theirs, mode=0o644):
    asked = []
    found = differences(tree(ours, mode), tree(theirs, mode))
    return list(show(found, side("lb1", ours, asked), side("lb2", theirs, asked))), asked


def test_texts_have_a_diff_and_others_a_note():
    ours = {"config/a": b"one\n", "config/b": b"\0\1", "config/c": b"x" * (LARGEST + 1), "config/k.key": b"one"}
    theirs = dict.fromkeys(ours, b"two")
    found, asked = shown(ours, theirs)
    assert [one.headline for one in found] == [
        "config/a: content differs",
        "config/b: content differs (not a text: 2 and 3 bytes)",
        f"config/c: content differs ({LARGEST + 1} and 3 bytes: too large to show)",
        "config/k.key: content differs (private)",
    ]
    assert found[0].diff[:2] == ("--- lb1:config/a", "+++ lb2:config/a")
    assert set(asked) == {"config/a", "config/b"}
    assert json.loads(json.dumps(found[0].as_json()))["first"]["mode"] == "0644"


def test_the_content_of_a_private_file_is_not_even_asked_for():
    found, asked = shown({"config/a": b"one"}, {"config/a": b"two"}, mode=0o600)
    assert (found[0].headline, asked) == ("config/a: content differs (private)", [])


def test_each_node_s_own_keys_are_no_difference():
    ours = b'$defaultgw="192.0.2.1";\n$dns1="192.0.2.53";\n'
    theirs = b'$defaultgw="192.0.2.254";\n$dns1="192.0.2.54";\n'
    found, _ = shown({"config/global.conf": ours}, {"config/global.conf": theirs})
    assert "defaultgw" not in "".join(found[0].diff)
    assert '+$dns1="192.0.2.54";' in found[0].diff
    found, _ = shown({"rt_tables": b"200 a\n201 b\n"}, {"rt_tables": b"211 b\n"})
    assert found[0].diff[2:] == ("@@ -1,2 +1 @@", "-a", " b")


def test_what_changed_again_or_went_meanwhile():
    asked = []
    found = differences(tree({"config/a": b"one", "config/b": b"one"}), tree({"config/a": b"two", "config/b": b"two"}))
    first, second = (
        side("lb1", {"config/a": b"same", "config/b": b"x"}, asked),
        side("lb2", {"config/a": b"same"}, asked),
    )
    assert [one.note for one in show(found, first, second)] == ["the same by now", "it could not be read on lb2"]


def test_many_differences_are_asked_for_a_few_at_a_time():
    ours = {f"config/{number:03}": b"one" for number in range(100)}
    found, asked = shown(ours, dict.fromkeys(ours, b"two"))
    assert len(found) == 100
    assert asked[:32] == [f"config/{number:03}" for number in [*range(16), *range(16)]]


def test_the_list_of_generations():
    lb1, lb2 = Keeper("lb1", "10.0.0.1"), Keeper("lb2", "10.0.0.2")
    conflict = {"name": "split-1", "kind": "split", "keys": ["config/a", "config/b"], "resolved": False}
    places = [
        Place(lb2, parse(42, {"epoch": 3, "from": [3, 41], "conflict": conflict, "made": ["config/a"]})),
        Place(lb1, Generation(41, restored="39@lb2")),
        Place(lb2, Generation(41)),
    ]
    assert list(_table(places)) == [
        "GENERATION  TIME     EPOCH  KEPT ON  BEFORE  CHANGED  MADE  DELETED",
        "42          unknown  3      lb2      3.41    0        1     0        split-1: CONFLICT, 2 files, not resolved",
        "41@lb1      unknown  0      lb1      0.0     0        0     0        restored from 39@lb2",
        "41@lb2      unknown  0      lb2      0.0     0        0     0",
    ]
    assert list(_table([])) == []


@pytest.mark.parametrize("words", [["diff"], ["history"], ["history", "show", "1"]])
def test_with_a_refused_configuration_it_is_78_and_one_line(words, tmp_path, capsys):
    conf = tmp_path / "cluster.conf"
    conf.write_text('$cluster_id="many";')
    assert main([*words, "--config", str(conf)]) == ExitCode.CONFIG
    found = capsys.readouterr()
    assert (found.out, found.err.count("\n")) == ("", 1)
    assert "the configuration is refused" in found.err
    main([*words, "--json", "--config", str(conf)])
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize("act", ["list", "show", "diff", "restore", "resolve"])
def test_every_act_has_help_and_takes_the_configuration(act, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["history", act, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "--config FILE" in text
    assert "--json" in text


@pytest.mark.parametrize("words", [["history", "show"], ["history", "nonsense"], ["diff", "--x"]])
def test_wrong_usage_is_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == ExitCode.USAGE


def test_a_restore_says_either_what_or_where_to(capsys):
    assert main(["history", "restore"]) == ExitCode.USAGE
    assert "say which GENERATION to undo" in capsys.readouterr().err
    assert main(["history", "restore", "--to", "1", "config/a"]) == ExitCode.USAGE
    assert "the whole tree goes back" in capsys.readouterr().err
