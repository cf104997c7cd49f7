"""The advertisement socket: unicast UDP, never blocking."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from skd_cluster.core.model import IPAddress

_IP_FREEBIND = 15
_IPV6_FREEBIND = 78
_CLASS_SELECTOR_6 = 0xC0
"""Network control, as routing protocols mark their packets (RFC 4594 section 3.1)."""
_SIZE = 2048
_RECEIVE_BUFFER = 1 << 20


@dataclass(slots=True)
class AdvertSocket:
    """Bound to the node's own address; `peer` is where advertisements go."""

    sock: socket.socket
    peer: tuple[str, int]
    send_errors: int = 0

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.sock.fileno()

    def send(self, datagram: bytes) -> bool:
        """Send now or not at all; return whether it went out."""
        try:
            self.sock.sendto(datagram, self.peer)
        except OSError:
            self.send_errors += 1
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
        """Close the socket."""
        self.sock.close()


def open_advert_socket(local: IPAddress, remote: IPAddress, port: int) -> AdvertSocket:
    """Open and bind; the address need not be there yet. Raises OSError (port in use, no permission)."""
    family = socket.AF_INET if local.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if local.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)  # RFC 9568 section 5.1.1.3
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _CLASS_SELECTOR_6)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _CLASS_SELECTOR_6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind((str(local), port))
    except OSError:
        sock.close()
        raise
    return AdvertSocket(sock, (str(remote), port))
