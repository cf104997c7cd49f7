"""Echo requests for witnesses, and what comes back: RFC 792 and RFC 4443, and the neighbour advertisements of RFC 4861."""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address

from skd_cluster.core.wire import checksum

_ECHO = struct.Struct("!BBHHH")
ECHO_REPLY_4, ECHO_REQUEST_4 = 0, 8
ECHO_REQUEST_6, ECHO_REPLY_6, NEIGHBOUR_ADVERTISEMENT = 128, 129, 136
_TARGET_LINK_LAYER_ADDRESS = 2


def echo_request(version: int, ident: int, sequence: int) -> bytes:
    """Return an echo request; the kernel fills in the checksum for IPv6."""
    kind = ECHO_REQUEST_4 if version == 4 else ECHO_REQUEST_6
    head = _ECHO.pack(kind, 0, 0, ident, sequence)
    return head if version == 6 else _ECHO.pack(kind, 0, checksum(head), ident, sequence)


def is_echo_reply(version: int, message: bytes, ident: int) -> bool:
    """Whether this ICMP message, without its IP header, answers one of our requests."""
    if len(message) < _ECHO.size:
        return False
    kind, _code, _sum, found, _sequence = _ECHO.unpack_from(message)
    return bool(found == ident and kind == (ECHO_REPLY_4 if version == 4 else ECHO_REPLY_6))


@dataclass(frozen=True, slots=True)
class NeighbourSeen:
    """A neighbour advertisement: `target` is said to be at `mac`."""

    target: IPv6Address
    mac: bytes


def parse_neighbour(message: bytes) -> NeighbourSeen | None:
    """Read an ICMPv6 message; None for what is no neighbour advertisement with a link-layer address."""
    if len(message) < 24 or message[0] != NEIGHBOUR_ADVERTISEMENT:
        return None
    at = 24
    while at + 8 <= len(message):
        size = message[at + 1] * 8
        if not size:
            return None
        if message[at] == _TARGET_LINK_LAYER_ADDRESS:
            return NeighbourSeen(IPv6Address(message[8:24]), message[at + 2 : at + 8])
        at += size
    return None
