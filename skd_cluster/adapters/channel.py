"""A pair of sockets between the supervisor and one child: whole messages, never blocking, losses counted.

SOCK_SEQPACKET keeps message boundaries and reports a dead other side as end of file.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from skd_cluster.core.messages import Message, decode, encode

_BUFFER = 1 << 20
"""One message at most; a report of a node with a thousand addresses is a tenth of it."""


@dataclass(slots=True)
class Channel:
    """One end. `dropped` counts messages that the other side was too slow to take, `garbled` those not understood."""

    sock: socket.socket
    dropped: int = 0
    garbled: int = 0
    closed: bool = False

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.sock.fileno()

    def send(self, message: Message) -> bool:
        """Hand over a message now or drop it; return whether it was taken."""
        try:
            self.sock.send(encode(message))
        except (BlockingIOError, InterruptedError):
            self.dropped += 1
            return False
        except OSError:
            self.closed = True
            return False
        return True

    def receive(self) -> Iterator[Message]:
        """Yield what is there. After the last one `closed` says whether the other side is gone."""
        while True:
            try:
                datagram = self.sock.recv(_BUFFER)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                datagram = b""
            if not datagram:
                self.closed = True
                return
            message = decode(datagram)
            if message is None:
                self.garbled += 1
            else:
                yield message

    def close(self) -> None:
        """Close this end; the other side sees end of file."""
        self.closed = True
        self.sock.close()


def pair() -> tuple[Channel, socket.socket]:
    """Return the supervisor's end and the child's raw socket, to be inherited by number."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    ours.setblocking(False)
    return Channel(ours), theirs


def inherited(descriptor: int) -> Channel:
    """Return the child's end of `pair`, from the number it was given on its command line."""
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return Channel(sock)
