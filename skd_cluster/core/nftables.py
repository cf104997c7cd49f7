"""What of an nftables ruleset, as `nft -j list ruleset` prints it, drops the packets of the election on their way in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}


@dataclass(frozen=True, slots=True)
class Packet:
    """One of the peer's."""

    source: str
    port: int
    interface: str

    @property
    def version(self) -> int:
        """Which IP it is of."""
        return 6 if ":" in self.source else 4


def blocked(ruleset: Any, packet: Packet) -> list[list[str]]:
    """Return family, table, chain and what drops the packet there.

    A condition that is not understood counts as not met for what drops, and as met for what lets in: better silent than
    wrong.
    """
    items = ruleset.get("nftables", []) if isinstance(ruleset, Mapping) else []
    chains = [one["chain"] for one in items if "chain" in one]
    rules = [one["rule"] for one in items if "rule" in one]
    return list(_blocking(chains, rules, packet))


def _blocking(chains: list[Any], rules: list[Any], packet: Packet) -> Iterator[list[str]]:
    for chain in chains:
        if chain.get("hook") not in ("input", "prerouting") or chain.get("family") not in _FAMILIES[packet.version]:
            continue
        place = [str(chain[key]) for key in ("family", "table", "name")]
        ours = [one for one in rules if [one.get("family"), one.get("table"), one.get("chain")] == place]
        what = _judge(ours, packet) or ("policy" if chain.get("policy") == "drop" else "accept")
        if what != "accept":
            yield [*place, what]


def _judge(rules: list[Any], packet: Packet) -> str:
    """Return "accept", a rule that drops, or nothing if the packet comes to the end."""
    for rule in rules:
        verdict, met = "", True
        for part in rule.get("expr", []):
            if "match" in part:
                found = _met(part["match"], packet)
                met = met and found is not False
                verdict = verdict or ("maybe" if found is None else "")
            elif "drop" in part or "reject" in part:
                if met and verdict != "maybe":
                    return f"rule {rule.get('handle', '?')}"
            elif met and ({"accept", "jump", "goto", "vmap"} & set(part)):
                return "accept"
    return ""


def _met(match: Any, packet: Packet) -> bool | None:
    """Whether a packet meets a condition; None: not understood."""
    left, right, op = match.get("left", {}), match.get("right"), match.get("op", "==")
    field = (left.get("payload") or {}).get("field", "")
    protocol = (left.get("payload") or {}).get("protocol", "")
    meta = (left.get("meta") or {}).get("key", "")
    known: str | int | None = None
    if protocol in ("udp", "th") and field == "dport":
        known = packet.port
    elif field == "saddr":
        known = packet.source
    elif field == "protocol" or meta == "l4proto":
        known = "udp"
    elif meta == "iifname":
        known = packet.interface
    elif protocol in ("tcp", "icmp", "icmpv6", "sctp", "igmp"):
        return False
    if known is None:
        return None
    wanted = right.get("set", [right]) if isinstance(right, Mapping) else [right]
    ranges = [one.get("range") for one in wanted if isinstance(one, Mapping)]
    inside: bool = known in wanted
    for one in ranges:
        if not (isinstance(one, list) and len(one) == 2 and isinstance(known, int)):
            return None  # a prefix, say
        inside = inside or one[0] <= known <= one[1]
    negated: bool = op == "!="
    return inside is not negated
