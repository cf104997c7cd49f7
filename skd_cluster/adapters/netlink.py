"""The kernel's addresses and links through a netlink socket; every call returns at once."""

import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from skd_cluster.core import netlink
from skd_cluster.core.model import Vip

_NETLINK_ROUTE = 0
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR, _RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
_BUFFER = 1 << 16
_EVENT_BUFFER = 1 << 20
"""A product with hundreds of virtual interfaces raises them in one burst."""


@dataclass(slots=True)
class Netlink:
    """One socket to ask with, one that listens. `open` makes both."""

    ask: socket.socket
    listen: socket.socket
    _sequence: int = 0

    @property
    def port_id(self) -> int:
        """The requester that the kernel names in events about our own changes."""
        return int(self.ask.getsockname()[0])

    def fileno(self) -> int:
        """Return the listening descriptor, for select."""
        return self.listen.fileno()

    def put(self, wanted: Iterable[tuple[Vip, int, int]]) -> list[tuple[Vip, int]]:
        """Add or renew `(vip, interface index, lifetime)`, all in one call. Returns those refused, with the errno."""
        requests = []
        for vip, index, lifetime in wanted:
            self._sequence += 1
            requests.append((vip, netlink.put_address(vip, index, lifetime, self._sequence)))
        return self._change(requests)

    def remove(self, unwanted: Iterable[tuple[Vip, int]]) -> list[tuple[Vip, int]]:
        """Remove `(vip, interface index)`, all in one call. Returns those refused, with the errno."""
        requests = []
        for vip, index in unwanted:
            self._sequence += 1
            requests.append((vip, netlink.delete_address(vip, index, self._sequence)))
        return self._change(requests)

    def _change(self, requests: list[tuple[Vip, bytes]]) -> list[tuple[Vip, int]]:
        """Send in batches; the kernel works on each request within `send`, so all answers are there when it returns."""
        refused: list[tuple[Vip, int]] = []
        for at in range(0, len(requests), 64):  # 64 answers fit the socket's receive buffer with room to spare
            batch = requests[at : at + 64]
            first = self._sequence - len(requests) + 1 + at
            self.ask.send(b"".join(request for _, request in batch))
            answered = 0
            while answered < len(batch):
                for answer in netlink.parse(self.ask.recv(_BUFFER)):
                    if isinstance(answer, netlink.Answer):
                        answered += 1
                        if answer.errno:
                            refused.append((batch[answer.sequence - first][0], answer.errno))
        return refused

    def links(self) -> list[netlink.LinkSeen]:
        """Return every interface."""
        self._sequence += 1
        return [one for one in self._dump(netlink.dump_links(self._sequence)) if isinstance(one, netlink.LinkSeen)]

    def addresses(self) -> list[netlink.AddressSeen]:
        """Return every address."""
        self._sequence += 1
        found = self._dump(netlink.dump_addresses(self._sequence))
        return [one for one in found if isinstance(one, netlink.AddressSeen)]

    def _dump(self, request: bytes) -> Iterator[netlink.AddressSeen | netlink.LinkSeen | netlink.Answer | netlink.Done]:
        self.ask.send(request)
        while True:
            for one in netlink.parse(self.ask.recv(_BUFFER)):
                if isinstance(one, netlink.Done):
                    return
                yield one

    def events(self) -> Iterator[netlink.AddressSeen | netlink.LinkSeen | None]:
        """Yield what has happened since the last call; None when the kernel lost events, so all must be read again."""
        while True:
            try:
                datagram = self.listen.recv(_BUFFER)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # ENOBUFS: the queue overflowed
                yield None
                continue
            for one in netlink.parse(datagram):
                if isinstance(one, netlink.AddressSeen | netlink.LinkSeen):
                    yield one

    def close(self) -> None:
        """Close both sockets."""
        self.ask.close()
        self.listen.close()


def open_netlink() -> Netlink:
    """Open both sockets. Raises OSError."""
    ask = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
    ask.bind((0, 0))
    listen = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_ROUTE)
    listen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _EVENT_BUFFER)
    listen.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
    return Netlink(ask, listen)


def reason(errno: int) -> str:
    """Return what an errno of the kernel means."""
    return os.strerror(errno)
