"""What version 2 did to replicate, and no more: stands in for it on the master, with the system's Python alone.

predecessor.py FOLDER LOGIN:FOLDER     one rsync of all at the start, then one of all for each event

Only the top folder is watched, and neither renames nor attributes are. Nothing is gathered and nothing tried again.
"""

import ctypes
import os
import subprocess
import sys

IN_MODIFY, IN_CREATE, IN_DELETE = 0x2, 0x100, 0x200
HEAD = 16
LARGEST = HEAD + 256


def replicate(source: str, target: str) -> None:
    subprocess.run(
        ["rsync", "-auzv", "--delete", "--exclude", "if_eth0_conf", f"{source}/", f"{target}/"],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    source, target = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.inotify_init1(os.O_CLOEXEC)
    if libc.inotify_add_watch(queue, os.fsencode(source), IN_MODIFY | IN_CREATE | IN_DELETE) < 0:
        raise OSError(ctypes.get_errno(), source)
    replicate(source, target)
    while True:
        events = os.read(queue, LARGEST)
        while events:
            replicate(source, target)
            events = events[HEAD + int.from_bytes(events[12:HEAD], sys.byteorder) :]


if __name__ == "__main__":
    main()
