"""Advertisement sockets: UDP, unicast or multicast, one for each path to the peer, never blocking."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from skd_cluster.core.model import IPAddress

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_SO_RCVBUFFORCE = 33
_CLASS_SELECTOR_6 = 0xC0
"""Network control, as routing protocols mark their packets (RFC 4594 section 3.1)."""
_SIZE = 2048
_RECEIVE_BUFFER = 1 << 20

Target: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""Where a socket is bound or speaks to; the longer one is IPv6 with its scope."""


@dataclass(slots=True)
class AdvertSocket:
    """One path. `sock` hears; `voice` speaks, the same socket but for multicast; `target` is where to."""

    sock: socket.socket
    voice: socket.socket
    target: Target

    def fileno(self) -> int:
        """Return the descriptor that hears, for select."""
        return self.sock.fileno()

    def send(self, datagram: bytes) -> bool:
        """Send now or not at all; return whether it went out."""
        try:
            self.voice.sendto(datagram, self.target)
        except OSError:
            return False
        return True

    def receive(self, limit: int) -> Iterator[tuple[bytes, str]]:
        """Yield at most `limit` datagrams that have arrived, with the address they came from."""
        for _ in range(limit):
            try:
                datagram, source = self.sock.recvfrom(_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error of an earlier send: the peer's port is closed
                continue
            yield datagram, source[0]

    def close(self) -> None:
        """Close the path."""
        self.sock.close()
        self.voice.close()


def open_unicast(local: IPAddress, remote: IPAddress, port: int) -> AdvertSocket:
    """Open a path to one address; ours need not be there yet. Raises OSError (port in use, no permission)."""
    sock = _bound(local, (str(local), port))
    return AdvertSocket(sock, sock, (str(remote), port))


def open_multicast(local: IPAddress, group: IPAddress, port: int, interface: str) -> AdvertSocket:
    """Open a path to a group on one interface. Raises OSError (no such interface, port in use, no permission).

    Two sockets: one bound to the group hears nothing else, the other speaks from our own address.
    """
    index = socket.if_nametoindex(interface)
    # A link-local group means nothing without its link.
    target: Target = (str(group), port) if group.version == 4 else (str(group), port, 0, index)
    hearing = _bound(local, target)
    try:
        if local.version == 4:
            membership = struct.pack("=4s4si", group.packed, local.packed, index)
            hearing.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            membership = struct.pack("=16si", group.packed, index)
            hearing.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        speaking = _bound(local, (str(local), 0))
    except OSError:
        hearing.close()
        raise
    if local.version == 4:
        speaking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
        speaking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        speaking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    else:
        speaking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        speaking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        speaking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    return AdvertSocket(hearing, speaking, target)


def _bound(local: IPAddress, to: Target) -> socket.socket:
    family = socket.AF_INET if local.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if local.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)  # RFC 9568 section 5.1.1.3
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _CLASS_SELECTOR_6)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _CLASS_SELECTOR_6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        with suppress(PermissionError):  # what net.core.rmem_max allows by default holds 20 ms of a flood
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        sock.bind(to)
    except OSError:
        sock.close()
        raise
    return sock
