"""Record the corpus anew from a real pair in a lab: root, from the repository's folder, `python tests/unit/fuzz/record.py`.

Packets are taken off the wire, channel messages and session frames between the programs, rtnetlink from the kernel, the
page from /run. Of each kind a few different ones are kept. Programs within the machines: this file with other arguments.
"""

import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.labkit import Node

HERE = Path(__file__).resolve()
CORPUS = HERE.with_name("corpus")
REPOSITORY = HERE.parents[3]
KEPT = 3


def proxy(real: str, file: str, arguments: list[str]) -> None:
    """Run a child of the supervisor with a channel of our own, and note what is said."""
    channel = arguments.index("--channel") + 1
    outer = socket.socket(fileno=int(arguments[channel]))
    inner, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    arguments[channel] = str(theirs.fileno())
    child = subprocess.Popen([real, *arguments], pass_fds=[theirs.fileno()])
    theirs.close()
    outer.setblocking(True)
    ways = {outer: inner, inner: outer}
    with Path(file).open("ab", buffering=0) as log:
        while True:
            for ready in select.select(list(ways), (), ())[0]:
                message = b""
                with suppress(ConnectionError):
                    message = ready.recv(1 << 20)
                if not message:
                    ways[ready].close()
                    sys.exit(child.wait())
                log.write(struct.pack("!I", len(message)) + message)
                with suppress(ConnectionError):
                    ways[ready].send(message)


def kernel(file: str) -> None:
    """Note what rtnetlink says: dumps, an error, and events of links and addresses."""
    listen, ask = (socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) for _ in range(2))
    listen.bind((0, 0x1 | 0x10 | 0x100))
    subprocess.run(
        "ip link add veth9 type veth peer name veth8; ip link set veth9 up; ip link set veth8 up;"
        "ip address add 192.0.2.9/24 dev veth9 label veth9:vip valid_lft 2 preferred_lft 2;"
        "ip address add 2001:db8::9/64 dev veth9 nodad; ip address del 2001:db8::9/64 dev veth9; ip link del veth9",
        shell=True,
        check=True,
    )
    listen.setblocking(False)
    heard = []
    while select.select([listen], (), (), 0.2)[0]:
        heard.append(listen.recv(1 << 16))
    requests = [
        struct.pack("=IHHIIBBHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0, 0),
        struct.pack("=IHHIIBBBBi", 24, 22, 0x301, 2, 0, 0, 0, 0, 0, 0),
        struct.pack("=IHHIIBBBBi", 24, 21, 0x5, 3, 0, 2, 32, 0, 0, 99),
    ]
    for request in requests:
        ask.send(request)
        while select.select([ask], (), (), 0.2)[0]:
            heard.append(ask.recv(1 << 16))
    Path(file).write_bytes(b"".join(struct.pack("!I", len(one)) + one for one in heard))


def framed(file: Path) -> Iterator[bytes]:
    data, at = file.read_bytes(), 0
    while at + 4 <= len(data):
        size = struct.unpack_from("!I", data, at)[0]
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def frames(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(data):
        size = 8 + sum(struct.unpack_from("!II", data, at))
        yield data[at : at + size]
        at += size


def keep(folder: str, named: Iterator[tuple[str, bytes]]) -> None:
    shutil.rmtree(CORPUS / folder, ignore_errors=True)
    (CORPUS / folder).mkdir(parents=True)
    kept: dict[str, list[bytes]] = {}
    for name, content in named:
        of_kind = kept.setdefault(name, [])
        if len(of_kind) < KEPT and content not in of_kind and len(content) < 1 << 14:
            of_kind.append(content)
            (CORPUS / folder / f"{name}-{len(of_kind)}.bin").write_bytes(content)


def keep_all(one: "Node", two: "Node", page: bytes) -> None:
    from skd_cluster.core import wire
    from tests.lab import attacker

    key = wire.derive_key(b"secret", 1)
    packets = [packet for node in (one, two) for _, packet in attacker.read(node.path("/var/log/wire"))]
    adverts = [(wire.decode(packet, 1, (key,)), packet) for packet in packets]
    keep("wire", ((f"{advert.role.name.lower()}-{advert.flags.value:02}", packet) for advert, packet in adverts))
    logs = [node.path(f"/var/log/{name}.said") for node in (one, two) for name in ("skd-elector", "skdinotify")]
    said = [message for log in logs if log.exists() for message in framed(log)]
    keep("messages", ((json.loads(message)["kind"], message) for message in said))
    session = b"".join(two.path(f"/var/log/session.{way}").read_bytes() for way in ("in", "out"))
    keep("session", ((json.loads(it[8 : 8 + int.from_bytes(it[:4])])["kind"], it) for it in frames(session)))
    heard = framed(one.path("/var/log/kernel"))
    keep("netlink", ((f"kind-{int.from_bytes(it[4:6], sys.byteorder)}", it) for it in heard))
    keep("lastword", iter([("page", page[:128])]))


def main() -> None:
    sys.path.insert(0, str(REPOSITORY))
    from tests.lab import attacker
    from tests.labkit import Lab, eventually
    from tests.labkit.machine import SYSTEM_PYTHON

    with Lab() as lab:
        one, two = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        for node in (one, two):
            node.make_tree(farms=3)
            node.write_config(floating="listed", advert_interval="0.1", detection="probing")
            for name in ("skd-elector", "skdinotify"):
                script = (
                    f'#!/bin/sh\nexec {SYSTEM_PYTHON} {HERE} proxy {node.product}/{name} /var/log/{name}.said "$@"\n'
                )
                node.write(f"/usr/local/children/{name}", script, 0o755)
            tee = f'tee -a /var/log/session.in | {node.product}/skd-cluster "$@" | tee -a /var/log/session.out'
            script = f'#!/bin/bash\nif [ "$1" = receive ]; then {tee}; else exec {node.product}/skd-cluster "$@"; fi\n'
            node.path("/usr/local/bin/skd-cluster").unlink()
            node.write("/usr/local/bin/skd-cluster", script, 0o755)
            node.popen([SYSTEM_PYTHON, "-I", "-S", attacker.__file__, "record", "/var/log/wire"])
        lab.trust()
        one.add_address()
        for node in (one, two):
            node.start_daemon(env={"SKD_CHILDREN_DIR": "/usr/local/children"})
        eventually(lambda: one.status()["replication"]["in_sync"], within=15, what="in sync")
        one.write("/usr/local/skudonet/config/new.cfg", "new\n")
        one.run(["rm", "/usr/local/skudonet/config/new.cfg"])
        eventually(lambda: one.status()["replication"]["in_sync"], within=15, what="in sync")
        one.run(["skd-cluster", "failover", "--force"])
        eventually(lambda: two.role() == "master", what="lb2 is master")
        two.run(["skd-cluster", "standby"])
        eventually(lambda: one.role() == "master", what="lb1 is master")
        two.run(["skd-cluster", "online"])
        page = one.path("/run/skd-cluster/elector.page").read_bytes()
        two.stop_daemon()
        one.stop_daemon()
        one.run([SYSTEM_PYTHON, str(HERE), "kernel", "/var/log/kernel"])

        keep_all(one, two, page)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["proxy", real, file, *arguments]:
            proxy(real, file, arguments)
        case ["kernel", file]:
            kernel(file)
        case _:
            os.umask(0o022)
            main()
