"""Which rulesets drop the packets of the election."""

from typing import Any

import pytest

from skd_cluster.core.nftables import Packet, blocked

PEER = Packet("192.0.2.2", 10112, "eth0")
DROP, ACCEPT = {"drop": None}, {"accept": None}


def payload(protocol: str, field: str, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


def meta(key: str, right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": right}}


def ruleset(*rules: list[Any], policy: str = "accept", hook: str = "input", family: str = "inet") -> dict[str, Any]:
    chain = {"family": family, "table": "t", "name": "in", "hook": hook, "policy": policy}
    made = [
        {"rule": {"family": family, "table": "t", "chain": "in", "handle": n, "expr": r}} for n, r in enumerate(rules)
    ]
    return {"nftables": [{"metainfo": {}}, {"chain": chain}, *made]}


OURS = payload("udp", "dport", 10112)

CASES = (
    ([], "accept", ""),
    ([], "drop", "policy"),
    ([[OURS, DROP]], "accept", "rule 0"),
    ([[OURS, {"reject": {}}]], "accept", "rule 0"),
    ([[OURS, ACCEPT], [DROP]], "drop", ""),
    ([[payload("udp", "dport", 53), ACCEPT]], "drop", "policy"),
    ([[payload("tcp", "dport", 10112), ACCEPT]], "drop", "policy"),
    ([[payload("udp", "dport", {"set": [53, 10112]}), ACCEPT]], "drop", ""),
    ([[payload("udp", "dport", {"range": [10000, 10200]}), DROP]], "accept", "rule 0"),
    ([[payload("udp", "dport", {"range": [1, 2]}), DROP]], "accept", ""),
    ([[payload("udp", "dport", 10112, "!="), DROP]], "accept", ""),
    ([[payload("ip", "saddr", "192.0.2.2"), ACCEPT]], "drop", ""),
    ([[payload("ip", "saddr", "192.0.2.9"), ACCEPT]], "drop", "policy"),
    ([[payload("ip", "saddr", {"prefix": {"addr": "192.0.2.0", "len": 24}}), DROP]], "accept", ""),
    ([[meta("iifname", "lo"), ACCEPT]], "drop", "policy"),
    ([[meta("iifname", "eth0"), meta("l4proto", "udp"), DROP]], "accept", "rule 0"),
    ([[{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established"]}}, ACCEPT]], "drop", ""),
    ([[{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["invalid"]}}, DROP]], "accept", ""),
    ([[{"counter": {}}, {"jump": {"target": "x"}}]], "drop", ""),
)


@pytest.mark.parametrize(("rules", "policy", "what"), CASES)
def test_what_drops_is_named(rules: list[Any], policy: str, what: str) -> None:
    wanted = [["inet", "t", "in", what]] if what else []
    assert blocked(ruleset(*rules, policy=policy), PEER) == wanted


@pytest.mark.parametrize(
    ("hook", "family"), [("output", "inet"), ("forward", "ip"), ("input", "ip6"), ("input", "arp")]
)
def test_chains_that_the_packet_does_not_pass(hook: str, family: str) -> None:
    assert blocked(ruleset([OURS, DROP], hook=hook, family=family), PEER) == []


def test_ipv6_and_what_is_no_ruleset() -> None:
    six = Packet("2001:db8::2", 10112, "eth0")
    assert blocked(ruleset([OURS, DROP], family="ip6"), six) == [["ip6", "t", "in", "rule 0"]]
    assert blocked([], six) == blocked({}, six) == []
