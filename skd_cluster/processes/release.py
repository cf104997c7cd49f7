"""What must be true once this node is out: no floating address of ours here, and the peer knows.

Run by the supervisor when the elector died, and by systemd when the whole service is gone (`skd-cluster release`).
"""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from skd_cluster import __version__
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.adapters.page import read_page
from skd_cluster.adapters.restartmark import marked_epoch
from skd_cluster.config.floating import floating_addresses
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core import wire
from skd_cluster.core.actions import Identity
from skd_cluster.core.lastword import COUNTER_LEAP, LastWord
from skd_cluster.core.model import ExitCode, Role, Transport, Vip
from skd_cluster.core.netlink import FOREVER
from skd_cluster.core.speech import speech
from skd_cluster.core.wire import Advert, Flag
from skd_cluster.processes.standardvoice import message, opener_of
from skd_cluster.processes.supervisor_settings import standard_group

PAGE_NAME = "elector.page"


def release(config: Config, vips: Iterable[Vip], key: bytes) -> list[str]:
    """Remove every leased one of these addresses, then resign in the dead elector's name. Returns what was done, in words.

    An address without a lifetime is not ours and stays: the product or the administrator put it there. Reads no file but
    the elector's page, and derives no key: the peer waits for this. Raises OSError.
    """
    return [*_remove_leased(vips), *_resign(config, key)]


@dataclass(slots=True)
class LastDuties:
    """What a supervisor does for its elector that died: as soon as that shows, and again when it has ended.

    `key` is the elector's, to speak in its name.
    """

    config: Config
    vips: Callable[[], Iterable[Vip]]
    key: bytes = b""
    _done: list[str] = field(default_factory=list)

    def perform(self) -> None:
        """Do what is left to do. Never raises: this node leaves anyway, and the kernel's lease does the rest."""
        try:
            self._done += release(self.config, self.vips(), self.key)
        except OSError as error:
            self._done.append(f"addresses could not be released: {error}")

    @property
    def words(self) -> str:
        """What was done, for people."""
        return "; ".join(self._done) or "no address was left"


def run(config_path: Path) -> ExitCode:
    """Do it from the command line."""
    config = load(config_path).config
    if config is None:
        return ExitCode.CONFIG
    if marked_epoch(config.run_dir) is not None:
        print("the service is restarted: its addresses stay")  # noqa: T201 -- as below
        return ExitCode.OK
    key = wire.derive_key(config.password, config.cluster_id)
    for line in release(config, floating_addresses(config).vips, key):
        print(line)  # noqa: T201 -- systemd puts it into the journal
    return ExitCode.OK


def _remove_leased(vips: Iterable[Vip]) -> list[str]:
    netlink = open_netlink()
    try:
        floating = {vip.address for vip in vips}
        names = {link.index: link.name for link in netlink.links()}
        leased = [
            (seen.vip(names.get(seen.index, "")), seen.index)
            for seen in netlink.addresses()
            if seen.address in floating and seen.lifetime != FOREVER
        ]
        refused = {vip for vip, _ in netlink.remove(leased)}
        return [f"removed {vip}" for vip, _ in leased if vip not in refused]
    finally:
        netlink.close()


def _resign(config: Config, key: bytes) -> list[str]:
    """Say priority 0 twice, as the elector itself would have; not for one that was no master."""
    page = config.run_dir / PAGE_NAME
    word = read_page(page)
    page.unlink(missing_ok=True)  # said once: the session is over
    if word is None or word.role is not Role.MASTER:
        return []
    family = socket.AF_INET if config.local_ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((str(config.local_ip), 0))
        for copy in range(2):
            sock.sendto(_last_advert(config, word, copy, key), (str(config.remote_ip), config.udp_port))
    if config.transport != Transport.UDP.word:
        _resign_in_standard(config)
    return [f"told {config.remote_ip} to take over"]


def _resign_in_standard(config: Config) -> None:
    transport, passwords = Transport.named(config.transport), (config.password,)
    addresses = tuple(one.address for one in config.cluster_ip)
    said = speech(transport, config.local_ip, config.remote_ip, config.cluster_id, passwords, addresses)
    me = Identity(config.advert_interval, config.dead_ratio, config.priority, lower=False)
    to = ip_address(standard_group(config) or config.remote_ip)
    path = opener_of(transport, config.local_ip, to, config.interface)()
    path.send(message(said, me, path, resigns=True))
    path.close()


def _last_advert(config: Config, word: LastWord, copy: int, key: bytes) -> bytes:
    advert = Advert(
        cluster_id=config.cluster_id,
        priority=0,
        role=Role.FAULT,
        flags=Flag.RESIGNED,
        interval=config.advert_interval,
        dead_ratio=config.dead_ratio,
        release=wire.parse_release(__version__),
        sender=config.local_ip,
        session=word.session,
        counter=word.counter + COUNTER_LEAP + copy,
        echo_session=word.peer_session,
        echo_counter=word.peer_counter,
        epoch=word.epoch,
        data=word.data,
        digest=bytes(32),
    )
    return wire.encode(advert, key)
