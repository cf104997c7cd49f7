"""All keys in one table: form, default and one sentence each. The manual's table is made from it.

The table *is* the `Config` class: a field's name is the key's name, its metadata the rest. Defaults are written as in
the file and read by the same form, so a default that could not be configured cannot be one.
"""

# ruff: noqa: RUF009 -- the calls give dataclasses.field() each, with its metadata

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from skd_cluster.config import arguments, network, values
from skd_cluster.config.network import HeartbeatLink, ListedAddress
from skd_cluster.config.values import Form
from skd_cluster.core.model import IPAddress, Nanos

_HOOKS = "/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster"

RESTART: Final = frozenset(
    {
        "interface",
        "local_ip",
        "remote_ip",
        "cluster_id",
        "enable_cluster",
        "transport",
        "udp_mode",
        "udp_port",
        "multicast_group",
        "configdir",
        "status_file",
        "state_dir",
        "run_dir",
    }
)
"""Keys that only a restart puts in force: who the two nodes are, by which port and group they speak, where the files are."""

IGNORED: Final = frozenset({"ucarp"})
"""Keys of version 2 that have no meaning any more."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file. A default of None is written nowhere: the value is None, or the key is required."""

    name: str
    form: Form
    default: str | None
    doc: str
    required: bool


def _key(form: Form, doc: str, *, default: str | None = None, required: bool = False, shown: bool = True) -> Any:
    about = {"form": form, "doc": doc, "default": default, "required": required}
    return field(metadata=about, repr=shown)


def _path(default: str, doc: str) -> Any:
    return _key(values.path(), doc, default=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration that is complete and within all ranges. Its repr holds no password."""

    # The pair
    interface: str = _key(network.interface(), "The NIC that has `local_ip`; its loss is a fault.", required=True)
    local_ip: IPAddress = _key(network.address(), "This node's own address.", required=True)
    remote_ip: IPAddress = _key(network.address(), "The peer's own address, of the same family.", required=True)
    password: bytes = _key(
        values.secret(),
        "Authenticates the pair's packets; not needed with `password_file`.",
        required=True,
        shown=False,
    )
    password_also: bytes | None = _key(
        values.secret(),
        "Accepted from the peer, never used for sending: the password is changed without a gap.",
        shown=False,
    )
    password_file: Path | None = _key(
        values.path(), "A file with the password, instead of `password`; newlines at its end do not count."
    )
    cluster_id: int = _key(values.whole(1, 255), "Number of this pair, of no other in this network.", required=True)
    cluster_ip: tuple[ListedAddress, ...] = _key(
        network.listed_addresses(),
        "The addresses that move with the master. Without a prefix the mask in the address's own `if_*:*_conf`, else "
        "its parent's, else /32 or /128.",
        required=True,
    )
    floating: Literal["tree", "listed"] = _key(
        values.choice("tree", "listed"),
        "`tree`: every virtual interface `if_*:*_conf` with `status=up` moves as well; `listed`: only `cluster_ip`.",
        default="tree",
    )
    enable_cluster: bool = _key(
        values.yes_no(), "With `false` the service declines to start and is not marked failed.", default="true"
    )

    # Election
    transport: Literal["udp", "carp", "vrrp"] = _key(
        values.choice("udp", "carp", "vrrp"),
        "`udp` native; `carp` as ucarp speaks, `vrrp` VRRPv3 as keepalived does: for the time in which a pair is migrated.",
        default="udp",
    )
    udp_mode: Literal["unicast", "multicast"] = _key(
        values.choice("unicast", "multicast"),
        "Whom the packets are sent to; not written it is `multicast` with the transports `carp` and `vrrp`.",
        default="unicast",
    )
    udp_port: int = _key(values.whole(1, 65535), "Port of the native packets, on both nodes.", default="10112")
    multicast_group: IPAddress = _key(
        network.multicast(), "Group of `udp_mode=multicast`; over IPv6 the default is ff02::12.", default="224.0.0.18"
    )
    heartbeat_links: tuple[HeartbeatLink, ...] = _key(network.links(), "More paths to the peer.", default="")
    witness: tuple[IPAddress, ...] = _key(
        network.addresses(),
        "Addresses (the gateway) of which one must answer before promoting without a peer, and without which and "
        "without the peer a master steps down.",
        default="",
    )
    advert_interval: Nanos = _key(values.span("0.01", "40"), "Between two packets.", default="0.2")
    dead_ratio: int = _key(values.whole(1, 100), "Silent intervals before takeover.", default="3")
    detection: Literal["patient", "probing"] = _key(
        values.choice("patient", "probing"),
        "`patient`: wait `dead_ratio` intervals; `probing`: a late packet starts polls to the master, no answer to any "
        "in half an interval means lost.",
        default="patient",
    )
    priority: int = _key(values.whole(1, 254), "Among rivals the higher one stays master.", default="100")
    preempt: bool = _key(
        values.yes_no(), "Whether the higher priority takes over from a living master.", default="false"
    )
    preempt_delay: Nanos = _key(values.span("0", "3600"), "How long it waits before it does.", default="0")

    # Addresses
    vip_lease: int = _key(
        values.whole(1, 60, "seconds"), "How long an address outlives its last renewal, in the kernel.", default="2"
    )
    garp_count: int = _key(values.whole(1, 60), "Announcements of each address after a promotion.", default="5")
    garp_refresh: Nanos = _key(values.span("1", "86400"), "Between announcements after that.", default="60")

    # Health
    track_interfaces: tuple[str, ...] = _key(
        network.interfaces(), "Loss of carrier is a fault (`interface` always is).", default=""
    )
    checks_dir: Path = _path(
        "/usr/local/skudonet/app/ucarp/checks.d", "Every executable there is a health check; exit 0 is healthy."
    )
    check_interval: Nanos = _key(values.span("0.1", "3600"), "Between two runs of a check.", default="2")
    check_timeout: Nanos = _key(values.span("0.1", "600"), "After which a check has failed.", default="5")
    check_fall: int = _key(values.whole(1, 100), "Failures in a row that are a fault.", default="3")
    check_rise: int = _key(values.whole(1, 100), "Successes in a row that end it.", default="2")

    # Hooks
    up_script: Path = _key(values.hook(), "Run when this node became master.", default=f"{_HOOKS}-start")
    down_script: Path = _key(values.hook(), "Run when this node became backup.", default=f"{_HOOKS}-stop")
    adver_script: Path = _key(
        values.hook(), "Run when this node announces its addresses.", default=f"{_HOOKS}-advertisement"
    )
    hook_timeout: Nanos = _key(values.span("1", "3600"), "After which a hook is ended.", default="60")
    adver_interval: Nanos = _key(values.span("1", "86400"), "Between two runs of `adver_script`.", default="60")

    # Replication
    configdir: Path = _path("/usr/local/skudonet/config", "The tree that is replicated.")
    rttables: Path = _path("/etc/iproute2/rt_tables", "The routing tables' names, merged on the peer.")
    zeninolog: Path = _path("/var/log/skdinotify.log", "Log of the replication, plain text.")
    rsync: Path = _path("/usr/bin/rsync", "The rsync program.")
    rsync_args: tuple[str, ...] = _key(
        arguments.rsync_args(),
        "How rsync copies. `-u` is dropped: it loses changes. What runs a program is refused.",
        default="-az --delete",
    )
    exclude: tuple[str, ...] = _key(
        arguments.exclude(), "Files that stay on their node; those of NICs and VLANs always do.", default=""
    )
    replicate: tuple[Path, ...] = _key(values.paths(), "Further files or folders.", default="")
    reconcile_interval: Nanos = _key(values.span("1", "86400"), "Between full comparisons.", default="300")
    max_delete: int = _key(
        values.whole(0, 100, "percent"),
        "A push that deletes more of the tree waits for `skd-cluster sync --allow-delete`.",
        default="50",
    )
    history_keep: int = _key(values.whole(0, 100_000), "Generations kept.", default="100")
    ssh_key: Path | None = _key(
        values.path(), "Private key for the peer; without it that of `skd-cluster pair`, else ssh's own choice."
    )
    ssh_options: tuple[str, ...] = _key(arguments.ssh_options(), "Further options of ssh.", default="")
    ssh_port: int = _key(values.whole(1, 65535), "Port of the peer's sshd.", default="22")

    # Files and monitoring
    metrics_listen: tuple[IPAddress, int] | None = _key(
        network.listen(), "Where the metrics are served; `off` disables.", default="LOCAL_IP:9869"
    )
    metrics_web_config: Path | None = _key(
        values.path(),
        "A web configuration file as Prometheus' exporters have it: TLS and basic authentication. Read again when it changes.",
    )
    metrics_textfile: Path | None = _key(
        values.path(),
        "Where the metrics are written each 15 s, for node_exporter's textfile collector, which reads `*.prom`.",
    )
    status_file: Path = _path("/etc/skudonet-ce-cluster.status", "This node's role, one word.")
    state_dir: Path = _path("/var/lib/skd-cluster", "What must survive a restart.")
    run_dir: Path = _path("/run/skd-cluster", "Sockets and shared pages of the running service.")


def _keys() -> dict[str, Key]:
    return {
        one.name: Key(
            one.name, one.metadata["form"], one.metadata["default"], one.metadata["doc"], one.metadata["required"]
        )
        for one in fields(Config)
    }


KEYS: Final = _keys()
"""Every key the file may have, by name."""

_VERSION2: Final = frozenset(
    {
        "interface",
        "local_ip",
        "remote_ip",
        "password",
        "cluster_id",
        "exclude",
        "dead_ratio",
        "up_script",
        "down_script",
        "adver_script",
        "configdir",
        "rttables",
        "zeninolog",
        "rsync",
        "rsync_args",
        "enable_cluster",
    }
)

PLAIN_AT: Final = frozenset(KEYS) - _VERSION2
"""Keys in whose values an @ is plain in any quotes: version 2 did not have them, or not the @IFACE of `cluster_ip`."""
