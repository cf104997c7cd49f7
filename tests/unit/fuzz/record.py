"""Record the corpus anew from a real pair in a lab: root, from the repository's folder, `python tests/unit/fuzz/record.py`.

Packets are taken off the wire, channel messages and session frames between the programs, what a pairing and its key say from
the logins, rtnetlink from the kernel, the page from /run. Of each kind a few different ones are kept. Programs within the
machines: this file with other arguments.
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
LOGINS = "/var/log/logins"

LOGIN = """\
#!/bin/bash
# What stands for skd-cluster in a login: notes what was asked for and what was said, both ways, a file each.
case "$1 $2" in
  receive*) kind=session ;;
  "pair --accept") kind=pair ;;
  *) exec PROGRAM "$@" ;;
esac
note=/var/log/logins/$kind.$$
[ -z "$SSH_ORIGINAL_COMMAND" ] || printf %s "$SSH_ORIGINAL_COMMAND" > $note.asked
case "$SSH_ORIGINAL_COMMAND" in rsync*) exec PROGRAM "$@" ;; esac # it ends before its input does
tee $note.in | PROGRAM "$@" | tee $note.out
"""
"""Around the real program, PROGRAM."""


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


def kind_of(frame: bytes) -> str:
    """Name a frame by its kind; one that tells of a conflict is a kind of its own."""
    header = json.loads(frame[8 : 8 + int.from_bytes(frame[:4])])
    found = header.get("conflicts") or header.get("facts", {}).get("conflict")
    return f"{header['kind']}{'-conflict' if found else ''}"


def logins(nodes: tuple["Node", "Node"], kind: str, way: str) -> Iterator[bytes]:
    """Yield what was said in the logins of both nodes, the oldest first."""
    files = [file for node in nodes for file in node.path(LOGINS).glob(f"{kind}.*.{way}")]
    for file in sorted(files, key=lambda one: one.stat().st_mtime_ns):
        yield file.read_bytes()


def keep_logins(nodes: tuple["Node", "Node"]) -> None:
    from skd_cluster.core import gate, pairing

    said = [data for way in ("in", "out") for data in logins(nodes, "session", way)]
    echoes = [data for data in said if pairing.decode_echo(data)]
    keep("session", ((kind_of(it), it) for data in said if data not in echoes for it in frames(data)))
    keep("asked", ((type(gate.judge(it.decode())).__name__, it) for it in logins(nodes, "*", "asked")))
    paired = [("request", it) for it in logins(nodes, "pair", "in")]
    paired += [("answer", it) for it in logins(nodes, "pair", "out")]
    paired += [("echo", it) for it in echoes]
    keep("pairing", ((name, it.replace(bytes(nodes[0].product), b"/usr/bin")) for name, it in paired))


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
    keep_logins((one, two))
    heard = framed(one.path("/var/log/kernel"))
    keep("netlink", ((f"kind-{int.from_bytes(it[4:6], sys.byteorder)}", it) for it in heard))
    keep("lastword", iter([("page", page[:128])]))


def prepare(node: "Node") -> None:
    """Put our programs in the places of the real ones; the record of the wire begins."""
    from tests.lab import attacker
    from tests.labkit.machine import SYSTEM_PYTHON

    node.make_tree(farms=3)
    node.write_config(floating="listed", advert_interval="0.1", detection="probing", max_delete="100")
    for name in ("skd-elector", "skdinotify"):
        words = f"{SYSTEM_PYTHON} {HERE} proxy {node.product}/{name} /var/log/{name}.said"
        node.write(f"/usr/local/children/{name}", f'#!/bin/sh\nexec {words} "$@"\n', 0o755)
    node.path("/usr/local/bin/skd-cluster").unlink()
    node.write("/usr/local/bin/skd-cluster", LOGIN.replace("PROGRAM", f"{node.product}/skd-cluster"), 0o755)
    node.run(["mkdir", LOGINS])
    node.popen([SYSTEM_PYTHON, "-I", "-S", attacker.__file__, "record", "/var/log/wire"])


def pair(one: "Node", two: "Node") -> None:
    """Pair them, and let the keys run what notes what they are asked for."""
    one.run(["skd-cluster", "pair"])
    for node in (one, two):
        node.run(f"sed -i 's,{node.product}/skd-cluster,/usr/local/bin/skd-cluster,' /root/.ssh/authorized_keys")
    one.run(["skd-cluster", "pair"])


def settled(node: "Node") -> None:
    from tests.labkit import eventually

    eventually(lambda: node.status()["replication"]["in_sync"], within=30, what="in sync")


def replicate(one: "Node", two: "Node") -> None:
    """Have it change and delete files, small and large, and have one node's own change give way to the other's."""
    from tests.labkit import CONFIG_TREE, eventually

    one.write(f"{CONFIG_TREE}/new.cfg", "new\n")
    eventually(lambda: two.path(f"{CONFIG_TREE}/new.cfg").exists(), within=30, what="the new file arrived")
    with one.path(f"{CONFIG_TREE}/large").open("wb") as file:
        file.truncate(32 << 20)  # by rsync
    eventually(lambda: two.path(f"{CONFIG_TREE}/large").exists(), within=30, what="the large file arrived")
    one.run(["rm", f"{CONFIG_TREE}/new.cfg"])
    settled(one)
    two.write(f"{CONFIG_TREE}/zlb-stop", "by hand on the backup\n")
    one.run(["skd-cluster", "sync"])
    eventually(lambda: one.status()["conflicts"] and two.status()["conflicts"], within=30, what="a conflict")


def look(one: "Node", two: "Node") -> None:
    """Ask both ways for what differs and what was, and restore some of it."""
    (name,) = [conflict["name"] for conflict in two.status()["conflicts"]]
    numbers = [
        str(found["generation"])
        for found in json.loads(one.run("skd-cluster history list --json").stdout)["generations"]
    ]
    two.write("/usr/local/skudonet/config/farmguardian.conf", "differs\n")
    for node in (one, two):
        for words in ("why", "diff", "history", f"history diff {numbers[0]}", f"history show {name} zlb-stop --raw"):
            node.run(f"skd-cluster {words}", check=False)
    two.run(["skd-cluster", "doctor"], check=False)  # it finds what a lab is not
    two.run(["skd-cluster", "history", "restore", name])
    settled(one)
    two.run(["skd-cluster", "history", "resolve", name], check=False)
    one.run(["skd-cluster", "history", "resolve", name])


def roles(one: "Node", two: "Node") -> None:
    """Have the roles change, a check fail, and the addresses change."""
    from tests.labkit import eventually

    one.run(["skd-cluster", "failover", "--force"])
    eventually(lambda: two.role() == "master", what="lb2 is master")
    two.run(["skd-cluster", "standby"])
    eventually(lambda: one.role() == "master", what="lb1 is master")
    two.run(["skd-cluster", "online"])
    two.write("/usr/local/skudonet/app/ucarp/checks.d/farm", "#!/bin/sh\necho the farm is down\nexit 1\n", 0o755)
    one.write_config(floating="tree", advert_interval="0.1", detection="probing", max_delete="100")
    one.run(["sh", "-c", "kill -HUP $(pgrep -o -f 'skd-cluster run')"])
    eventually(lambda: two.role() == "fault", within=30, what="lb2 has a fault")


def main() -> None:
    sys.path.insert(0, str(REPOSITORY))
    from tests.labkit import Lab, eventually
    from tests.labkit.machine import SYSTEM_PYTHON

    with Lab() as lab:
        one, two = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
        for node in (one, two):
            prepare(node)
        lab.trust()
        pair(one, two)
        one.add_address()
        for node in (one, two):
            node.start_daemon(env={"SKD_CHILDREN_DIR": "/usr/local/children"})
        eventually(lambda: (one.role(), two.role()) == ("master", "backup"), within=15, what="lb1 master, lb2 backup")
        settled(one)
        replicate(one, two)
        look(one, two)
        roles(one, two)
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
