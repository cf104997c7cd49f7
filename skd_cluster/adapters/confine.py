"""A wall around a program that is about to be run: whatever it does, the kernel lets it write into one folder only."""

import ctypes
import os
import struct
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MOUNT_SETATTR = 442
"""The same number on every architecture; glibc has a name for it only since 2.36. Linux 5.12."""

_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_RDONLY = 1
_ATTR = struct.Struct("=QQQQ")


def write_only_into(folder: Path) -> str:
    """Make all mounts of this process read-only, the folder aside; return "" or in words what the kernel refused.

    In a namespace of its own: nobody else sees it, and it goes with the process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    place = os.fsencode(folder)
    steps = (
        ("unshare", lambda: libc.unshare(_CLONE_NEWNS)),
        ("mount", lambda: libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)),
        ("bind", lambda: libc.mount(place, place, None, _MS_BIND, None)),
        ("read-only", lambda: _set(libc, b"/", _AT_RECURSIVE, _ATTR.pack(_RDONLY, 0, 0, 0))),
        ("writable", lambda: _set(libc, place, 0, _ATTR.pack(0, _RDONLY, 0, 0))),
    )
    for name, step in steps:
        if step() != 0:
            return f"{name}: {os.strerror(ctypes.get_errno())}"
    return ""


def _set(libc: ctypes.CDLL, place: bytes, flags: int, attributes: bytes) -> int:
    result: int = libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, place, flags, attributes, len(attributes))
    return result
