from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.merge import (
    global_combine,
    global_common,
    tables_combine,
    tables_common,
    tables_cover,
)

OURS = b'# ours\n$defaultgw = "10.0.0.1";\n$defaultgwif="eth0";\n$ntp="old";\n'
THEIRS = (
    b'# theirs\n$ntp="new";\n$defaultgw="192.168.1.1";\n$defaultgw6="2001:db8::1";\n$defaultgwif = "eth9";\n$x="1";\n'
)

line = st.one_of(
    st.sampled_from(
        [b'$defaultgw="%d";', b'  $defaultgwif = "%d";', b'$defaultgw6="%d";', b'$ntp="%d";', b"# %d", b""]
    ),
).flatmap(lambda text: st.integers(0, 3).map(lambda number: text.replace(b"%d", str(number).encode())))
content = st.lists(line, max_size=8).flatmap(
    lambda lines: st.sampled_from([b"", b"\n"]).map(lambda end: b"\n".join(lines) + end)
)


def test_the_node_s_keys_stay():
    assert global_combine(THEIRS, OURS) == (
        b'# theirs\n$ntp="new";\n$defaultgw = "10.0.0.1";\n$defaultgw6="";\n$defaultgwif="eth0";\n$x="1";\n'
    )


def test_a_key_only_we_have_is_kept_at_the_end():
    assert global_combine(b'$ntp="new";', OURS) == (b'$ntp="new";\n$defaultgw = "10.0.0.1";\n$defaultgwif="eth0";\n')


def test_a_new_node_gets_no_gateway_of_another():
    assert b"192.168.1.1" not in global_combine(THEIRS, None)


def test_a_similar_key_travels():
    assert global_combine(b'$defaultgwx="1";\n', OURS).startswith(b'$defaultgwx="1";\n')


@given(content, content)
def test_after_merging_both_are_the_same_and_what_is_ours_stays(theirs, ours):
    merged = global_combine(theirs, ours)
    assert global_common(merged) == global_common(theirs)
    assert global_combine(theirs, merged) == merged
    own = [one for one in ours.splitlines() if b"defaultgw" in one]
    assert sorted(one for one in merged.splitlines() if b"defaultgw" in one and one in own) == sorted(own) or not own


def test_tables_keep_their_numbers_and_take_new_names():
    ours = b"255\tlocal\n200\ttable_eth1\n201\ttable_eth0\n300\tmonitoring\n"
    theirs = b"255\tlocal\n150\tbackup-uplink\n200\ttable_eth0\n201\ttable_eth1\n202 table_eth2 # new\n"
    merged = tables_combine(theirs, ours)
    assert merged == ours + b"150\tbackup-uplink\n202\ttable_eth2\n"


def test_a_number_that_is_taken_is_replaced():
    assert (
        tables_combine(b"200\ttable_eth5\n", b"200\ttable_eth0\n201\tx")
        == b"200\ttable_eth0\n201\tx\n202\ttable_eth5\n"
    )


tables = st.lists(
    st.tuples(st.integers(198, 258), st.sampled_from([b"a", b"b", b"c", b"d"])),
    max_size=5,
    unique_by=lambda one: one[0],
).map(lambda lines: b"# head\n" + b"".join(b"%d\t%s\n" % one for one in lines))


@given(tables, tables)
def test_merged_tables_cover_theirs_and_begin_with_ours(theirs, ours):
    merged = tables_combine(theirs, ours)
    assert merged.startswith(ours)
    assert tables_cover(tables_common(merged).decode(), tables_common(theirs).decode())
    assert tables_combine(theirs, merged) == merged
    added = [int(one.split()[0]) for one in merged[len(ours) :].splitlines()]
    assert len(set(added)) == len(added)


def test_tables_of_a_node_that_has_none_are_theirs():
    assert tables_combine(b"200\ttable_eth0\n", None) == b"200\ttable_eth0\n"
