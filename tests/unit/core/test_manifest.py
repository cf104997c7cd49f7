import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.manifest import (
    Entry,
    Kind,
    compare,
    content_of,
    digest,
    pack_manifest,
    shallow_first,
    unpack,
    unpack_manifest,
)

FOLDER = Entry(Kind.FOLDER, 0o755, 0, 0)


def file(content="x", mode=0o644, **more):
    return Entry(Kind.FILE, mode, 0, 0, content, **more)


entries = st.builds(
    Entry,
    st.sampled_from(Kind),
    st.sampled_from([0o644, 0o600]),
    st.just(0),
    st.just(0),
    st.sampled_from(["", "a", "b"]),
)
keys = st.sampled_from(["config/a", "config/b", "config/b/c", "config/b/d", "config/caf\udce9", "config/two\nlines"])
manifests = st.dictionaries(keys, entries)


def test_the_digest_is_this_one():
    tree = {"config": FOLDER, "config/a": file("ab")}
    lines = (("config", "d", "755", "0", "0", ""), ("config/a", "f", "644", "0", "0", "ab"))
    total = sum(int(hashlib.sha256("\0".join(one).encode()).hexdigest(), 16) for one in lines) % 2**256
    assert digest(tree) == hashlib.sha256(f"2 {total:064x}".encode()).hexdigest()
    assert digest(dict(reversed(tree.items()))) == digest(tree)


def test_size_and_time_are_no_difference():
    assert file(size=1, mtime=2) == file(size=3, mtime=4)
    assert digest({"config/a": file(size=1, mtime=2)}) == digest({"config/a": file()})


@given(manifests, manifests)
def test_the_digest_tells_trees_apart(one, other):
    assert (digest(one) == digest(other)) == (one == other)


@given(manifests, manifests)
def test_doing_what_the_plan_says_makes_theirs_ours(ours, theirs):
    plan = compare(ours, theirs)
    done = {key: entry for key, entry in theirs.items() if key not in plan.delete} | dict(plan.entries)
    assert done == ours == plan.applied(theirs)
    assert compare(ours, done).empty
    assert all(ours[key].kind is Kind.FILE for key in plan.fetch)


@given(manifests, manifests, st.sets(keys))
def test_what_is_unknown_here_stays_as_it_is_there(ours, theirs, unknown):
    plan = compare(ours, theirs, unknown)
    assert not unknown & (plan.entries.keys() | set(plan.delete))
    done = plan.applied(theirs)
    assert {key: done.get(key) for key in unknown} == {key: theirs.get(key) for key in unknown}


def test_all_in_an_unknown_folder_is_unknown():
    theirs = {"config": FOLDER, "config/b": FOLDER, "config/b/c": file()}
    assert compare({}, theirs, {"config"}).empty


def test_only_contents_that_differ_travel():
    ours = {"config/a": file("1"), "config/b": file("2", 0o600), "config/c": file("3")}
    theirs = {"config/a": file("1"), "config/b": file("2"), "config/c": file("4")}
    plan = compare(ours, theirs)
    assert set(plan.entries) == {"config/b", "config/c"}
    assert plan.fetch == ("config/c",)


def test_deletions_come_deepest_first_and_folders_are_made_from_the_top():
    theirs = {"config/a": FOLDER, "config/a/b": FOLDER, "config/a/b/c": file(), "config/z": file()}
    assert compare({}, theirs).delete == ("config/a/b/c", "config/a/b", "config/a", "config/z")
    assert shallow_first(theirs) == ["config/a", "config/z", "config/a/b", "config/a/b/c"]


def test_routing_tables_need_our_names_and_are_never_deleted():
    tables = content_of("rt_tables", b"200\tb\n201\ta\n")
    assert tables == "a b"
    theirs = {"rt_tables": file("a b c")}
    assert compare({"rt_tables": file(tables)}, theirs).empty
    assert compare({}, theirs).empty
    assert compare({"rt_tables": file("a d")}, theirs).fetch == ("rt_tables",)
    assert digest(theirs) == digest({})


def test_the_folder_of_node_local_files_is_made_and_never_deleted():
    assert set(compare({"config/local": FOLDER}, {}).entries) == {"config/local"}
    assert compare({}, {"config/local": FOLDER}).empty


def test_global_conf_is_the_same_whatever_its_gateway():
    one, other = (content_of("config/global.conf", b'$a="1";\n$defaultgw="%s";\n' % gw) for gw in (b"1", b"2"))
    assert one == other
    assert content_of("config/other.conf", b"a") == hashlib.sha256(b"a").hexdigest()


@given(manifests)
def test_packed_and_back(tree):
    assert unpack_manifest(pack_manifest(tree)) == tree


@pytest.mark.parametrize(
    "packed",
    [
        *(None, [], 7, ["f"], ["x", 0, 0, 0, "", 0, 0], ["f", "0", 0, 0, "", 0, 0], ["f", 0, 0, 0, 1, 0, 0]),
        *(["f", 0, -1, 0, "", 0, 0], ["f", 0, 0, 1 << 32, "", 0, 0], ["f", 0, 0, 0, "", -1, 0]),
        ["f", 0, 0, 0, "", 0, 1 << 63],
    ],
)
def test_garbage_is_no_entry(packed):
    with pytest.raises(ValueError):
        unpack(packed)


def test_garbage_is_no_manifest():
    with pytest.raises(ValueError):
        unpack_manifest([])
