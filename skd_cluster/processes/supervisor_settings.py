"""What the elector is told at its start."""

from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from skd_cluster import __version__
from skd_cluster.adapters.routes import default_gateways
from skd_cluster.config.floating import gateways
from skd_cluster.config.schema import Config
from skd_cluster.core.messages import Data, Settings
from skd_cluster.core.model import Vip
from skd_cluster.core.wire import derive_key


def settings_for(config: Config, vips: Iterable[Vip], *, epoch: int, data: Data, standby: bool) -> Settings:
    """Return the first message to the elector."""
    passwords = [config.password, *([config.password_also] if config.password_also else [])]
    return Settings(
        interface=config.interface,
        local_ip=str(config.local_ip),
        remote_ip=str(config.remote_ip),
        port=config.udp_port,
        cluster_id=config.cluster_id,
        keys=[derive_key(one, config.cluster_id).hex() for one in passwords],
        advert_interval=config.advert_interval,
        dead_ratio=config.dead_ratio,
        priority=config.priority,
        preempt=config.preempt,
        preempt_delay=config.preempt_delay,
        vip_lease=config.vip_lease,
        garp_count=config.garp_count,
        garp_refresh=config.garp_refresh,
        vips=vip_rows(vips),
        clustered=len({one.address for one in config.cluster_ip}),
        track_interfaces=list(config.track_interfaces),
        epoch=epoch,
        data_epoch=data.data_epoch,
        generation=data.generation,
        digest=data.digest,
        unshared=data.unshared,
        standby=standby,
        page=str(Path(config.run_dir, "elector.page")),
        version=__version__,
        probing=config.detection == "probing",
        group=str(config.multicast_group) if config.udp_mode == "multicast" and config.transport == "udp" else "",
        transport=config.transport,
        passwords=[one.hex() for one in passwords] if config.transport == "carp" else [],
        standard_group=standard_group(config),
        links=[[str(link.local), str(link.remote)] for link in config.heartbeat_links],
        witnesses=[str(one) for one in config.witness],
        gateways=[str(one) for one in _gateways(config)],
    )


def standard_group(config: Config) -> str:
    """Return the group that a standard is spoken to, empty for unicast; the native packets beside it are always unicast."""
    multicast = config.transport == "carp" or config.udp_mode == "multicast"
    return str(config.multicast_group) if multicast else ""


def _gateways(config: Config) -> list[IPv4Address]:
    """Return the gateways by which a takeover is verified: the product's own and the kernel's."""
    ours = [one for one in gateways(config) if isinstance(one, IPv4Address)]
    return list(dict.fromkeys([*ours, *default_gateways(config.interface)]))


def vip_rows(vips: Iterable[Vip]) -> list[list[Any]]:
    """Return addresses as `Settings.vips` and `Floating.vips` have them."""
    return [[str(vip.address), vip.prefix, vip.interface, vip.label] for vip in vips]
