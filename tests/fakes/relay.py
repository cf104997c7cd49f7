"""Stands in for skd-elector and skdinotify: a test says what they say, and hears what they are told.

It joins the channel it inherited to a socket of the test, message by message, and ends when either side does. The
newest report is repeated, as the elector's own is, until the test says `hush`.
"""

import json
import os
import select
import socket
import sys
import time
from pathlib import Path

REPEAT = 0.2


def main() -> int:
    name = Path(sys.argv[0]).name
    channel = socket.socket(fileno=int(sys.argv[sys.argv.index("--channel") + 1]))
    test = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    test.connect(os.environ["SKD_FAKE_SOCKET"])
    test.send(json.dumps({"name": name, "pid": os.getpid(), "argv": sys.argv[1:]}).encode())
    report = None
    while True:
        ready, _, _ = select.select((channel, test), (), (), REPEAT)
        if channel in ready:
            told = channel.recv(1 << 20)
            if not told:
                return 0
            test.send(told)
        if test in ready:
            said = test.recv(1 << 20)
            if not said:
                return 0
            if said == b"hush":
                report = None
            elif said.startswith(b"exit "):
                return int(said[5:])
            else:
                channel.send(said)
                found = json.loads(said)
                report = found if found["kind"] == "ElectorReport" else report
        if not ready and report is not None:
            channel.send(json.dumps({**report, "at": time.monotonic_ns()}).encode())


if __name__ == "__main__":
    raise SystemExit(main())
