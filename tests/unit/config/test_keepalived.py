"""The text of keepalived.conf: blocks, comments, lines; and no bytes that upset it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skd_cluster.config.keepalived import MAX_BYTES, Clause, parse
from skd_cluster.config.vrrpinstance import Known, read

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


def plain(clauses):
    return [(one.words, one.line, None if one.inner is None else plain(one.inner)) for one in clauses]


def test_blocks_comments_quotes_and_lines():
    text = '! a\n# b\nglobal_defs { router_id x }\n\nvrrp_instance A\n{ # c\n  p 1 ! d\n  s "a b # c" }\nlast'
    parsed = parse(text)
    assert not parsed.troubles
    assert plain(parsed.clauses) == [
        (("global_defs",), 3, [(("router_id", "x"), 3, None)]),
        (("vrrp_instance", "A"), 5, [(("p", "1"), 7, None), (("s", "a b # c"), 8, None)]),
        (("last",), 9, None),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a {\n b {\n }\n", 1, "found a { that is never closed, expected its }"),
        ("a {\n}\n}\n", 3, "found a } too many, expected one for each {"),
        ('a\nb "c\n', 2, "found a quote that is not closed, expected it on the same line"),
        ("x\n" + "{\n" * 50, 18, "found blocks 16 deep, expected a plain configuration"),
        ("x" * (MAX_BYTES + 1), None, f"found more than {MAX_BYTES} bytes, expected a configuration"),
    ],
)
def test_what_is_wrong_has_its_line(text, line, said):
    (trouble,) = parse(text).troubles
    assert (trouble.line, trouble.text) == (line, said)


def test_a_clause_does_not_show_its_arguments():
    assert repr(Clause(("auth_pass", "secret"), 3)) == "Clause('auth_pass', line=3)"
    assert "secret" not in repr(parse("auth_pass secret"))


WORDS = st.sampled_from(
    [
        "\n",
        *[
            "{",
            "}",
            "#",
            "!",
            '"',
            "vrrp_instance",
            "global_defs",
            "interface",
            "eth0",
            "priority",
            "255",
            "state",
            "MASTER",
            "virtual_ipaddress",
            "10.0.0.9/24",
            "dev",
            "fe80::1",
            "unicast_peer",
            "10.0.0.2",
            "track_interface",
            "weight",
            "nopreempt",
            "vrrp_mcast_group4",
            "virtual_router_id",
            "advert_int",
            "virtual_ipaddress_excluded",
            "version",
            "3",
            "vrrp_version",
            "@a",
            "$X=",
            "include",
            "authentication",
            "auth_pass",
            "mcast_src_ip",
        ],
    ]
)


@settings(max_examples=500)
@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map(" ".join)))
def test_nothing_upsets_it_and_every_line_is_one_of_the_file(text):
    reading = read(text, Known())
    lines = text.count("\n") + 1
    found = [one.line for one in (*reading.left, *reading.troubles)]
    assert all(one is None or 1 <= one <= lines for one in (*found, *reading.lines.values()))
    parsed = parse(text)
    stack = list(parsed.clauses)
    while stack:
        one = stack.pop()
        stack += one.inner or ()
        assert not one.words or one.words[0] in text.split("\n")[one.line - 1]
    assert parsed.troubles or reading.troubles or {"interface", "cluster_ip", "transport"} <= set(reading.values)


def recorded():
    for side in sorted(CAPTURES.glob("*.json")):
        for number, peer in enumerate(json.loads(side.read_text()).get("peers", [])):
            if peer["program"] == "keepalived":
                yield pytest.param(peer, id=f"{side.stem}-{number}")


@pytest.mark.parametrize("peer", [*recorded()])
def test_every_configuration_that_was_recorded_with_its_packets(peer):
    v6 = ":" in peer["virtual_addresses"][0]
    own = "fd00::1" if v6 else "10.77.0.1"
    addresses = _addresses(own)
    reading = read(peer["config"], Known(addresses, remote_ip=own.replace("1", "2") if v6 else "10.77.0.2"))
    if peer["vrrp_version"] == 2:
        assert next(one.text for one in reading.troubles if "version" in one.text).startswith("found VRRP version 2")
        return
    assert not reading.troubles
    assert reading.values["cluster_id"] == str(peer["virtual_router_id"])
    assert reading.values["priority"] == str(peer["priority"])
    assert float(reading.values["advert_interval"]) == peer["advert_int"]
    assert [one.partition("/")[0] for one in reading.values["cluster_ip"].split()] == peer["virtual_addresses"]
    assert reading.values["transport"] == "vrrp"
    assert "secret" not in repr(reading)


def _addresses(own):
    from ipaddress import ip_address

    return [(ip_address("fe80::1"), "eth0"), (ip_address("192.0.2.1"), "eth1"), (ip_address(own), "eth0")]
