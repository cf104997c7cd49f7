"""Speaks and hears protocol 112 on a machine of the lab: talker112.py unicast|multicast LOCAL REMOTE INTERFACE vrrp|carp

Says who it is to the peer (`source destination`), then what it hears, a line of JSON each. Each line it is given is a
message as hex, which it sends; it says whether that went out.
"""

import json
import select
import sys
from ipaddress import ip_address

from skd_cluster.adapters.protocol112 import CARP, VRRP, open_multicast, open_unicast


def main() -> None:
    """Run until its input ends."""
    mode, local, remote, interface, dress = sys.argv[1:]
    opening = open_multicast if mode == "multicast" else open_unicast
    path = opening(ip_address(local), ip_address(remote), interface, CARP if dress == "carp" else VRRP)
    tell({"source": str(path.source), "destination": str(path.destination)})
    while True:
        for ready in select.select([sys.stdin, path], [], [])[0]:
            if ready is path:
                for packet in path.receive(10):
                    ends = {"source": str(packet.source), "destination": str(packet.destination)}
                    tell({"body": packet.body.hex(), **ends, "hops": packet.hops})
                continue
            line = sys.stdin.buffer.raw.readline()
            if not line:
                return
            tell({"sent": path.send(bytes.fromhex(line.decode()))})


def tell(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
