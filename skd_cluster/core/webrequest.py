"""What a client of the metrics asks, read from bytes, and answers as bytes. Pure; whatever comes in, nothing is raised."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST = 8192
"""Bytes of a request with all its headers. Prometheus needs some 300, a browser 2000."""

_END = b"\r\n\r\n"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. `user` and `password` are those of basic authentication, None when there are none."""

    method: str
    path: str
    accept: str = ""
    user: str | None = None
    password: bytes = field(default=b"", repr=False)


def complete(received: bytes) -> bool:
    """Whether nothing more need be read: the end of the headers is there, or there are too many."""
    return _END in received or len(received) > MOST


def parse(received: bytes) -> Request | int:
    """Return the request, or the status with which it is refused."""
    head, end, _ = received.partition(_END)
    if not end or len(head) > MOST:
        return 431 if len(received) > MOST else 400
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return 400
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return 400
        name = name.lower()
        headers[name] = f"{headers[name]},{value.strip()}" if name in headers else value.strip()
    user, password = _credentials(headers.get("authorization", ""))
    return Request(words[0], words[1].partition("?")[0], headers.get("accept", ""), user, password)


def _credentials(header: str) -> tuple[str | None, bytes]:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None, b""
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None, b""
    return (user.decode(errors="replace"), password) if colon else (None, b"")


def answer(
    status: int,
    body: bytes = b"",
    *,
    kind: str = "text/plain",
    more: Mapping[str, str] | None = None,
    head: bool = False,
) -> bytes:
    """Return an answer after which the connection ends; with `head` without its body."""
    body = body or f"{status} {_REASONS[status]}\n".encode()
    headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **(more or {})}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="skd-cluster"'
    if status == 405:
        headers["Allow"] = "GET, HEAD"
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if head else body)
