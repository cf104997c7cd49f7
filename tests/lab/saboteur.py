"""Stands in for `skd-cluster` on the peer: lets every frame of a session pass, and does harm at the one it was told of.

/run/sabotage.json says {"at": kind of message, "how": …, "with": fields}; it is deleted when the harm is done:
    receive    the receiver is killed before the message gets to it, or before its answer gets out
    session    and sshd's process of this login with it
    hang       the message is not passed on, and nothing after it
    say        a message of this kind with other fields goes out instead of the answer
    refuse     a Refused goes out instead
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from skd_cluster.core.session import Decoder, Message, Refused, encode

PLAN = Path("/run/sabotage.json")


def main(program: str) -> int:
    if sys.argv[2:3] != ["receive"]:
        os.execv(program, [program, *sys.argv[2:]])
    with subprocess.Popen([program, *sys.argv[2:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as receiver:
        decoders = {0: Decoder(), receiver.stdout.fileno(): Decoder()}
        targets = {0: receiver.stdin.fileno(), receiver.stdout.fileno(): 1}
        while True:
            for source in select.select(list(targets), [], [])[0]:
                data = os.read(source, 1 << 16)
                if not data and source == 0:
                    receiver.stdin.close()
                    del targets[0]
                elif not data:
                    return receiver.wait()
                for message in decoders[source].feed(data):
                    for one in harmed(message, receiver):
                        write(targets[source], encode(one))


def harmed(message: Message, receiver: subprocess.Popen) -> Iterator[Message]:
    """Yield what is passed on instead of a message."""
    try:
        plan = json.loads(PLAN.read_text())
    except FileNotFoundError:
        plan = {}
    if plan.get("at") != kind_of(message):
        yield message
        return
    PLAN.rename(PLAN.with_suffix(".done"))
    match plan["how"]:
        case "receive" | "session" as how:
            receiver.kill()
            if how == "session":
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            while True:
                signal.pause()
        case "say":
            yield replace(message, **plan["with"])
        case "refuse":
            yield Refused(**plan["with"])


def kind_of(message: Message) -> str:
    """Return the kind; a Hello that goes out, which has a role, is an answer."""
    name = type(message).__name__
    return "Hello back" if name == "Hello" and message.role else name


def write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
