"""The sockets to the neighbourhood: ARP on one interface, ICMP and ICMPv6; never blocking, sending is best effort."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from skd_cluster.core.frames import Arp, parse_arp
from skd_cluster.core.icmp import (
    ECHO_REPLY_4,
    ECHO_REPLY_6,
    NEIGHBOUR_ADVERTISEMENT,
    NeighbourSeen,
    echo_request,
    is_echo_reply,
    parse_neighbour,
)
from skd_cluster.core.model import IPAddress

_ETH_P_ARP = 0x0806
_SOL_RAW, _ICMP_FILTER = 255, 1
_ICMP6_FILTER = 1
_SIZE = 2048
_LIMIT = 128
"""Packets a round: on a busy network ARP must not hold up an advertisement."""


@dataclass(slots=True)
class NeighbourSockets:
    """Open with `open_neighbours`. `ident` marks our echo requests. ARP is heard once an interface is attached."""

    arp: socket.socket
    icmp4: socket.socket
    icmp6: socket.socket | None
    ident: int
    _index: int = 0
    _sequence: int = 0

    def attach(self, interface: str, index: int) -> None:
        """Hear and speak ARP on an interface, which may come late or come back as another one."""
        if index != self._index:
            with suppress(OSError):  # it is gone again: the next look finds out
                self.arp.bind((interface, _ETH_P_ARP))
                self._index = index

    def filenos(self) -> list[int]:
        """Return the descriptors, for select."""
        return [one.fileno() for one in (self.arp, self.icmp4, self.icmp6) if one is not None]

    def send_frame(self, frame: bytes) -> None:
        """Put a frame onto the interface."""
        with suppress(OSError):
            self.arp.send(frame)

    def ping(self, address: IPAddress) -> None:
        """Send an echo request."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        sock = self.icmp4 if address.version == 4 else self.icmp6
        with suppress(OSError):
            if sock is not None:
                sock.sendto(echo_request(address.version, self.ident, self._sequence), (str(address), 0))

    def receive(self) -> Iterator[Arp | NeighbourSeen | IPAddress]:
        """Yield what was heard: ARP, neighbour advertisements, and the source of each answered echo request."""
        for frame, _ in _drain(self.arp):
            seen = parse_arp(frame)
            if seen is not None:
                yield seen
        for packet, source in _drain(self.icmp4):
            message = packet[(packet[0] & 0x0F) * 4 :] if packet else b""
            if is_echo_reply(4, message, self.ident):
                yield ip_address(source)
        if self.icmp6 is None:
            return
        for message, source in _drain(self.icmp6):
            if is_echo_reply(6, message, self.ident):
                yield ip_address(source.partition("%")[0])
            advertisement = parse_neighbour(message)
            if advertisement is not None:
                yield advertisement

    def close(self) -> None:
        """Close all."""
        for one in (self.arp, self.icmp4, self.icmp6):
            if one is not None:
                one.close()


def _drain(sock: socket.socket) -> Iterator[tuple[bytes, str]]:
    for _ in range(_LIMIT):
        try:
            data, source = sock.recvfrom(_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the interface went down, or an ICMP error of an earlier send
            return
        yield data, str(source[0])


def open_neighbours(ident: int) -> NeighbourSockets:
    """Open the sockets. Raises OSError (no permission); without IPv6 there is no ICMPv6."""
    arp = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        icmp4 = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
    except OSError:
        arp.close()
        raise
    icmp4.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << ECHO_REPLY_4) & 0xFFFFFFFF))
    return NeighbourSockets(arp, icmp4, _open_icmp6(), ident)


def _open_icmp6() -> socket.socket | None:
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    except OSError:
        return None
    blocked = [0xFFFFFFFF] * 8  # RFC 3542 section 3.2: a set bit blocks the type
    for kind in (ECHO_REPLY_6, NEIGHBOUR_ADVERTISEMENT):
        blocked[kind // 32] &= ~(1 << kind % 32) & 0xFFFFFFFF
    sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
    return sock
