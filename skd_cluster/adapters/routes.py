"""The default gateways that the kernel uses, for IPv4, from the main routing table."""

import struct
from ipaddress import IPv4Address
from pathlib import Path

_TABLE = Path("/proc/net/route")
_GATEWAY_FLAG = 0x2


def default_gateways(interface: str, table: Path = _TABLE) -> tuple[IPv4Address, ...]:
    """Return the gateways of default routes through an interface; none where there is none or no such table."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return ()
    found = []
    for line in lines:
        name, destination, gateway, flags, *_ = line.split()
        if name == interface and destination == "00000000" and int(flags, 16) & _GATEWAY_FLAG:
            found.append(IPv4Address(struct.pack("=I", int(gateway, 16))))  # printed in host byte order
    return tuple(dict.fromkeys(found))
