"""Stands where the supervisor stands, on one node: `master` holds the replicator's channel, `peer` answers the receiver.

replication_driver.py master PROGRAM CONFIG     lines on stdin are sent, what comes is printed, a line a message
replication_driver.py peer RUN_DIR FACTS        answers each request with the JSON in the file FACTS, prints requests
"""

import json
import os
import select
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_LARGEST = 1 << 20


def master(program: str, config: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [program, "--channel", str(theirs.fileno()), "--config", config]
    with subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL) as child:
        theirs.close()
        while True:
            ready, _, _ = select.select([ours, sys.stdin], [], [])
            if sys.stdin in ready:
                line = os.read(sys.stdin.fileno(), _LARGEST)
                if not line:
                    break
                for one in line.splitlines():
                    ours.send(one)
            if ours in ready:
                message = ours.recv(_LARGEST)
                if not message:
                    break
                print(message.decode(), flush=True)
        ours.close()
        print(json.dumps({"kind": "ended", "code": child.wait()}), flush=True)


def peer(run_dir: str, facts: str) -> None:
    Path(run_dir).mkdir(parents=True, exist_ok=True)
    place = Path(run_dir) / "control.sock"
    place.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(place))
    server.listen(8)
    print("listening", flush=True)
    while True:
        client, _ = server.accept()
        with client, suppress(OSError):  # who asks may be killed before it has its answer
            print(client.makefile().readline().rstrip("\n"), flush=True)
            client.sendall(Path(facts).read_bytes() + b"\n")


if __name__ == "__main__":
    {"master": master, "peer": peer}[sys.argv[1]](*sys.argv[2:])
