"""Packets as they arrive at a machine, with the kernel's own time of arrival: who listens late measures no worse."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.labkit import Machine, eventually

ETH_P_IP: Final = 0x0800  # a tap of one protocol hears only what arrives, not what is sent
CLONE_NEWNET: Final = 0x40000000
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
TIMESPEC: Final = struct.Struct("=qq")
BUFFER: Final = 64 << 20
HEAD: Final = 128
ETHERNET: Final = 14
ICMP, UDP, VRRP = 1, 17, 112  # ucarp uses VRRP's number
OUR_PORT: Final = 10112
PROBE: Final = b"skdprobe"


class Arrival(NamedTuple):
    """One packet: seconds of the wall clock, who sent the frame, and the IPv4 packet's first bytes."""

    at: float
    mac: bytes
    packet: bytes

    def advertises(self, source: str) -> bool:
        """Whether it is an advertisement of that address, in any of the three protocols."""
        if self.packet[12:16] != IPv4Address(source).packed:
            return False
        head = 4 * (self.packet[0] & 15)
        kind, port = self.packet[9], int.from_bytes(self.packet[head + 2 : head + 4], "big")
        return kind == VRRP or (kind == UDP and port == OUR_PORT)

    @property
    def probe(self) -> int | None:
        """The number of the probe that this answers, if it answers one."""
        body = self.packet[4 * (self.packet[0] & 15) + 8 :]
        if self.packet[9] != ICMP or not body.startswith(PROBE):
            return None
        return int.from_bytes(body[8:16], "big")


class Tap:
    """Hears what arrives at a machine, in a `with` block. The kernel keeps it until somebody asks."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        with ThreadPoolExecutor(1) as pool:  # the thread that changes its network ends here
            self._socket = pool.submit(_open_in, self._machine.pid).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._socket is not None
        self._socket.close()

    def arrivals(self) -> Iterator[Arrival]:
        """Yield what has arrived since the last call."""
        assert self._socket is not None
        while True:
            try:
                frame, notes, _, _ = self._socket.recvmsg(HEAD, 64)
            except BlockingIOError:
                return
            times = [TIMESPEC.unpack(data) for level, kind, data in notes if kind == SO_TIMESTAMPNS]
            seconds, nanoseconds = times[0]
            yield Arrival(seconds + nanoseconds / 1e9, frame[6:12], frame[ETHERNET:])

    def advertisements(self, source: str) -> list[float]:
        """Return when the advertisements of an address arrived since the last call."""
        return [one.at for one in self.arrivals() if one.advertises(source)]

    def wait_advertisement(self, source: str) -> None:
        """Return just after the next advertisement of an address."""
        self.advertisements(source)
        eventually(lambda: self.advertisements(source), within=5, what=f"{source} advertises")


def _open_in(pid: int) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open() as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
    tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    tap.setblocking(False)
    return tap
