"""VRRP version 3 (RFC 9568) over IPv4 and IPv6, and enough of version 2 (RFC 3768) to tell who still speaks it.

Layout and order of the checks: docs/protocol112.md.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from skd_cluster.core.model import CENTISECOND, SECOND, DropReason, IPAddress, Nanos
from skd_cluster.core.wire import MAX_CENTISECONDS, Dropped, checksum

PROTOCOL = 112
HOPS = 255
"""TTL and hop limit: what arrives with it has passed no router (RFC 9568 sections 5.1.1.3 and 5.1.2.3). ucarp asks the same."""
_HEADER = struct.Struct("!BBBBHH")
_ADVERTISEMENT = 1
_AUTHENTICATION_2 = 8
"""Version 2 ends with so many bytes of a removed authentication: zero, or keepalived's password in clear text."""
_RESIGNED = 0


@dataclass(frozen=True, slots=True)
class VrrpAdvert:
    """One advertisement; only a master sends any.

    `vrid` is 1 to 255, `priority` 0 to 255, and there are 1 to 255 `addresses`, of one family and of IPv6 a link-local
    one first. `interval` is the sender's pace, by which its backup measures its silence.
    """

    vrid: int
    priority: int
    interval: Nanos
    addresses: tuple[IPAddress, ...]
    version: int = 3

    @property
    def resigns(self) -> bool:
        """Whether the sender gives up being master (RFC 9568 section 5.2.4)."""
        return self.priority == _RESIGNED


def encode(advert: VrrpAdvert, source: IPAddress, destination: IPAddress, *, pseudo_header: bool = True) -> bytes:
    """Return the message, always of version 3; an interval that it cannot name is brought into 0.01 to 40.95 s.

    RFC 9568 section 5.2.8 leaves the pseudo header out over IPv4. keepalived reads RFC 5798 otherwise: Debian's 2.2.7
    drops what is summed without ("Invalid VRRPv3 checksum"), hence the default. Over IPv6 all agree on the pseudo header,
    and it cannot be left out.
    """
    centiseconds = max(1, min(MAX_CENTISECONDS, advert.interval // CENTISECOND))
    fields = (3 << 4 | _ADVERTISEMENT, advert.vrid, advert.priority, len(advert.addresses), centiseconds)
    addresses = b"".join(address.packed for address in advert.addresses)
    message = _HEADER.pack(*fields, 0) + addresses
    pseudo = _pseudo_header(source, destination, len(message)) if pseudo_header or source.version == 6 else b""
    return _HEADER.pack(*fields, checksum(pseudo + message)) + addresses


def decode(body: bytes, source: IPAddress, destination: IPAddress, vrid: int) -> VrrpAdvert | Dropped:
    """Return the advertisement, or why it is not one. Raises nothing, whatever the bytes.

    Over IPv4 both sums are right, with the pseudo header and without. Version 2 has `version` 2 and is for being named,
    not for being followed. Nothing here is authenticated: anybody on the segment can say anything.
    """
    if len(body) < _HEADER.size:
        return Dropped(DropReason.TRUNCATED)
    first, found, priority, count, pace, _sum = _HEADER.unpack_from(body)
    version = first >> 4
    if version != 3 and (version != 2 or source.version == 6):  # there is no version 2 over IPv6
        return Dropped(DropReason.VERSION)
    width = 4 if source.version == 4 else 16
    size = _HEADER.size + count * width + (_AUTHENTICATION_2 if version == 2 else 0)
    if len(body) < size:
        return Dropped(DropReason.TRUNCATED)
    if first & 0x0F != _ADVERTISEMENT or not count or len(body) > size:  # errata 8299: a count of 0 is none
        return Dropped(DropReason.MALFORMED)
    if not _is_sound(body, version, source, destination):
        return Dropped(DropReason.CHECKSUM)
    if found != vrid:
        return Dropped(DropReason.FOREIGN_CLUSTER)
    interval = _interval(version, pace)
    addresses = _addresses(body[_HEADER.size : _HEADER.size + count * width], width)
    # Errata 8301: an interval of 0 would end everybody's patience at once. Errata 8300: the first address of IPv6.
    if not interval or (width == 16 and not addresses[0].is_link_local):
        return Dropped(DropReason.MALFORMED)
    return VrrpAdvert(vrid, priority, interval, addresses, version)


def _is_sound(body: bytes, version: int, source: IPAddress, destination: IPAddress) -> bool:
    if source.version == 4 and not checksum(body):
        return True
    return version == 3 and not checksum(_pseudo_header(source, destination, len(body)) + body)


def _pseudo_header(source: IPAddress, destination: IPAddress, size: int) -> bytes:
    """Return what RFC 5798 (IPv4) and RFC 8200 section 8.1 (IPv6) sum up before the message."""
    tail = struct.pack("!BBH", 0, PROTOCOL, size) if source.version == 4 else struct.pack("!II", size, PROTOCOL)
    return source.packed + destination.packed + tail


def _interval(version: int, pace: int) -> Nanos:
    """Return the interval of bytes 4 and 5: twelve bits of centiseconds, or in version 2 the second byte in seconds."""
    return Nanos((pace & MAX_CENTISECONDS) * CENTISECOND) if version == 3 else Nanos((pace & 0xFF) * SECOND)


def _addresses(raw: bytes, width: int) -> tuple[IPAddress, ...]:
    kind = IPv4Address if width == 4 else IPv6Address
    return tuple(kind(raw[at : at + width]) for at in range(0, len(raw), width))
