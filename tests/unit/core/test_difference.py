import pytest

from skd_cluster.core.difference import What, describe, differences, is_private, printable
from skd_cluster.core.manifest import Entry, Kind


def entry(kind="f", mode=0o644, uid=0, content="x", size=3):
    return Entry(Kind(kind), mode, uid, 0, content, size)


@pytest.mark.parametrize(
    ("ours", "theirs", "what", "words"),
    [
        (entry(), None, [What.ONLY], "only on lb1: config/a (file, 0644, 3 bytes)"),
        (None, entry("d"), [What.ONLY], "only on lb2: config/a (folder)"),
        (None, entry("l", content="to"), [What.ONLY], "only on lb2: config/a (link to to)"),
        (entry(), entry("d"), [What.TYPE], "config/a: file, 0644, 3 bytes on lb1, folder on lb2"),
        (entry(), entry(content="y"), [What.CONTENT], "config/a: content differs"),
        (entry("l"), entry("l", content="y"), [What.TARGET], "config/a: leads to x on lb1, to y on lb2"),
        (entry(), entry(mode=0o600), [What.MODE], "config/a: mode 0644 on lb1, 0600 on lb2"),
        (
            entry(),
            entry(uid=33, content="y"),
            [What.CONTENT, What.OWNER],
            "config/a: content differs; owner 0:0 on lb1, 33:0 on lb2",
        ),
    ],
)
def test_in_what_two_versions_differ(ours, theirs, what, words):
    one, other = ({} if found is None else {"config/a": found} for found in (ours, theirs))
    (found,) = differences(one, other)
    assert list(found.what) == what
    assert describe(found, "lb1", "lb2") == words


def test_a_note_on_the_content():
    (found,) = differences({"config/a": entry()}, {"config/a": entry(content="y")})
    assert describe(found, "lb1", "lb2", "private") == "config/a: content differs (private)"


def test_equal_trees_have_none_and_of_what_is_unknown_nothing_is_said():
    tree = {"config/d/a": entry()}
    assert differences(tree, tree) == []
    assert differences(tree, {}, {"config/d": "no permission"}) == []


def test_the_backup_may_have_more_routing_tables():
    ours, theirs = {"rt_tables": entry(content="a")}, {"rt_tables": entry(content="a b", mode=0o600)}
    (found,) = differences(ours, theirs)
    assert found.what == (What.MODE,)
    assert differences({}, theirs) == []


@pytest.mark.parametrize(
    ("key", "mode", "private"),
    [("config/a", 0o644, False), ("config/a.key", 0o644, True), ("config/a", 0o600, True), ("config/a", 0o640, False)],
)
def test_which_contents_are_private(key, mode, private):
    assert is_private(key, entry(mode=mode)) is private
    (found,) = differences({key: entry()}, {key: entry(mode=mode, content="y")})
    assert found.private is private


def test_a_name_is_one_line_whatever_is_in_it():
    assert printable("a\nb\x1b[2J\udce9\té") == "a\\nb\\x1b[2J\\udce9\té"
    (found,) = differences({"config/two\nlines": entry()}, {})
    assert describe(found, "lb1", "lb2").count("\n") == 0
