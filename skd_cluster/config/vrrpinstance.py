"""What of a keepalived.conf can be carried over: the plain case, one vrrp_instance and two nodes. The rest is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from skd_cluster.config.keepalived import Clause, Trouble, parse
from skd_cluster.config.network import read_address
from skd_cluster.config.problems import printable
from skd_cluster.config.values import BadValue
from skd_cluster.core.model import IPAddress

_VRRPV3 = 3
_OWNER = 255  # RFC 9568: of the router whose own address it is; nobody here is

_WHY = {
    "state": "the node on which the address is up becomes master first",
    "authentication": "VRRPv3 has none",
    "include": "what is in that file was not read",
    "track_script": "put an executable into checks_dir, exit 0 is healthy",
    "vrrp_script": "put an executable into checks_dir, exit 0 is healthy",
    "track_process": "put an executable into checks_dir, exit 0 is healthy",
    "track_file": "put an executable into checks_dir, exit 0 is healthy",
    "notify": "up_script and down_script are called instead",
    "notify_master": "call it in up_script",
    "notify_backup": "call it in down_script",
    "notify_fault": "call it in down_script",
    "notify_stop": "call it in down_script",
    "use_vmac": "the addresses keep the MAC of their NIC",
    "dont_track_primary": "the loss of interface is always a fault",
    "virtual_routes": "routes of the product are replicated, others belong into up_script",
    "virtual_rules": "rules of the product are replicated, others belong into up_script",
    "vrrp_sync_group": "all addresses of this service move together",
    "virtual_server": "farms are the product's",
    "smtp_alert": "alerts are Prometheus', see docs/runbooks",
    "router_id": "the node's name is its host name",
}
_NOTHING = "nothing here does the same"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the file: addresses of this host in their order, and the keys that are set already."""

    addresses: Sequence[tuple[IPAddress, str]] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    remote_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """One clause that was not carried over; never its arguments, of which one may be a password."""

    line: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The keys that say the same, what nothing says, and why it cannot be done: then the keys are not all there."""

    values: Mapping[str, str]
    lines: Mapping[str, int]
    """Where the file says it, of the keys that one clause gave."""
    left: tuple[Left, ...]
    troubles: tuple[Trouble, ...]


def read(text: str, known: Known) -> Reading:
    """Read the text of a keepalived.conf. Never raises."""
    parsed = parse(text)
    if parsed.troubles:
        return Reading({}, {}, (), parsed.troubles)
    reader = _Reader(known)
    reader.file(parsed.clauses)
    return Reading(
        reader.values, reader.lines, tuple(sorted(reader.left, key=lambda one: one.line)), tuple(reader.troubles)
    )


class _Reader:
    """Goes through the clauses once; each is carried or left."""

    def __init__(self, known: Known) -> None:
        self.values: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.left: list[Left] = []
        self.troubles: list[Trouble] = []
        self._known = known
        self._listed: list[tuple[IPAddress, str]] = []
        self._excluded: list[Clause] = []
        self._groups: dict[int, str] = {}
        self._peers: list[tuple[str, int]] = []
        self._version = 2  # what keepalived speaks unless it is told
        self._flags: set[str] = set()
        self._interface = ""

    def file(self, clauses: Sequence[Clause]) -> None:
        instances = [one for one in clauses if one.name == "vrrp_instance"]
        for one in clauses:
            if one.name == "global_defs":
                self._each(one.inner or (), _GLOBAL)
            elif one not in instances:
                self._leave(one)
        if len(instances) != 1:
            places = ", ".join(f"line {one.line}" for one in instances)
            found = f"{len(instances)} vrrp_instance ({places})" if instances else "no vrrp_instance"
            self.troubles.append(Trouble(None, f"found {found}, expected one"))
            return
        inner = instances[0].inner or ()
        self._interface = next((one.words[1] for one in inner if one.name == "interface" and len(one.words) > 1), "")
        self._each(inner, _INSTANCE)
        self._conclude(instances[0].line)

    def _each(self, clauses: Sequence[Clause], table: "Mapping[str, _Taker]") -> None:
        for one in clauses:
            take = table.get(one.name)
            if take is None:
                self._leave(one)
            elif one.name in _BLOCKS and one.inner is None:
                self._wrong(one, "no block", "one in braces")
            elif one.name not in _BLOCKS | _FLAGS and len(one.words) < 2:
                self._wrong(one, "nothing", "a value")
            else:
                take(self, one)

    def _leave(self, clause: Clause, why: str | None = None) -> None:
        name = printable(clause.name)
        if clause.name.startswith("@"):
            why = "a line for some of the nodes: write what this node needs by hand"
        elif clause.name.startswith("$"):
            why = "definitions are not put in: where they are used, write the value"
        self.left.append(Left(clause.line, name, why or _WHY.get(clause.name, _NOTHING)))

    def _wrong(self, clause: Clause, found: str, expected: str) -> None:
        self.troubles.append(
            Trouble(clause.line, f"{printable(clause.name)}: found {printable(found)}, expected {expected}")
        )

    # --- what a clause says --------------------------------------------------------------------

    def take_version(self, clause: Clause) -> None:
        self._version = _VRRPV3 if clause.words[1:] == ("3",) else 2

    def take_group(self, clause: Clause) -> None:
        self._groups[int(clause.name[-1])] = clause.words[1]

    def take_flag(self, clause: Clause) -> None:
        self._flags.add(clause.name)

    def take_state(self, clause: Clause) -> None:
        self._flags.add(clause.words[1])
        self._leave(clause)

    def take_priority(self, clause: Clause) -> None:
        self.values["priority"], self.lines["priority"] = clause.words[1], clause.line
        if clause.words[1] == str(_OWNER):
            self._flags.add(str(_OWNER))
            self.values["priority"] = str(_OWNER - 1)
            self._leave(clause, f"{_OWNER} belongs to the owner of the address: {_OWNER - 1} was written")

    def take_refresh(self, clause: Clause) -> None:
        if clause.words[1] == "0":
            self._leave(clause, "addresses are announced each garp_refresh, which cannot be switched off")
        else:
            self.values["garp_refresh"] = clause.words[1]

    def take_addresses(self, clause: Clause) -> None:
        for one in clause.inner or ():
            found = self._address(one)
            if found is not None and self._listed and found[0].version != self._listed[0][0].version:
                self._leave(one, "of another family than the first one: keepalived ignores it, too")
            elif found is not None:
                self._listed.append(found)

    def take_excluded(self, clause: Clause) -> None:
        self._excluded += clause.inner or ()

    def _beside(self) -> None:
        """Addresses that move and are not advertised: of another family also here, of the same by way of the product."""
        for one in self._excluded:
            found = self._address(one)
            if found is None:
                continue
            if found[0].version != self._listed[0][0].version:
                self._listed.append(found)
            else:
                why = (
                    "cluster_ip is what is advertised: make it a virtual interface of the product, which moves "
                    'without that (floating="tree")'
                )
                self._leave(one, why)

    def take_peers(self, clause: Clause) -> None:
        self._peers += [(one.name, one.line) for one in clause.inner or ()]

    def take_tracked(self, clause: Clause) -> None:
        """Interfaces whose loss is a fault. One with a weight changes the priority only, which nothing here does."""
        plain = []
        for one in clause.inner or ():
            if len(one.words) == 1:
                plain.append(one.name)
            else:
                self._leave(one, "with a weight it changes the priority; in track_interfaces its loss is a fault")
        if plain:
            self.values["track_interfaces"] = " ".join(plain)

    def _address(self, clause: Clause) -> tuple[IPAddress, str] | None:
        """Return an address and its word in `cluster_ip`; what it has besides is left."""
        text, _, prefix = clause.name.partition("/")
        try:
            address = read_address(text)
        except BadValue as bad:
            self._wrong(clause, text, bad.remark.expected)
            return None
        rest = list(clause.words[1:])
        interface = self._interface
        if "dev" in rest[:-1]:
            at = rest.index("dev")
            interface = rest[at + 1]
            del rest[at : at + 2]
        if rest:
            self._leave(clause, f"its options {printable(' '.join(rest))} have no place in cluster_ip")
        return address, f"{address}/{prefix or address.max_prefixlen}@{interface}"

    # --- what all of them say together ---------------------------------------------------------

    def _conclude(self, line: int) -> None:
        missing = [name for name, key in _NEEDED.items() if key not in self.values]
        missing += [] if self._listed else ["virtual_ipaddress"]
        self.troubles += [Trouble(line, f"found no {name} in the vrrp_instance, expected one") for name in missing]
        if not self._listed:
            return
        family = self._listed[0][0].version
        if self._version != _VRRPV3 and family == 4:  # over IPv6 keepalived speaks no other
            self.troubles.append(Trouble(None, _SPEAK_3))
        if family in self._groups:
            self.values["multicast_group"] = self._groups[family]
        self._beside()
        self.values["cluster_ip"] = " ".join(word for _, word in self._listed)
        self.values.setdefault("advert_interval", "1")
        self.values["transport"] = "vrrp"
        self._preemption(line)
        self._remote()
        self._local(family)

    def _preemption(self, line: int) -> None:
        """Carry over when a master is preempted, as Debian's keepalived 2.2.7 does it, whatever the file says.

        A state of MASTER, or priority 255, makes it ignore `nopreempt`; either of the two makes it ignore `preempt_delay`.
        """
        first = bool({"MASTER", str(_OWNER)} & self._flags)
        if "MASTER" in self._flags and "priority" not in self.values:
            self.values["priority"] = str(_OWNER - 1)
            why = f"with state MASTER keepalived takes {_OWNER}, which belongs to the owner: {_OWNER - 1} was written"
            self.left.append(Left(line, "priority", why))
        self.values["preempt"] = "false" if "nopreempt" in self._flags and not first else "true"
        if first or self.values["preempt"] == "false":
            self.values.pop("preempt_delay", None)

    def _remote(self) -> None:
        known = self._known.remote_ip or self._known.values.get("remote_ip")
        if len(self._peers) > 1:
            found = ", ".join(printable(name) for name, _ in self._peers)
            self.troubles.append(Trouble(self._peers[1][1], f"unicast_peer: found {found}, expected one: a pair"))
        elif self._peers:
            self.values |= {"remote_ip": self._peers[0][0], "udp_mode": "unicast"}
        elif known:
            self.values["remote_ip"] = known
            if self._known.values.get("udp_mode") == "unicast":
                self.values["udp_mode"] = "multicast"
        else:
            text = "found no address of the other node (it speaks to a group), expected --remote-ip ADDRESS"
            self.troubles.append(Trouble(None, text))

    def _local(self, family: int) -> None:
        """Find this node's own address: as the file says it, else the first one of its interface."""
        floating = {address for address, _ in self._listed}
        own = [
            str(address)
            for address, name in self._known.addresses
            if name == self._interface
            and address.version == family
            and address not in floating
            and not address.is_link_local
        ]
        said = self.values.pop("local_ip", None)
        if said is None or said.lower().startswith("fe80:"):  # VRRP's source over IPv6; the pair has other addresses
            self.lines.pop("local_ip", None)
            said = self._known.values.get("local_ip") or next(iter(own), None)
        if said is None:
            text = (
                f"found no IPv{family} address of {printable(self._interface)} on this host, expected this node's own"
            )
            self.troubles.append(Trouble(None, text))
        else:
            self.values["local_ip"] = said


_SPEAK_3 = (
    "found VRRP version 2, which keepalived speaks unless it is told, expected 3: write `vrrp_version 3` into global_defs "
    "on both nodes, first on the backup, then `systemctl reload keepalived` on both (for that moment both are master)"
)

_Taker = Callable[[_Reader, Clause], None]


def _value_of(key: str) -> _Taker:
    def take(reader: _Reader, clause: Clause) -> None:
        reader.values[key], reader.lines[key] = clause.words[1], clause.line

    return take


_NEEDED: Mapping[str, str] = MappingProxyType({"interface": "interface", "virtual_router_id": "cluster_id"})
_FLAGS = frozenset({"nopreempt", "preempt"})
_BLOCKS = frozenset({"virtual_ipaddress", "virtual_ipaddress_excluded", "unicast_peer", "track_interface"})
_GLOBAL: Mapping[str, _Taker] = MappingProxyType(
    {
        "vrrp_version": _Reader.take_version,
        "vrrp_mcast_group4": _Reader.take_group,
        "vrrp_mcast_group6": _Reader.take_group,
    }
)
_INSTANCE: Mapping[str, _Taker] = MappingProxyType(
    {
        "interface": _value_of("interface"),
        "virtual_router_id": _value_of("cluster_id"),
        "advert_int": _value_of("advert_interval"),
        "preempt_delay": _value_of("preempt_delay"),
        "down_timer_adverts": _value_of("dead_ratio"),
        "garp_master_repeat": _value_of("garp_count"),
        "garp_master_refresh": _Reader.take_refresh,
        "unicast_src_ip": _value_of("local_ip"),
        "mcast_src_ip": _value_of("local_ip"),
        "priority": _Reader.take_priority,
        "state": _Reader.take_state,
        "version": _Reader.take_version,
        "nopreempt": _Reader.take_flag,
        "preempt": _Reader.take_flag,
        "virtual_ipaddress": _Reader.take_addresses,
        "virtual_ipaddress_excluded": _Reader.take_excluded,
        "unicast_peer": _Reader.take_peers,
        "track_interface": _Reader.take_tracked,
    }
)
