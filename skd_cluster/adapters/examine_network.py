"""What `skd-cluster doctor` wants to know of this node's network: read, and changed nothing."""

import fcntl
import json
import select
import socket
import struct
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.command import CannotStartError, run
from skd_cluster.adapters.neighbours import open_neighbours
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.config.floating import floating_addresses
from skd_cluster.config.schema import Config
from skd_cluster.core.frames import Arp, arp_request
from skd_cluster.core.model import IPAddress, Nanos, nanos, seconds
from skd_cluster.core.nftables import Packet, blocked

_PATIENCE = nanos(5)
_LARGEST = 16 << 20
"""Bytes: a load balancer with thousands of farms has a long ruleset."""
_PROBES = (0.0, 0.3)
"""RFC 5227 section 2.1.1 sends three; two and a wait catch what a lost frame would hide."""
_LISTEN = 0.8
_SIOCGIFFLAGS = 0x8913
_UP, _RUNNING = 0x1, 0x40
_SECONDARY = 0x01
_CONF = Path("/proc/sys/net")


def look(config: Config) -> dict[str, Any]:
    """Return links, addresses, the route to the peer and the kernel's settings, as `NodeFacts` names them."""
    netlink = open_netlink()
    try:
        links, addresses = netlink.links(), netlink.addresses()
    finally:
        netlink.close()
    names = {one.index: one.name for one in links}
    return {
        "links": {one.name: [*_flags(one.name), one.mac.hex(":")] for one in links},
        "addresses": [
            [str(one.address), one.prefix, names.get(one.index, ""), bool(one.flags & _SECONDARY)] for one in addresses
        ],
        "floating": [[str(one.address), one.prefix, one.interface] for one in floating_addresses(config).vips],
        "tracked": list(config.track_interfaces),
        "sysctl": _sysctl(config.interface),
        "joined": _joined(config.interface),
        "group": str(config.multicast_group) if config.udp_mode == "multicast" else "",
        **_managers({one.name: one.index for one in links}),
    }


def route(config: Config) -> dict[str, Any]:
    """Return the interface by which the kernel sends to the peer."""
    done = _output(["ip", "-json", "route", "get", str(config.remote_ip)])
    found = json.loads(done) if done else []
    return {"route": str(found[0].get("dev", "")) if found else ""}


def firewall(config: Config) -> dict[str, Any]:
    """Return what of nftables is in the way."""
    ruleset = _output(["nft", "-j", "list", "ruleset"])
    packet = Packet(str(config.remote_ip), config.udp_port, config.interface)
    return {"blocked": blocked(json.loads(ruleset), packet) if ruleset else []}


def answers(config: Config) -> dict[str, Any]:
    """Return who else says by ARP that he has one of our addresses."""
    wanted: dict[str, list[IPv4Address]] = {}
    listed = [(config.local_ip, config.interface)]
    listed += [(one.address, one.interface) for one in floating_addresses(config).vips]
    for address, interface in listed:
        if isinstance(address, IPv4Address):
            wanted.setdefault(interface, []).append(address)
    netlink = open_netlink()
    try:
        links = {one.name: one for one in netlink.links()}
    finally:
        netlink.close()
    own = {one.mac for one in links.values()}
    found: dict[str, set[str]] = {}
    for interface, some in wanted.items():
        link = links.get(interface)
        if link is not None and link.running and len(link.mac) == 6:
            for seen in _probe(interface, link.index, link.mac, some):
                if seen.sender_mac not in own:
                    found.setdefault(str(seen.sender), set()).add(seen.sender_mac.hex(":"))
    return {"answers": {address: sorted(macs) for address, macs in found.items()}}


def _probe(interface: str, index: int, mac: bytes, wanted: Iterable[IPv4Address]) -> Iterator[Arp]:
    """Ask with no sender address, which teaches nobody anything (RFC 5227), and yield the answers."""
    some = list(wanted)
    sockets = open_neighbours(0)
    try:
        sockets.attach(interface, index)
        began = monotonic()
        sent = 0
        while (passed := seconds(Nanos(monotonic() - began))) < _LISTEN:
            if sent < len(_PROBES) and passed >= _PROBES[sent]:
                sent += 1
                for address in some:
                    sockets.send_frame(arp_request(address, IPv4Address(0), mac))
            select.select([sockets.arp], (), (), 0.05)
            for heard in sockets.receive():
                if isinstance(heard, Arp) and heard.sender in some:
                    yield heard
    finally:
        sockets.close()


def _flags(name: str) -> tuple[bool, bool]:
    """Return whether an interface is up, and whether it has a carrier."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH14x", name.encode()[:15], 0))
        except OSError:
            return False, False
    flags = struct.unpack_from("16xH", answer)[0]
    return bool(flags & _UP), bool(flags & _RUNNING)


def _sysctl(interface: str) -> dict[str, str]:
    found = {}
    for name in ("arp_ignore", "rp_filter", "promote_secondaries"):
        for where, key in (("all", f"{name}.all"), (interface, name)):
            found[key] = _text(_CONF / "ipv4/conf" / where / name)
    found["disable_ipv6"] = _text(_CONF / "ipv6/conf" / interface / "disable_ipv6")
    return {key: value for key, value in found.items() if value}


def _joined(interface: str) -> list[str]:
    """Return the multicast groups of an interface."""
    found: list[IPAddress] = []
    current = ""
    for line in _text(Path("/proc/net/igmp")).splitlines()[1:]:
        words = line.split()
        if not line.startswith("\t"):
            current = words[1].rstrip(":") if len(words) > 1 else ""
        elif current == interface and words:
            found.append(IPv4Address(bytes.fromhex(words[0])[::-1]))
    for line in _text(Path("/proc/net/igmp6")).splitlines():
        words = line.split()
        if len(words) > 2 and words[1] == interface:
            found.append(ip_address(bytes.fromhex(words[2])))
    return [str(one) for one in found]


def _managers(links: dict[str, int]) -> dict[str, Any]:
    return {
        "networkd": {name: managed for name, index in links.items() if (managed := _networkd(index))},
        "networkd_rules": _ini_value(_networkd_files(), "Network", "ManageForeignRoutingPolicyRules"),
        "network_manager": [
            name
            for name, index in links.items()
            if "managed=true" in _text(Path(f"/run/NetworkManager/devices/{index}"))
        ],
        "dhcp": sorted(name for name in links if _dhcp(name)),
        "cloud_init": _cloud_init(),
    }


def _networkd(index: int) -> list[str]:
    """Return the file by which systemd-networkd manages a link, and its KeepConfiguration; nothing if it does not."""
    state = dict(line.partition("=")[::2] for line in _text(Path(f"/run/systemd/netif/links/{index}")).splitlines())
    file = state.get("NETWORK_FILE", "")
    if not file or state.get("ADMIN_STATE") == "unmanaged":
        return []
    drop_ins = [
        one
        for folder in ("/usr/lib", "/lib", "/run", "/etc")
        for one in sorted(Path(f"{folder}/systemd/network/{Path(file).name}.d").glob("*.conf"))
    ]
    return [file, _ini_value([Path(file), *drop_ins], "Network", "KeepConfiguration")]


def _networkd_files() -> list[Path]:
    return [Path("/etc/systemd/networkd.conf"), *sorted(Path("/etc/systemd/networkd.conf.d").glob("*.conf"))]


def _ini_value(files: Iterable[Path], section: str, name: str) -> str:
    """Return the last value of a setting in systemd's files, in small letters."""
    found = ""
    for file in files:
        parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        with suppress(ConfigParserError):
            parser.read_string(_text(file))
            found = (parser.get(section, name, fallback=found) or found).strip().lower()
    return found


def _dhcp(interface: str) -> bool:
    return any(
        words[0].rpartition("/")[2] in ("dhclient", "dhcpcd", "udhcpc") and interface in words
        for words in command_lines()
    )


def command_lines() -> Iterator[list[str]]:
    """Yield the words of every process."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        words = [one for one in _text(file).split("\0") if one]
        if words:
            yield words


def _cloud_init() -> bool:
    cloud = Path("/etc/cloud")
    if not (cloud / "cloud.cfg").exists() or (cloud / "cloud-init.disabled").exists():
        return False
    told = [cloud / "cloud.cfg", *(cloud / "cloud.cfg.d").glob("*.cfg")]
    return not any("config: disabled" in _text(file) for file in told)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip("\n ")
    except OSError:
        return ""


def _output(argv: list[str]) -> str:
    """Return what a program prints; nothing if it fails or is not there."""
    try:
        done = run(argv, _PATIENCE, limit=_LARGEST)
    except CannotStartError:
        return ""
    lines = done.output.decode(errors="replace").splitlines() if done.ok else []
    # Warnings come through the same pipe.
    return "\n".join(line for line in lines if line and not line.startswith("#"))
