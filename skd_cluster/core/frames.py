"""Announcements as bytes: gratuitous ARP in both forms, unsolicited neighbour advertisements."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from skd_cluster.core.model import IPAddress
from skd_cluster.core.wire import checksum

_BROADCAST = b"\xff" * 6
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ALL_NODES = IPv6Address("ff02::1").packed
_ETHERTYPE_ARP = 0x0806
_ETHERTYPE_IPV6 = 0x86DD
_NEXT_HEADER_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_OVERRIDE = 0x20000000
_ROUTER = 0x80000000


def announcement(address: IPAddress, mac: bytes) -> tuple[bytes, ...]:
    """Return the Ethernet frames that tell a link where `address` lives now."""
    if isinstance(address, IPv6Address):
        return (neighbour_advertisement(address, mac),)
    return gratuitous_arp(address, mac)


def gratuitous_arp(address: IPv4Address, mac: bytes) -> tuple[bytes, bytes]:
    """Return the request and the reply form (RFC 5227 section 3): some devices honour only one of the two."""
    ethernet = _BROADCAST + mac + struct.pack("!H", _ETHERTYPE_ARP)
    request, reply = (
        ethernet
        + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
        + mac
        + address.packed
        + _BROADCAST
        + address.packed
        for operation in (1, 2)
    )
    return request, reply


def neighbour_advertisement(address: IPv6Address, mac: bytes, *, router: bool = True) -> bytes:
    """Return an unsolicited neighbour advertisement with the override flag to all nodes (RFC 4861 section 7.2.6).

    A load balancer forwards, so it says that it is a router; neighbours that use it as one would drop it otherwise.
    """
    flags = _OVERRIDE | (_ROUTER if router else 0)
    option = struct.pack("!BB", 2, 1) + mac
    without_sum = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, 0, flags) + address.packed + option
    pseudo = address.packed + _ALL_NODES + struct.pack("!II", len(without_sum), _NEXT_HEADER_ICMPV6)
    total = checksum(pseudo + without_sum)
    message = without_sum[:2] + struct.pack("!H", total) + without_sum[4:]
    ip = struct.pack("!IHBB", 6 << 28, len(message), _NEXT_HEADER_ICMPV6, 255) + address.packed + _ALL_NODES
    return _ALL_NODES_MAC + mac + struct.pack("!H", _ETHERTYPE_IPV6) + ip + message


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet for IPv4 over Ethernet (RFC 826). `operation` is 1 for a request, 2 for a reply."""

    operation: int
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address


_ARP = struct.Struct("!HHBBH6s4s6s4s")


def arp_request(target: IPv4Address, sender: IPv4Address, mac: bytes) -> bytes:
    """Return the question who has `target`, asked by `sender`: its answer comes to `mac`."""
    ethernet = _BROADCAST + mac + struct.pack("!H", _ETHERTYPE_ARP)
    return ethernet + _ARP.pack(1, 0x0800, 6, 4, 1, mac, sender.packed, bytes(6), target.packed)


def parse_arp(frame: bytes) -> Arp | None:
    """Read an Ethernet frame; None for what is not ARP for IPv4."""
    if len(frame) < 14 + _ARP.size or frame[12:14] != b"\x08\x06":
        return None
    hardware, protocol, mac_size, address_size, operation, *found = _ARP.unpack_from(frame, 14)
    if (hardware, protocol, mac_size, address_size) != (1, 0x0800, 6, 4):
        return None
    sender_mac, sender, target_mac, target = found
    return Arp(operation, sender_mac, IPv4Address(sender), target_mac, IPv4Address(target))
