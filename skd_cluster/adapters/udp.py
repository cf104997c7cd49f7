"""Advertisement sockets: UDP, unicast or multicast, one for each path to the peer, never blocking."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from skd_cluster.adapters.path import join, prepare, speak_to_groups
from skd_cluster.core.model import IPAddress

_SIZE = 2048

Target: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""Where a socket is bound or speaks to; the longer one is IPv6 with its scope."""


@dataclass(slots=True)
class AdvertSocket:
    """One path. `sock` hears; `voice` speaks, the same socket but for multicast; `target` is where to."""

    sock: socket.socket
    voice: socket.socket
    target: Target

    def fileno(self) -> int:
        """Return the descriptor that hears, for select."""
        return self.sock.fileno()

    def send(self, datagram: bytes) -> bool:
        """Send now or not at all; return whether it went out."""
        try:
            self.voice.sendto(datagram, self.target)
        except OSError:
            return False
        return True

    def receive(self, limit: int) -> Iterator[tuple[bytes, str]]:
        """Yield at most `limit` datagrams that have arrived, with the address they came from."""
        for _ in range(limit):
            try:
                datagram, source = self.sock.recvfrom(_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error of an earlier send: the peer's port is closed
                continue
            yield datagram, source[0]

    def close(self) -> None:
        """Close the path."""
        self.sock.close()
        self.voice.close()


def open_unicast(local: IPAddress, remote: IPAddress, port: int) -> AdvertSocket:
    """Open a path to one address; ours need not be there yet. Raises OSError (port in use, no permission)."""
    sock = _bound(local, (str(local), port))
    return AdvertSocket(sock, sock, (str(remote), port))


def open_multicast(local: IPAddress, group: IPAddress, port: int, interface: str) -> AdvertSocket:
    """Open a path to a group on one interface. Raises OSError (no such interface, port in use, no permission).

    Two sockets: one bound to the group hears nothing else, the other speaks from our own address.
    """
    index = socket.if_nametoindex(interface)
    # A link-local group means nothing without its link.
    target: Target = (str(group), port) if group.version == 4 else (str(group), port, 0, index)
    hearing = _bound(local, target)
    try:
        join(hearing, local, group, index)
        speaking = _bound(local, (str(local), 0))
    except OSError:
        hearing.close()
        raise
    speak_to_groups(speaking, local, index)
    return AdvertSocket(hearing, speaking, target)


def _bound(local: IPAddress, to: Target) -> socket.socket:
    family = socket.AF_INET if local.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        prepare(sock, local)
        sock.bind(to)
    except OSError:
        sock.close()
        raise
    return sock
