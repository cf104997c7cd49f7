"""Asks an address for an echo every millisecond and notes when it was asked and when it answered.

A program of its own for the client's network, standard library only:

    probe.py ADDRESS RECORDS INTERVAL_MICROSECONDS CAPACITY

RECORDS is a file shared with `client.Prober`, numbers of 8 bytes: how many were sent, then for each the monotonic
nanoseconds at which it was sent and at which its answer was read (0: not yet). One line is printed once all is ready.
"""

import gc
import mmap
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

MARK = b"skdprobe"
HEADER = struct.Struct("!BBHHH")
REQUESTS = {4: 8, 6: 128}
ANSWERS = {4: 0, 6: 129}
SOL_RAW = 255


def open_socket(address: str) -> tuple[socket.socket, int]:
    version = ip_address(address).version
    if version == 4:
        link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        only_answers = struct.pack("I", ~(1 << ANSWERS[4]) & 0xFFFFFFFF)
        link.setsockopt(SOL_RAW, 1, only_answers)  # ICMP_FILTER
    else:
        link = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        blocked = [0xFFFFFFFF] * 8
        blocked[ANSWERS[6] >> 5] &= ~(1 << (ANSWERS[6] & 31))
        link.setsockopt(socket.IPPROTO_ICMPV6, 1, struct.pack("8I", *blocked))  # ICMP6_FILTER
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    link.setblocking(False)
    link.connect((address, 0))
    return link, version


def request(version: int, session: int, index: int) -> bytes:
    body = MARK + index.to_bytes(8, "big")
    head = HEADER.pack(REQUESTS[version], 0, 0, session, index & 0xFFFF)
    total = sum(struct.unpack("!12H", head + body))  # the kernel does this itself for IPv6
    total = (total & 0xFFFF) + (total >> 16)
    total += total >> 16
    return HEADER.pack(REQUESTS[version], 0, ~total & 0xFFFF, session, index & 0xFFFF) + body


def read_answers(link: socket.socket, version: int, session: int, slots: "memoryview[int]") -> None:
    while True:
        try:
            packet = link.recv(256)
        except OSError:  # nothing more, or the news that nobody is there
            return
        now = time.monotonic_ns()
        answer = packet[(packet[0] & 15) * 4 :] if version == 4 else packet
        if len(answer) != 24 or answer[8:16] != MARK or HEADER.unpack(answer[:8])[3] != session:
            continue
        index = int.from_bytes(answer[16:], "big")
        if 2 + 2 * index < len(slots) and slots[2 + 2 * index] == 0:
            slots[2 + 2 * index] = now


def main() -> None:
    address, records, interval, capacity = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) * 1000, int(sys.argv[4])
    link, version = open_socket(address)
    session = os.getpid() & 0xFFFF
    with records.open("r+b") as file:
        slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
    with suppress(OSError):  # measured without it, the noise is larger, not the result another
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))
    gc.disable()
    print("probing", flush=True)
    start = time.monotonic_ns()
    for index in range(capacity):
        due = start + index * interval
        while (left := due - time.monotonic_ns()) > 0:
            if select.select([link], [], [], left / 1e9)[0]:
                read_answers(link, version, session, slots)
        slots[1 + 2 * index] = time.monotonic_ns()
        slots[0] = index + 1
        with suppress(OSError):  # no route, nobody there: it stays unanswered
            link.send(request(version, session, index))
        read_answers(link, version, session, slots)


if __name__ == "__main__":
    main()
