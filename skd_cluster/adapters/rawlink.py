"""Ethernet frames onto an interface, for announcements."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class RawLink:
    """A packet socket that only sends. Losing a frame is no error: announcements are repeated."""

    sock: socket.socket
    send_errors: int = 0

    def send(self, interface: str, frames: Iterable[bytes]) -> None:
        """Put the frames onto the interface."""
        for frame in frames:
            try:
                self.sock.sendto(frame, (interface, 0))
            except OSError:
                self.send_errors += 1

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


def open_raw_link() -> RawLink:
    """Open a packet socket that receives nothing (protocol 0). Raises OSError (no permission)."""
    return RawLink(socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0))
