"""Raw sockets of IP protocol 112, which VRRP and CARP share: unicast or multicast, IPv4 or IPv6, never blocking."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from skd_cluster.adapters.path import CLASS_SELECTOR_6, join, prepare, speak_to_groups
from skd_cluster.core.model import IPAddress
from skd_cluster.core.vrrp import PROTOCOL
from skd_cluster.core.wire import unscoped

_SIZE = 60 + 8 + 255 * 16
"""The longest IPv4 header, and all addresses that a message can name."""
_IP_HEADER = struct.Struct("!BBHHHBBH4s4s")
_PACKET_INFO = struct.Struct("=16si")
_HOP_LIMIT = struct.Struct("=i")
_ANCILLARY = socket.CMSG_SPACE(_PACKET_INFO.size) + socket.CMSG_SPACE(_HOP_LIMIT.size)
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT, _IP_PMTUDISC_DO = 10, 0, 2
_IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 49, 29
_PERMANENT = 0x80  # IFA_F_PERMANENT
_IF_INET6 = Path("/proc/net/if_inet6")


class Dress(NamedTuple):
    """How the IP header looks in which a protocol travels."""

    tos: int
    dont_fragment: bool


VRRP = Dress(CLASS_SELECTOR_6, dont_fragment=False)
"""As keepalived's."""
CARP = Dress(0x10, dont_fragment=True)
"""As ucarp's: low delay."""


@dataclass(frozen=True, slots=True)
class Packet112:
    """What arrived. `hops` is the TTL or hop limit it had left; an address has no scope."""

    body: bytes
    source: IPAddress
    destination: IPAddress
    hops: int


@dataclass(slots=True)
class Protocol112:
    """One path. `source` and `destination` are those of what is sent, as a checksum over a pseudo header needs them."""

    sock: socket.socket
    source: IPAddress
    destination: IPAddress
    index: int

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.sock.fileno()

    def send(self, body: bytes) -> bool:
        """Send now or not at all; return whether it went out."""
        try:
            if self.source.version == 4:
                self.sock.sendto(body, (str(self.destination), 0))
            else:  # a socket that is bound to a group has no source of its own
                info = _PACKET_INFO.pack(self.source.packed, self.index)
                ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
                self.sock.sendmsg([body], ancillary, 0, _scoped(self.destination, self.index))
        except OSError:
            return False
        return True

    def receive(self, limit: int) -> Iterator[Packet112]:
        """Yield at most `limit` packets that have arrived."""
        for _ in range(limit):
            try:
                data, ancillary, _flags, source = self.sock.recvmsg(_SIZE, _ANCILLARY)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # the interface went down, or an ICMP error of an earlier send
                continue
            found = parse_ipv4(data) if self.source.version == 4 else _parse_ipv6(data, ancillary, source[0])
            if found is not None:
                yield found

    def close(self) -> None:
        """Close the path."""
        self.sock.close()


def open_unicast(local: IPAddress, remote: IPAddress, interface: str, dress: Dress = VRRP) -> Protocol112:
    """Open a path to one address; ours need not be there yet. Raises OSError (no such interface, no permission)."""
    index = socket.if_nametoindex(interface)
    sock = _open(local, interface, dress)
    try:
        sock.bind(_scoped(local, index))
    except OSError:
        sock.close()
        raise
    return Protocol112(sock, unscoped(local), unscoped(remote), index)


def open_multicast(local: IPAddress, group: IPAddress, interface: str, dress: Dress = VRRP) -> Protocol112:
    """Open a path to a group on one interface. Raises OSError (no such interface, no permission, no link-local address).

    Over IPv6 it speaks from the interface's link-local address (RFC 9568 section 5.1.2.1), over IPv4 from `local`.
    """
    index = socket.if_nametoindex(interface)
    source = local if local.version == 4 or local.is_link_local else _link_local(interface)
    sock = _open(local, interface, dress)
    try:
        speak_to_groups(sock, local, index)
        sock.bind(_scoped(group, index))  # and hears nothing else
        join(sock, local, group, index)
    except OSError:
        sock.close()
        raise
    return Protocol112(sock, unscoped(source), unscoped(group), index)


def _open(local: IPAddress, interface: str, dress: Dress) -> socket.socket:
    family = socket.AF_INET if local.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, PROTOCOL)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        prepare(sock, local, dress.tos)
        if local.version == 4:
            fragments = _IP_PMTUDISC_DO if dress.dont_fragment else _IP_PMTUDISC_DONT
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, fragments)
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _scoped(address: IPAddress, index: int) -> tuple[str, int] | tuple[str, int, int, int]:
    if address.version == 4:
        return (str(address), 0)
    local = address.is_link_local or address.is_multicast
    return (str(unscoped(address)), 0, 0, index if local else 0)


def _link_local(interface: str) -> IPv6Address:
    """Return the interface's own link-local address; one that may leave it again, as a floating one, only if need be."""
    found = []
    for line in _IF_INET6.read_text().splitlines():
        raw, _index, _prefix, _scope, flags, name = line.split()
        address = IPv6Address(bytes.fromhex(raw))
        if name == interface and address.is_link_local:
            found.append((not int(flags, 16) & _PERMANENT, address))
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"{os.strerror(errno.EADDRNOTAVAIL)}: {interface} has no link-local address")
    return min(found)[1]


def parse_ipv4(packet: bytes) -> Packet112 | None:
    """Return what an IPv4 packet carries, None if its header does not add up. A raw socket is given the header as well."""
    if len(packet) < _IP_HEADER.size:
        return None
    first, _tos, total, _id, _fragment, hops, _protocol, _sum, source, destination = _IP_HEADER.unpack_from(packet)
    size = (first & 0x0F) * 4
    if first >> 4 != 4 or not _IP_HEADER.size <= size <= total <= len(packet):
        return None
    return Packet112(packet[size:total], IPv4Address(source), IPv4Address(destination), hops)


def _parse_ipv6(body: bytes, ancillary: list[tuple[int, int, bytes]], source: str) -> Packet112 | None:
    """Return what was received with its ancillary data: an IPv6 socket is not given the header."""
    told = {kind: data for level, kind, data in ancillary if level == socket.IPPROTO_IPV6}
    info, hops = told.get(socket.IPV6_PKTINFO, b""), told.get(socket.IPV6_HOPLIMIT, b"")
    if len(info) != _PACKET_INFO.size or len(hops) != _HOP_LIMIT.size:
        return None
    sender = ip_address(source.partition("%")[0])
    return Packet112(body, sender, IPv6Address(_PACKET_INFO.unpack(info)[0]), _HOP_LIMIT.unpack(hops)[0])
