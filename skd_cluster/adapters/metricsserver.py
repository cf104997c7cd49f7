"""Serves the metrics by HTTP: one request a connection, bounded in number, bytes and time, whoever the client is."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.webconfig import OPEN, Protection
from skd_cluster.core.model import Nanos, nanos
from skd_cluster.core.webrequest import MOST, Request, answer, complete, parse

CONNECTIONS = 64
"""At once. The next one takes the place of the oldest of the client that has most: whoever asks at once is answered."""

PATIENCE = nanos(10)
"""From accepting to the last byte of the answer, TLS included; Prometheus itself waits no longer by default."""

_TICK = 0.25
_BACKLOG = 512
_PAGE = b'<html><head><title>skd-cluster</title></head><body><a href="/metrics">Metrics</a></body></html>\n'

Render = Callable[[str], tuple[str, bytes]]
"""From the Accept header to the content's type and the content."""


@dataclass(slots=True, eq=False)
class _Client:
    socket: socket.socket
    address: str
    since: Nanos


class MetricsServer:
    """Serves `/metrics` on one address, in threads. `protection` may be replaced at any time."""

    def __init__(self, listen: tuple[str, int], render: Render, protection: Protection = OPEN) -> None:
        self.protection = protection
        self._listen = listen
        self._render = render
        self._listener: socket.socket | None = None
        self._clients: dict[_Client, None] = {}  # oldest first
        self._threads = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def listening(self) -> bool:
        """Whether it serves."""
        return self._listener is not None

    def open(self) -> None:
        """Begin to serve. Raises OSError when the address or port is not to be had."""
        family = socket.AF_INET6 if ":" in self._listen[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._listen)
            listener.listen(_BACKLOG)
            listener.settimeout(_TICK)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._closed.clear()
        threading.Thread(target=self._accept, args=(listener,), name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop serving and hang up."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._closed.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        listener.close()
        with self._lock:
            for client in list(self._clients):
                self._hang_up(client)

    def _accept(self, listener: socket.socket) -> None:
        while not self._closed.is_set():
            try:
                accepted, address = listener.accept()
            except TimeoutError:
                self._make_room(monotonic(), wanted=0)
            except OSError:
                self._closed.wait(_TICK)  # no descriptor left: one will be
                self._make_room(monotonic(), wanted=0)
            else:
                self._admit(_Client(accepted, str(address[0]), monotonic()))

    def _admit(self, client: _Client) -> None:
        self._make_room(client.since, wanted=1)
        with self._lock:
            refused = self._threads >= 2 * CONNECTIONS  # those that were hung up end in their own time
            if not refused:
                self._threads += 1
                self._clients[client] = None
        if refused:
            client.socket.close()
            return
        client.socket.settimeout(None)
        try:
            threading.Thread(target=self._serve, args=(client,), name="scrape", daemon=True).start()
        except RuntimeError:  # no more threads
            self._done(client)

    def _make_room(self, now: Nanos, *, wanted: int) -> None:
        """Hang up on those that took too long, and on more if that is not enough."""
        with self._lock:
            for client in [one for one in self._clients if now - one.since > PATIENCE]:
                self._hang_up(client)
            while len(self._clients) + wanted > CONNECTIONS:
                busiest, _ = Counter(one.address for one in self._clients).most_common(1)[0]
                self._hang_up(next(one for one in self._clients if one.address == busiest))

    def _hang_up(self, client: _Client) -> None:
        """Wake its thread, which then ends. The lock is held: the socket is not closed meanwhile."""
        del self._clients[client]
        with suppress(OSError):
            socket.socket.shutdown(client.socket, socket.SHUT_RDWR)  # not TLS's own, which is another thread's

    def _done(self, client: _Client) -> None:
        with self._lock:
            self._clients.pop(client, None)
            self._threads -= 1
            client.socket.close()

    def _serve(self, client: _Client) -> None:
        protection = self.protection
        try:
            if protection.tls is not None:
                self._wrap(client, protection.tls).do_handshake()
            received = b""
            while not complete(received) and (more := client.socket.recv(MOST)):
                received += more
            if received:
                client.socket.sendall(self._answer(parse(received), protection))
        except (OSError, ValueError):
            pass  # it hung up, was hung up on, or speaks something else: no event of ours
        finally:
            self._done(client)

    def _wrap(self, client: _Client, tls: ssl.SSLContext) -> ssl.SSLSocket:
        with self._lock:  # or the socket might be hung up on while it is neither the one nor the other
            if client not in self._clients:
                raise ConnectionAbortedError
            client.socket = wrapped = tls.wrap_socket(client.socket, server_side=True, do_handshake_on_connect=False)
            return wrapped

    def _answer(self, request: Request | int, protection: Protection) -> bytes:
        more = protection.config.headers
        if isinstance(request, int):
            return answer(request, more=more)
        if protection.passwords.wanted and (
            request.user is None or not protection.passwords.right(request.user, request.password)
        ):
            return answer(401, more=more)
        head = request.method == "HEAD"
        if request.method not in ("GET", "HEAD"):
            return answer(405, more=more)
        if request.path == "/metrics":
            kind, body = self._render(request.accept)
            return answer(200, body, kind=kind, more=more, head=head)
        if request.path == "/":
            return answer(200, _PAGE, kind="text/html", more=more, head=head)
        return answer(404, more=more, head=head)
