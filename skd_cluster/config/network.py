"""Forms of values from the network: addresses, interfaces, where to listen. netaddr reads, the core's types come out."""

import ipaddress
import re
from dataclasses import dataclass

import netaddr

from skd_cluster.config.problems import Kind
from skd_cluster.config.values import BadValue, Form, several, single
from skd_cluster.core.model import IPAddress

INTERFACE_NAME = re.compile(r"(?!-|\.{1,2}$)[A-Za-z0-9_.+-]{1,15}")
"""IFNAMSIZ is 16 with the closing NUL. The kernel takes stranger ones; no tool of the product does."""

_ADDRESS = "an IPv4 or IPv6 address of a node"
_ANY_ADDRESS = "an IPv4 or IPv6 address"
_LISTED = "ADDR[/PREFIX][@IFACE]"
_LISTEN = "ADDR:PORT, LOCAL_IP:PORT or off"
_LINK = "LOCAL_IP>REMOTE_IP"
_DIGITS = re.compile(r"[0-9]{1,3}")
_LISTEN_TEXT = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class ListedAddress:
    """One word of `cluster_ip`; what it leaves out is found in the product's tree."""

    address: IPAddress
    prefix: int | None = None
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class HeartbeatLink:
    """One more path to the peer: an address of ours and one of its."""

    local: IPAddress
    remote: IPAddress


def read_address(text: str, expected: str = _ANY_ADDRESS) -> IPAddress:
    """Read any address in its usual spelling: no name, no zone, no leading zeros. Raises BadValue."""
    try:
        return ipaddress.ip_address(str(netaddr.IPAddress(text, flags=netaddr.INET_PTON)))
    except (netaddr.AddrFormatError, ValueError, TypeError, UnicodeError) as error:
        raise BadValue(Kind.BAD_ADDRESS, expected, text) from error


def read_node_address(text: str, *, on_link: bool = False) -> IPAddress:
    """Read an address that a node can have and be reached at; `on_link`, where its interface is known. Raises BadValue."""
    address = read_address(text, _ADDRESS)
    reason = "" if on_link and address.version == 6 and address.is_link_local else _unusable(address)
    if reason:
        raise BadValue(Kind.BAD_ADDRESS, f"{_ADDRESS}, not {reason}", text)
    return address


def _unusable(address: IPAddress) -> str:
    if address.is_unspecified:
        return "the unspecified one"
    if address.is_loopback:
        return "a loopback one"
    if address.is_multicast:
        return "a multicast one"
    if isinstance(address, ipaddress.IPv4Address):
        return "a reserved one" if address.is_reserved or address in _THIS_NETWORK else ""
    if address.is_link_local:
        return "a link-local one, which needs an interface to mean anything"
    return "an IPv4 one in disguise" if address.ipv4_mapped else ""


_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


def read_prefix(text: str, address: IPAddress) -> int | None:
    """Read a prefix length, or None if it is none of this address."""
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= address.max_prefixlen:
        return None
    return int(text)


def read_mask(text: str, address: IPAddress) -> int | None:
    """Read a mask as the product writes it, `255.255.255.0` or `24`, or None if it is none of this address."""
    if address.version == 4 and "." in text:
        try:
            mask = netaddr.IPAddress(text, 4, flags=netaddr.INET_PTON)
        except (netaddr.AddrFormatError, ValueError, UnicodeError):
            return None
        return (int(mask.netmask_bits()) or None) if mask.is_netmask() else None
    return read_prefix(text, address)


def read_interface(text: str) -> str:
    """Read the name of an interface. Raises BadValue."""
    if not INTERFACE_NAME.fullmatch(text):
        raise BadValue(Kind.BAD_INTERFACE_NAME, "a name of at most 15 letters, digits, . _ + -", text)
    return text


def _read_listed(text: str) -> ListedAddress:
    host, at, interface = text.partition("@")
    plain, slash, width = host.partition("/")
    address = read_node_address(plain, on_link=bool(at))
    prefix = read_prefix(width, address) if slash else None
    if slash and prefix is None:
        expected = f"{_LISTED} with a prefix from 1 to {address.max_prefixlen}"
        raise BadValue(Kind.BAD_ADDRESS, expected, text)
    return ListedAddress(address, prefix, read_interface(interface) if at else None)


def _read_link(text: str) -> HeartbeatLink:
    local, arrow, remote = text.partition(">")
    if not arrow:
        raise BadValue(Kind.BAD_ADDRESS, _LINK, text)
    link = HeartbeatLink(read_node_address(local), read_node_address(remote))
    if link.local.version != link.remote.version:
        raise BadValue(Kind.OTHER_FAMILY, f"{_LINK} of one family", text)
    if link.local == link.remote:
        raise BadValue(Kind.SAME_ADDRESS, f"{_LINK} that differ", text)
    return link


def _read_multicast(text: str) -> IPAddress:
    address = read_address(text, "a multicast address")
    if not address.is_multicast:
        raise BadValue(Kind.BAD_ADDRESS, "a multicast address", text)
    return address


def _read_listen(text: str) -> tuple[IPAddress | None, int] | None:
    """Read where to listen; a host of None stands for local_ip."""
    if text == "off":
        return None
    match = _LISTEN_TEXT.fullmatch(text)
    if not match:
        raise BadValue(Kind.BAD_ADDRESS, _LISTEN, text)
    if int(match["port"]) not in _PORTS:
        raise BadValue(Kind.OUT_OF_RANGE, "a port from 1 to 65535", match["port"])
    host = match["v6"] if match["v4"] is None else match["v4"]
    return None if host == "LOCAL_IP" else read_address(host, _LISTEN), int(match["port"])


def interface() -> Form:
    """Return the form of one interface name."""
    return single("the name of an interface", read_interface)


def interfaces() -> Form:
    """Return the form of several interface names."""
    return several("names of interfaces", read_interface)


def address() -> Form:
    """Return the form of one address of a node."""
    return single(_ADDRESS, read_node_address)


def addresses() -> Form:
    """Return the form of several addresses of nodes."""
    return several("addresses", read_node_address)


def listed_addresses() -> Form:
    """Return the form of `cluster_ip`: ListedAddress each."""
    return several(f"one or more {_LISTED}", _read_listed)


def links() -> Form:
    """Return the form of `heartbeat_links`: HeartbeatLink each."""
    return several(f"{_LINK} each", _read_link)


def multicast() -> Form:
    """Return the form of a multicast address."""
    return single("a multicast address", _read_multicast)


def listen() -> Form:
    """Return the form of an address to listen at."""
    return single(_LISTEN, _read_listen)
