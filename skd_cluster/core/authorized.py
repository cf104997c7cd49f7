"""Public keys, and the lines of authorized_keys and known_hosts that are ours. All other lines stay byte by byte."""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

OWN_KIND = "ssh-ed25519"
"""The only kind of key a pairing makes and accepts for logging in."""

MARK = "skd-cluster:"
"""How the last word of our line in authorized_keys begins; the peer's name follows."""

_ED25519_SIZE = 51
_HOST_KINDS = re.compile(r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")
_LINE_BREAKER = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that was looked at: its text holds nothing else, whoever sent it."""

    kind: str
    blob: str

    def __str__(self) -> str:
        """Return it as in a .pub file, without a comment."""
        return f"{self.kind} {self.blob}"

    @property
    def fingerprint(self) -> str:
        """The short form that ssh shows to people."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def public_key(text: str, *, login: bool = False) -> PublicKey:
    """Read a line of a .pub file; its comment is dropped. With `login` only what a pairing makes. Raises ValueError."""
    words = text.split(None, 2)
    if len(words) < 2:
        raise ValueError(f"not a public key: {text[:60]!r}")
    kind, blob = words[:2]
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not a public key: {text[:60]!r}") from error
    # The kind is in the blob once more: with its length before it.
    if not _HOST_KINDS.fullmatch(kind) or not raw.startswith(struct.pack("!I", len(kind)) + kind.encode()):
        raise ValueError(f"not a kind of key that is known: {kind[:60]!r}")
    if login and (kind != OWN_KIND or len(raw) != _ED25519_SIZE):
        raise ValueError(f"found a key of the kind {kind}, expected {OWN_KIND}")
    return PublicKey(kind, blob)


def plain_name(host: str) -> str:
    """Return a host's name without anything that could end a word or a line."""
    return _NOT_IN_A_NAME.sub("_", host)[:64] or "peer"


def permission(key: PublicKey, host: str, command: str, source: str) -> str:
    """Return our line: this key, from this address only, may run this command only. Raises ValueError."""
    if _LINE_BREAKER.search(command):
        raise ValueError(f"a path in {command!r} cannot be written into authorized_keys")
    quoted = command.replace('"', '\\"')
    return f'restrict,command="{quoted}",from="{source}" {key} {MARK}{plain_name(host)}'


def is_ours(line: bytes) -> bool:
    """Tell whether a pairing made this line of authorized_keys."""
    words = line.split()
    return (
        len(words) > 2
        and not line.lstrip().startswith(b"#")
        and words[-1].startswith(MARK.encode())
        and OWN_KIND.encode() in words
    )


def admit(content: bytes, line: str) -> bytes:
    """Return authorized_keys with our line, in the place of the one that was there before, and of that one only."""
    new, placed = [], False
    for old in content.split(b"\n"):
        if not is_ours(old):
            new.append(old)
        elif not placed:
            new.append(line.encode())
            placed = True
    if placed:
        return b"\n".join(new)
    ours = line.encode() + b"\n"
    # In front of a last line without an end, so that taking ours away gives back what was there.
    return content + ours if content.endswith(b"\n") or not content else ours + content


def expel(content: bytes) -> bytes:
    """Return authorized_keys without our line."""
    return b"\n".join(line for line in content.split(b"\n") if not is_ours(line))


def known_hosts(address: str, port: int, keys: Iterable[PublicKey]) -> bytes:
    """Return the file that pins a node's host keys, under every name ssh may look it up by."""
    names = address if port == 22 else f"{address},[{address}]:{port}"
    lines = [f"{names} {key}\n" for key in sorted(keys, key=str)]
    return "".join(["# made by skd-cluster pair\n", *lines]).encode()
