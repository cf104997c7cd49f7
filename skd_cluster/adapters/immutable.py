"""Which of the kernel's attributes keeps even root from changing a path: `chattr +i` and `chattr +a`."""

import array
import fcntl
import os
from contextlib import suppress
from pathlib import Path

_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of linux/fs.h, of a 64-bit machine."""

_FLAGS = {0x10: "i", 0x20: "a"}
"""FS_IMMUTABLE_FL and FS_APPEND_FL by the letters of chattr."""


def why_not(path: str) -> str:
    """Return what to do about a path that may not be changed, "" if neither it nor its folder has such an attribute."""
    for place in (path, str(Path(path).parent)):
        letter = _letter(place)
        if letter:
            words = "immutable" if letter == "i" else "append-only"
            return f"{place} is {words}, allow with chattr -{letter} {place}"
    return ""


def _letter(path: str) -> str:
    with suppress(OSError):
        # Not a device or a pipe: O_NONBLOCK waits for none, and a link is not followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = array.array("l", [0])
            fcntl.ioctl(descriptor, _GET_FLAGS, found)
            return next((letter for flag, letter in _FLAGS.items() if found[0] & flag), "")
        finally:
            os.close(descriptor)
    return ""
