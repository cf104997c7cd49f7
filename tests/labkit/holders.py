"""Which nodes hold an address, and when: from the kernel's own events, not by asking now and then."""

import ctypes
import itertools
import os
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from .waiting import eventually

NLMSG: Final = struct.Struct("=IHHII")
IFADDR: Final = struct.Struct("=BBBBI")
ATTRIBUTE: Final = struct.Struct("=HH")
NLMSG_DONE, RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 3, 20, 21, 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
GROUPS: Final = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
DUMP_REQUEST: Final = 0x301
CLONE_NEWNET: Final = 0x40000000


class Span(NamedTuple):
    """A time in which the same nodes held the address; monotonic seconds."""

    start: float
    end: float
    holders: frozenset[str]


class HolderWatch:
    """Watches one address on several machines, given by name and first process, in a `with` block."""

    def __init__(self, address: str, machines: Mapping[str, int]) -> None:
        self._address = ip_address(address).packed
        self._machines = dict(machines)
        self._held: set[tuple[str, int]] = set()  # node and interface: moving it between two is no gap
        self._events: list[tuple[float, frozenset[str]]] = []
        self._known: set[str] = set()
        self._failure: Exception | None = None
        self._stop_reader, self._stop_writer = socket.socketpair()
        self._orders: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        eventually(lambda: self._failure or self._known == set(self._machines), what="the first state of all nodes")
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_writer.close()
        self._thread.join()
        self._stop_reader.close()

    def follow(self, name: str, pid: int) -> None:
        """From now on that machine is the one with this first process; 0: it is off, so it holds nothing."""
        self._orders.put((name, pid))
        with suppress(OSError):  # the watch is over
            self._stop_writer.send(b"!")

    def mark(self) -> float:
        """Return this instant, for `since`."""
        return time.monotonic()

    def holders(self) -> frozenset[str]:
        """The nodes that hold the address now."""
        self._check()
        return self._events[-1][1]

    def spans(self, since: float = 0.0) -> list[Span]:
        """Return the history as consecutive spans, the last one up to now."""
        self._check()
        events = [*self._events, (time.monotonic(), frozenset())]
        spans = [Span(start, end, who) for (start, who), (end, _) in itertools.pairwise(events)]
        return [Span(max(since, start), end, who) for start, end, who in spans if end > since]

    def overlap_seconds(self, since: float = 0.0) -> float:
        """Return how long, all in all, more than one node held the address."""
        return sum(span.end - span.start for span in self.spans(since) if len(span.holders) > 1)

    def vacant_seconds(self, since: float = 0.0) -> float:
        """Return how long, all in all, no node held it."""
        return sum(span.end - span.start for span in self.spans(since) if not span.holders)

    def _check(self) -> None:
        if self._failure:
            raise AssertionError("the watch of the address broke") from self._failure

    # --- in the thread -------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            self._follow({_open_in(pid): name for name, pid in self._machines.items()})
        except Exception as error:  # noqa: BLE001 -- handed to whoever asks next
            self._failure = error

    def _follow(self, links: dict[socket.socket, str]) -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))  # of this thread only
        while True:
            ready, _, _ = select.select([self._stop_reader, *links], [], [])
            now = time.monotonic()
            if self._stop_reader in ready:
                if not self._stop_reader.recv(64):
                    for link in links:
                        link.close()
                    return
                self._obey(links, now)
                continue
            for link in ready:
                self._take(links[link], link.recv(1 << 16), now)

    def _obey(self, links: dict[socket.socket, str], now: float) -> None:
        with suppress(queue.Empty):
            while True:
                name, pid = self._orders.get_nowait()
                for link in [one for one, of in links.items() if of == name]:
                    del links[link]
                    link.close()  # it kept a dead machine's network alive
                self._held = {place for place in self._held if place[0] != name}
                self._note(now)
                if pid:
                    links[_open_in(pid)] = name

    def _take(self, name: str, data: bytes, now: float) -> None:
        for kind, body in _messages(data):
            if kind == NLMSG_DONE:
                self._known.add(name)
                self._note(now)
            elif kind in {RTM_NEWADDR, RTM_DELADDR} and _address_of(body) == self._address:
                place = (name, IFADDR.unpack_from(body)[4])
                (self._held.add if kind == RTM_NEWADDR else self._held.discard)(place)
                if self._known == set(self._machines):
                    self._note(now)

    def _note(self, now: float) -> None:
        who = frozenset(name for name, _ in self._held)
        if not self._events or self._events[-1][1] != who:
            self._events.append((now, who))


def _open_in(pid: int) -> socket.socket:
    """Return a netlink socket of that process's network that already asked for all addresses."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open() as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):  # of this thread only, which ends with the watch
            raise OSError(ctypes.get_errno(), f"setns to the network of {pid}")
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    link.bind((0, GROUPS))
    link.send(NLMSG.pack(NLMSG.size + IFADDR.size, RTM_GETADDR, DUMP_REQUEST, 1, 0) + IFADDR.pack(0, 0, 0, 0, 0))
    return link


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= NLMSG.size:
        length, kind, *_ = NLMSG.unpack_from(data)
        yield kind, data[NLMSG.size : length]
        data = data[(length + 3) & ~3 :]


def _address_of(body: bytes) -> bytes:
    found = {}
    rest = body[IFADDR.size :]
    while len(rest) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(rest)
        found[kind] = rest[ATTRIBUTE.size : length]
        rest = rest[(length + 3) & ~3 :]
    return found.get(IFA_LOCAL) or found.get(IFA_ADDRESS, b"")
