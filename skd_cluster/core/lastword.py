"""What a survivor needs to speak for an elector that died: the page it left behind."""

import struct
from dataclasses import dataclass

from skd_cluster.core.model import DataVersion, Role

_PAGE = struct.Struct("!8s16sQ16sQIIQB")
_MAGIC = b"SKDPAGE1"
_MAX32, _MAX64 = (1 << 32) - 1, (1 << 64) - 1
PAGE_SIZE = 4096

COUNTER_LEAP = 1000
"""The page is written before each packet, so one would do; a leap costs nothing."""


@dataclass(frozen=True, slots=True)
class LastWord:
    """The session, its counters and the role at the latest packet."""

    session: bytes
    counter: int
    peer_session: bytes
    peer_counter: int
    epoch: int
    data: DataVersion
    role: Role


def page_bytes(word: LastWord) -> bytes:
    """Return the page's content."""
    return _PAGE.pack(
        _MAGIC,
        word.session,
        word.counter,
        word.peer_session,
        word.peer_counter,
        min(word.epoch, _MAX32),
        min(word.data.epoch, _MAX32),
        min(word.data.generation, _MAX64),
        word.role,
    )


def parse_page(page: bytes) -> LastWord | None:
    """Read the page back; None for what is not one."""
    if len(page) < _PAGE.size:
        return None
    magic, session, counter, peer_session, peer_counter, epoch, data_epoch, generation, role = _PAGE.unpack_from(page)
    if magic != _MAGIC or role not in (int(one) for one in Role):
        return None
    data = DataVersion(data_epoch, generation)
    return LastWord(session, counter, peer_session, peer_counter, epoch, data, Role(role))
