"""CARP version 2 as ucarp and the BSDs speak it: 36 bytes over IPv4. Layout and what it protects: docs/protocol112.md."""

import hmac
import struct
from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address

from skd_cluster.core.model import SECOND, DropReason, Nanos
from skd_cluster.core.wire import Dropped, checksum

_PACKET = struct.Struct("!BBBBBBHQ20s")
PACKET_SIZE = _PACKET.size
_COVERED = struct.Struct("!BBB4sQ")

_VERSION, _ADVERTISEMENT = 2, 1
_VERSION_AND_TYPE = _VERSION << 4 | _ADVERTISEMENT
_AUTH_WORDS = 7
"""Counter and digest, in words of 32 bits."""
PASSWORD_LIMIT = 19
"""Bytes: ucarp refuses a longer password, and the BSDs cut it."""
RESIGNED = 255
"""As `advbase` and as `advskew` at once: the sender is gone.

The BSDs say so. ucarp has no such word, but a backup takes over at once from a master that promises an interval longer
than its own patience, dead_ratio times its base. No CARP interval is longer than this one, so no other word is
understood by more peers: with ucarp's default ratio of 3, by all whose base is below 85 s.
"""
SEEN_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class CarpAdvert:
    """One advertisement; only a master sends any.

    `vhid` is 1 to 255, `advbase`, `advskew` and `demotion` 0 to 255 (not the first two at once 0), `counter` 64 bits.
    """

    vhid: int
    advskew: int
    advbase: int
    counter: int
    demotion: int = 0

    @property
    def interval(self) -> Nanos:
        """Return the sender's pace, which is its rank as well: of two masters the one with the longer interval yields."""
        return pace(self.advbase, self.advskew)

    @property
    def resigns(self) -> bool:
        """Whether the sender says that it is gone."""
        return self.advbase == self.advskew == RESIGNED


def pace(advbase: int, advskew: int) -> Nanos:
    """Return an interval in CARP's units: seconds and 256ths of them."""
    return Nanos(advbase * SECOND + advskew * SECOND // 256)


def encode(advert: CarpAdvert, password: bytes, address: IPv4Address) -> bytes:
    """Return the message, signed for the one floating address that both sides were told."""
    fields = (_VERSION_AND_TYPE, advert.vhid, advert.advskew, _AUTH_WORDS, advert.demotion, advert.advbase)
    signed = (advert.counter, _digest(advert.vhid, advert.counter, password, address))
    return _PACKET.pack(*fields, checksum(_PACKET.pack(*fields, 0, *signed)), *signed)


def decode(body: bytes, vhid: int, passwords: tuple[bytes, ...], address: IPv4Address) -> CarpAdvert | Dropped:
    """Return the advertisement, or why it is not one. Raises nothing, whatever the bytes.

    Says that somebody with the password has once sent this counter for this vhid and address. The digest covers neither
    `advbase` nor `advskew`, so whoever has seen the packet can send it again with any rank: see `SeenCounters`.
    """
    if len(body) < PACKET_SIZE:
        return Dropped(DropReason.TRUNCATED)
    if body[0] >> 4 != _VERSION:
        return Dropped(DropReason.VERSION)
    if not is_carp(body):
        return Dropped(DropReason.MALFORMED)
    if checksum(body):
        return Dropped(DropReason.CHECKSUM)
    _first, found, advskew, _words, demotion, advbase, _sum, counter, digest = _PACKET.unpack(body)
    if found != vhid:
        return Dropped(DropReason.FOREIGN_CLUSTER)
    if not any(hmac.compare_digest(_digest(vhid, counter, one, address), digest) for one in passwords):
        return Dropped(DropReason.BAD_KEY)
    if not advbase and not advskew:  # no pace at all: everybody's patience would end at once
        return Dropped(DropReason.MALFORMED)
    return CarpAdvert(vhid, advskew, advbase, counter, demotion)


def is_carp(body: bytes) -> bool:
    """Whether this is CARP and not VRRP version 2, which has the same protocol number and the same first byte.

    VRRP has its count of addresses where CARP says 7, and with seven of them it is 44 bytes long.
    """
    return len(body) == PACKET_SIZE and body[0] == _VERSION_AND_TYPE and body[3] == _AUTH_WORDS


def _digest(vhid: int, counter: int, password: bytes, address: IPv4Address) -> bytes:
    """Return HMAC-SHA1 over what CARP covers; version and type as a byte each, which is not how they travel."""
    return hmac.digest(password, _COVERED.pack(_VERSION, _ADVERTISEMENT, vhid, address.packed, counter), "sha1")


class SeenCounters:
    """Believes each counter once, of the newest 65,536, so that a recorded packet is worth nothing for that long.

    No order can be asked for: a ucarp that has heard nobody draws each counter at random, and one that has heard an
    advertisement goes on from that counter plus one. The caller puts in its own too, because a packet of ours may come
    back with another's source address. For the same reason ours must be drawn at random: counted up, they would be
    the very ones with which ucarp answers.
    """

    def __init__(self, limit: int = SEEN_LIMIT) -> None:
        self._limit = limit
        self._seen: set[int] = set()
        self._order: deque[int] = deque()

    def first(self, counter: int) -> bool:
        """Note the counter, and return whether it is new."""
        if counter in self._seen:
            return False
        self._seen.add(counter)
        self._order.append(counter)
        if len(self._order) > self._limit:
            self._seen.remove(self._order.popleft())
        return True
