"""The native packet: a VRRPv3 header, our extension, an HMAC over both. Layout and argument: docs/protocol.md."""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from ipaddress import IPv6Address

from skd_cluster.core.model import CENTISECOND, DataVersion, DropReason, IPAddress, Nanos, Role, Transport

_HEADER = struct.Struct("!BBBBHH")
_EXTENSION = struct.Struct("!3sBHBBBB3s16s16sQ16sQIIQI32s")
_MAC = 32
PACKET_SIZE = _HEADER.size + _EXTENSION.size + _MAC

_VERSION_AND_TYPE = 0x31  # RFC 9568 section 5.2.1 and 5.2.2: version 3, type ADVERTISEMENT
_MAGIC = b"SKD"
WIRE_VERSION = 1
SESSION_SIZE = 16
NO_SESSION = bytes(SESSION_SIZE)
_MICROSECOND = 1_000
_MAX32, _MAX64 = (1 << 32) - 1, (1 << 64) - 1
MAX_CENTISECONDS = 0xFFF  # RFC 9568 section 5.2.7: twelve bits


class Flag(IntFlag):
    """What an advertisement says beside its numbers."""

    PACED = 1  # sent by the pace, so good for measuring jitter
    RESIGNED = 2  # was master, gave it up, and waits for the peer to take over
    PRESENT = 4  # starts, and the cluster address is already up here
    WANTED = 8  # backup that should be master: higher priority, preempt, and ready
    POLL = 16  # answer at once
    UNSHARED = 32  # has changes of the configuration that its peer has not confirmed
    RESTARTING = 64  # a master that keeps its addresses while it is started anew: wait for it


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement (of a master) or hello (of anybody else).

    `interval` is the sender's own pace. `counter` rises with each packet of a `session`; the echo is the session and
    counter the sender heard last, all zero for none.
    """

    cluster_id: int
    priority: int
    role: Role
    flags: Flag
    interval: Nanos
    dead_ratio: int
    release: tuple[int, int, int]
    sender: IPAddress
    session: bytes
    counter: int
    echo_session: bytes
    echo_counter: int
    epoch: int
    data: DataVersion
    digest: bytes
    transport: Transport = Transport.UDP
    """The language its sender is configured for; it says this packet whatever that is."""

    @property
    def resigns(self) -> bool:
        """Whether the sender gives up being master (RFC 9568 section 5.2.4: priority 0)."""
        return self.priority == 0 or Flag.RESIGNED in self.flags


@dataclass(frozen=True, slots=True)
class Dropped:
    """A packet that is not believed, and why."""

    reason: DropReason


def derive_key(password: bytes, cluster_id: int) -> bytes:
    """Return the signing key, 32 bytes.

    scrypt (RFC 7914) with 16 MiB, 50 ms here: a recorded packet lets anybody test guesses, so a guess must cost something.
    """
    return hashlib.scrypt(password, salt=b"skd-cluster 1 %d" % cluster_id, n=1 << 14, r=8, p=1, dklen=32)


@lru_cache(maxsize=16)
def sender_bytes(address: IPAddress) -> bytes:
    """Return 16 bytes for an address, IPv4 as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2)."""
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def unscoped(address: IPAddress) -> IPAddress:
    """Return the address as a packet names it: a link-local one without its scope, which means something here only."""
    return IPv6Address(int(address)) if address.version == 6 else address


@lru_cache(maxsize=16)
def _sender(raw: bytes) -> IPAddress:
    found = IPv6Address(raw)
    return found.ipv4_mapped or found


@lru_cache(maxsize=16)
def _flags(raw: int) -> Flag:
    return Flag(raw & _KNOWN_FLAGS)


@lru_cache(maxsize=8)
def _padded(key: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """Return SHA-256 after the inner and the outer pad of a key of at most 64 bytes (RFC 2104 section 2)."""
    block = key.ljust(64, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))


def sign(key: bytes, body: bytes) -> bytes:
    """Return HMAC-SHA256 of the body.

    By hand, because it is most of what a packet costs: OpenSSL looks its algorithm up anew in each `hmac.digest`, 68 us for
    a process that has just been woken, against 33 us for two copies of what is the same for each packet.
    """
    begun, ending = _padded(key)
    inner, outer = begun.copy(), ending.copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071).

    A sum of 16-bit words with end-around carry is the number they form modulo 65535: one division of a long integer
    instead of a loop in Python.
    """
    number = int.from_bytes(data, "big") << (8 * (len(data) % 2))
    total = number % 0xFFFF or (0xFFFF if number else 0)
    return ~total & 0xFFFF


def encode(advert: Advert, key: bytes) -> bytes:
    """Return the datagram, signed with `key`."""
    extension = _EXTENSION.pack(
        _MAGIC,
        WIRE_VERSION,
        _EXTENSION.size,
        advert.role,
        advert.flags,
        advert.dead_ratio,
        advert.transport,
        bytes(advert.release),
        sender_bytes(advert.sender),
        advert.session,
        advert.counter,
        advert.echo_session,
        advert.echo_counter,
        # What does not fit was damaged on some disk; it must not end the election.
        min(advert.epoch, _MAX32),
        min(advert.data.epoch, _MAX32),
        min(advert.data.generation, _MAX64),
        advert.interval // _MICROSECOND,
        advert.digest,
    )
    centiseconds = max(1, min(MAX_CENTISECONDS, advert.interval // CENTISECOND))
    fields = (_VERSION_AND_TYPE, advert.cluster_id, advert.priority, 0, centiseconds)
    total = checksum(_HEADER.pack(*fields, 0) + extension)
    body = _HEADER.pack(*fields, total) + extension
    return body + sign(key, body)


def decode(datagram: bytes, cluster_id: int, keys: tuple[bytes, ...]) -> Advert | Dropped:
    """Return the advertisement, or why it is not one. Raises nothing, whatever the bytes.

    Says that the sender knows the key, not that the packet is new: that is `core.peer`'s to judge.
    """
    if len(datagram) < PACKET_SIZE:
        return Dropped(DropReason.TRUNCATED)
    first, vrid, priority, _count, _centiseconds, _sum = _HEADER.unpack_from(datagram)
    magic, version, size = struct.unpack_from("!3sBH", datagram, _HEADER.size)
    if first != _VERSION_AND_TYPE or magic != _MAGIC:
        return Dropped(DropReason.MALFORMED)
    if version != WIRE_VERSION:
        return Dropped(DropReason.VERSION)
    # A later release may append fields to the extension; the MAC is always the end.
    if size < _EXTENSION.size or len(datagram) != _HEADER.size + size + _MAC:
        return Dropped(DropReason.MALFORMED)
    if vrid != cluster_id:
        return Dropped(DropReason.FOREIGN_CLUSTER)
    body, mac = datagram[:-_MAC], datagram[-_MAC:]
    for key in keys:
        if hmac.compare_digest(sign(key, body), mac):
            return _advert(vrid, priority, datagram)
    return Dropped(DropReason.BAD_KEY)


def _advert(vrid: int, priority: int, datagram: bytes) -> Advert | Dropped:
    (
        role,
        flags,
        dead_ratio,
        transport,
        release,
        sender,
        session,
        counter,
        echo_session,
        echo_counter,
        epoch,
        data_epoch,
        generation,
        microseconds,
        digest,
    ) = _EXTENSION.unpack_from(datagram, _HEADER.size)[3:]
    if role not in _ROLES or not dead_ratio or not microseconds or session == NO_SESSION:
        return Dropped(DropReason.MALFORMED)
    return Advert(
        cluster_id=vrid,
        priority=priority,
        role=_ROLES[role],
        flags=_flags(flags),
        interval=Nanos(microseconds * _MICROSECOND),
        dead_ratio=dead_ratio,
        release=(release[0], release[1], release[2]),
        sender=_sender(sender),
        session=session,
        counter=counter,
        echo_session=echo_session,
        echo_counter=echo_counter,
        epoch=epoch,
        data=DataVersion(data_epoch, generation),
        digest=digest,
        transport=_TRANSPORTS.get(transport, Transport.UDP),
    )


_TRANSPORTS = {int(one): one for one in Transport}
_ROLES = {int(role): role for role in Role}
_KNOWN_FLAGS = sum(Flag)


def parse_release(version: str) -> tuple[int, int, int]:
    """Return `3.0.1` as three bytes' worth of numbers; what is no number counts as 0."""
    parts = [int(part) if part.isdigit() else 0 for part in version.split(".")]
    padded = [*parts, 0, 0]
    return (padded[0] & 0xFF, padded[1] & 0xFF, padded[2] & 0xFF)
