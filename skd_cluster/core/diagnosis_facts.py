"""What a node knows of itself when `skd-cluster doctor` asks, as plain values that travel as JSON. No secret is among them.

What could not be found out keeps its default, and no rule takes a default for a fault.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_origin

UNKNOWN = -1
"""A number that could not be found out."""

ASKED_NOBODY = "?"
"""In `there`: nobody was asked."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node at one moment. Lists in lists have a fixed order, named beside each."""

    # Who
    node: str = ""
    software: str = ""
    python: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    product: str = ""
    local_ip: str = ""
    remote_ip: str = ""
    interface: str = ""

    # Its configuration
    config: str = ""
    config_mode: int = UNKNOWN
    config_owner: int = UNKNOWN
    warnings: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """By key, as the program understood them."""
    password: str = ""
    """A keyed digest: equal on both nodes if the passwords are."""
    excluded: list[str] = field(default_factory=list)
    """What of the product's own files `exclude` keeps from travelling."""

    # Its network
    links: dict[str, list[Any]] = field(default_factory=dict)
    """name: up, carrier, mac."""
    addresses: list[list[Any]] = field(default_factory=list)
    """address, prefix, interface, secondary."""
    floating: list[list[Any]] = field(default_factory=list)
    """address, prefix, interface."""
    tracked: list[str] = field(default_factory=list)
    route: str = ""
    """The interface by which the kernel sends to the peer."""
    answers: dict[str, list[str]] = field(default_factory=dict)
    """address: who else says by ARP that it is his, as MAC addresses."""
    sysctl: dict[str, str] = field(default_factory=dict)
    networkd: dict[str, list[str]] = field(default_factory=dict)
    """name of a managed interface: its file, its KeepConfiguration."""
    networkd_rules: str = ""
    """ManageForeignRoutingPolicyRules, where systemd-networkd runs."""
    network_manager: list[str] = field(default_factory=list)
    dhcp: list[str] = field(default_factory=list)
    cloud_init: bool = False
    blocked: list[list[str]] = field(default_factory=list)
    """family, table, chain, what drops the packets of the election there."""
    group: str = ""
    """The multicast group, if that is how the peer is told."""
    joined: list[str] = field(default_factory=list)

    # Its ssh
    there: str = ASKED_NOBODY
    """Why its login to the other node does not work; empty: it does."""
    paired: bool = False
    sshd: list[str] = field(default_factory=list)
    loose: list[list[str]] = field(default_factory=list)
    """path, what sshd or ssh has against it."""

    # Its time
    offset: list[float] = field(default_factory=list)
    """How far its clock is ahead of the asking node's, and how exactly that is known, in seconds."""
    synchronized: int = UNKNOWN

    # Its service
    unit: dict[str, str] = field(default_factory=dict)
    product_unit: dict[str, str] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    """As `status --json` has it; empty: the service does not answer."""
    word: str = ""
    state_dir: str = ""
    """What is wrong with it."""
    hooks: list[list[str]] = field(default_factory=list)
    """name, path, what is wrong with it."""
    idle_checks: list[str] = field(default_factory=list)
    """Files among the health checks that are no executables."""
    metrics: str = ""
    """What is wrong with the port."""
    prompt: list[str] = field(default_factory=list)
    """Files that show the role in the prompt."""
    leftovers: list[list[str]] = field(default_factory=list)
    """what there is of version 2, the command that removes it."""

    # Its host
    disks: list[list[Any]] = field(default_factory=list)
    """path, bytes free, bytes, inodes free, inodes."""
    watches: int = UNKNOWN
    instances: int = UNKNOWN
    folders: int = UNKNOWN
    realtime_runtime: int = UNKNOWN
    realtime_period: int = UNKNOWN
    late: list[str] = field(default_factory=list)
    """What did not answer in time."""

    def setting(self, key: str) -> str:
        """Return a key of its configuration."""
        return self.settings.get(key, "")


def pack(facts: NodeFacts) -> dict[str, Any]:
    """Return them as a JSON object."""
    return asdict(facts)


def unpack(found: Mapping[str, Any]) -> NodeFacts:
    """Read them; what is of another type than ours, or not known here, keeps its default."""
    taken: dict[str, Any] = {}
    for one in fields(NodeFacts):
        wanted = get_origin(one.type) or one.type
        value = found.get(one.name)
        if isinstance(wanted, type) and isinstance(value, wanted):
            taken[one.name] = value
    return NodeFacts(**taken)
