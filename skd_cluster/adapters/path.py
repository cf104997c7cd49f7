"""What every socket to the peer has: the peer is one hop away, what is sent goes first, a flood finds room."""

import socket
import struct
from contextlib import suppress

from skd_cluster.core.model import IPAddress
from skd_cluster.core.vrrp import HOPS

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER = 1 << 20
CLASS_SELECTOR_6 = 0xC0
"""Network control, as routing protocols mark their packets (RFC 4594 section 3.1)."""


def prepare(sock: socket.socket, local: IPAddress, tos: int = CLASS_SELECTOR_6) -> None:
    """Set what does not depend on where to; `local` need not be there yet when the socket is bound."""
    if local.version == 4:
        sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    with suppress(PermissionError):  # what net.core.rmem_max allows by default holds 20 ms of a flood
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)


def join(sock: socket.socket, local: IPAddress, group: IPAddress, index: int) -> None:
    """Hear a group on one interface."""
    if local.version == 4:
        membership = struct.pack("=4s4si", group.packed, local.packed, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    else:
        membership = struct.pack("=16si", group.packed, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)


def speak_to_groups(sock: socket.socket, local: IPAddress, index: int) -> None:
    """Send to groups out of one interface, and hear none of it. Over IPv4 the source is `local` where it is not bound."""
    if local.version == 4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), local.packed, index))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
