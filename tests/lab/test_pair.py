"""`skd-cluster pair` between two nodes with real sshd: what it makes, what its key is good for, and the way back."""

import json
import os
import shlex
import subprocess

import pytest

from tests.labkit import CLUSTER_CONF, CONFIG_TREE, Lab, Node, eventually
from tests.labkit.node import HOST_KEY, ROOT_KEY
from tests.labkit.trees import differences

KEYS = "/root/.ssh/authorized_keys"
STATE = "/var/lib/skd-cluster/ssh"
KEY, PINS = f"{STATE}/id_ed25519", f"{STATE}/known_hosts"
SYNC_LOG = "/var/log/skdinotify.log"
OPTIONS = {"floating": "listed", "advert_interval": "0.1", "max_delete": "100"}


@pytest.fixture
def nodes(lab: Lab, lb1: Node, lb2: Node) -> tuple[Node, Node]:
    """Two nodes; root of lb1 can log in to lb2, not the other way round."""
    for node in (lb1, lb2):
        node.write_config(**OPTIONS)
        node.make_keys()
        node.start_sshd()
    lb2.write(KEYS, "# by hand, no newline at the end of the last line\n" + public(lb1).rstrip("\n"), 0o600)
    lb1.write("/root/.ssh/known_hosts", f"10.77.0.2 {lb2.path(HOST_KEY + '.pub').read_text()}")
    return lb1, lb2


def public(node: Node) -> str:
    return node.path(f"{ROOT_KEY}.pub").read_text()


def pair(node: Node, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return node.run(["skd-cluster", "pair", *words], check=check)


def made(node: Node) -> dict[str, str]:
    """Return all that a pairing could touch, file by file."""
    names = node.run("find /root/.ssh /var/lib/skd-cluster /etc/ssh -type f | sort", check=False).stdout.split()
    found = {name: node.path(name).read_text() for name in names}
    return {name: f"{node.path(name).stat().st_mode:o} {text}" for name, text in found.items()}


def with_key(node: Node, *more: str, login: str = "root@10.77.0.2") -> list[str]:
    """Return ssh with the pair's key alone, as a thief of it would call it."""
    pins = ["-o", f"UserKnownHostsFile={PINS}", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
    return ["ssh", "-F", "none", "-i", KEY, "-o", "IdentitiesOnly=yes", *pins, *more, login]


def start(lb1: Node, lb2: Node) -> None:
    lb1.add_address()
    lb1.start_daemon()
    lb2.start_daemon()
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=5, what="lb1 master, lb2 backup")


def in_sync(node: Node, within: float = 15) -> None:
    def synced() -> bool:
        replication = node.status()["replication"]
        assert replication["in_sync"], replication
        return True

    eventually(synced, within=within, what=f"{node.name} in sync")


def forget_root(*nodes: Node) -> None:
    """Take root's own keys out of authorized_keys, and what root knew of hosts."""
    for node in nodes:
        lines = node.path(KEYS).read_text().splitlines(keepends=True)
        node.write(KEYS, "".join(line for line in lines if "skd-cluster:" in line), 0o600)
        node.run("rm -f /root/.ssh/known_hosts")


def test_one_login_one_way_is_enough_for_replication_both_ways(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    facts = lb1.make_tree(farms=60)
    lb2.make_tree(farms=20, seed=2)
    report = json.loads(pair(lb1, "--json").stdout)

    assert report["ok"]
    assert {(step["node"], step["done"]) for step in report["steps"]} == {
        *((node, "made") for node in ("lb1", "lb2")),
        ("lb1 -> lb2", "works"),
        ("lb2 -> lb1", "works"),
    }
    for node, other in ((lb1, "lb2"), (lb2, "lb1")):
        (line,) = [one for one in node.path(KEYS).read_text().splitlines() if "skd-cluster:" in one]
        assert line.startswith('restrict,command="/usr/local/bin/skd-cluster receive --restricted",from="10.77.0.')
        assert line.endswith(f" skd-cluster:{other}")
        assert node.path(KEYS).stat().st_mode & 0o777 == 0o600
        assert node.path(KEY).stat().st_mode & 0o777 == 0o600
        assert node.path(STATE).stat().st_mode & 0o777 == 0o700
        assert "secret" not in node.run(f"cat {STATE}/* {KEYS}").stdout

    forget_root(lb1, lb2)
    lb2.write("/usr/local/bin/escaping-rsync", '#!/bin/sh\necho x > /root/escaped\nexec /usr/bin/rsync "$@"\n', 0o755)
    lb2.write_config(**OPTIONS, rsync="/usr/local/bin/escaping-rsync")
    start(lb1, lb2)
    in_sync(lb1)
    assert not lb2.path("/root/escaped").exists()
    assert differences(lb1.path(CONFIG_TREE), lb2.path(CONFIG_TREE), facts) == []
    log = lb2.path(SYNC_LOG).read_text()
    assert "refused" not in log

    lb1.path(f"{CONFIG_TREE}/zlb-start").write_text("a small batch\n")
    eventually(lambda: lb2.path(f"{CONFIG_TREE}/zlb-start").read_text() == "a small batch\n", what="small")
    lb1.path(f"{CONFIG_TREE}/big.bin").write_bytes(os.urandom(12 << 20))
    eventually(lambda: lb2.path(f"{CONFIG_TREE}/big.bin").stat().st_size == 12 << 20, within=10, what="large")
    in_sync(lb1)

    lb1.run(["skd-cluster", "failover"])
    eventually(lambda: (lb1.role(), lb2.role()) == ("backup", "master"), within=6, what="lb2 master")
    lb2.path(f"{CONFIG_TREE}/zlb-stop").write_text("and back\n")
    eventually(lambda: lb1.path(f"{CONFIG_TREE}/zlb-stop").read_text() == "and back\n", within=10, what="back")
    in_sync(lb2)


def test_over_ipv6(nodes: tuple[Node, Node]) -> None:
    facts = {}
    for node, ours, theirs in zip(nodes, (1, 2), (2, 1), strict=True):
        facts[node.name] = node.make_tree(farms=30, seed=ours)
        node.run(f"ip -6 addr add fd00:77::{ours}/64 dev eth0 nodad")
        ends = {"local_ip": f"fd00:77::{ours}", "remote_ip": f"fd00:77::{theirs}"}
        node.write_config(**OPTIONS, **ends, cluster_ip="fd00:77::100/64 10.77.0.100/24")
    lb1, lb2 = nodes
    lb1.write("/root/.ssh/known_hosts", f"fd00:77::2 {lb2.path(HOST_KEY + '.pub').read_text()}")
    assert json.loads(pair(lb1, "--json").stdout)["ok"]
    (line,) = [one for one in lb2.path(KEYS).read_text().splitlines() if "skd-cluster:" in one]
    assert 'from="fd00:77::1"' in line
    forget_root(lb1, lb2)
    assert "paired already" in pair(lb2, "--batch").stdout
    for node in nodes:
        node.start_daemon()
    eventually(lambda: {lb1.role(), lb2.role()} == {"master", "backup"}, within=8, what="one master")
    master, backup = (lb1, lb2) if lb1.role() == "master" else (lb2, lb1)
    with master.path(f"{CONFIG_TREE}/big.bin").open("wb") as file:
        file.write(os.urandom(12 << 20))  # by rsync
    eventually(lambda: backup.path(f"{CONFIG_TREE}/big.bin").stat().st_size == 12 << 20, within=20, what="by rsync")
    in_sync(master)
    assert differences(master.path(CONFIG_TREE), backup.path(CONFIG_TREE), facts[master.name]) == []
    assert "refused to fd00:77::" not in backup.path(SYNC_LOG).read_text()
    thief = with_key(lb1, "-b", "fd00:77::1", login="root@fd00:77::2")  # else it may come from the floating address
    assert "'id' is refused" in lb1.run([*thief, "id"], check=False).stderr
    assert "refused to fd00:77::1: this key" in lb2.path(SYNC_LOG).read_text()
    assert "both nodes are equal" in backup.run(["skd-cluster", "diff"]).stdout
    assert pair(lb2, "--remove", check=False).returncode == 1, "root of lb2 has no login any more"


def test_places_and_a_port_of_one_s_own(nodes: tuple[Node, Node]) -> None:
    """Blanks and quotes go through two shells, ssh's options, authorized_keys and rsync; the port through known_hosts."""
    conf, state, tree = "/etc/it's odd/pair.conf", "/var/lib/it's odd", "/usr/local/it's odd/config"
    facts = {}
    for node in nodes:
        facts[node.name] = node.make_tree(farms=30, seed=len(facts))
        node.run(["mkdir", "-p", os.path.dirname(conf), os.path.dirname(tree)])
        node.run(["mv", CONFIG_TREE, tree])
        node.write_config(**OPTIONS, ssh_port="2222", state_dir=state, configdir=tree)
        node.run(["mv", CLUSTER_CONF, conf])
        node.run("echo 'Port 2222' >> /etc/ssh/sshd_config; kill -HUP $(cat /run/sshd.pid)")
    lb1, lb2 = nodes
    lb1.write("/root/.ssh/known_hosts", f"[10.77.0.2]:2222 {lb2.path(HOST_KEY + '.pub').read_text()}")
    words = ["--config", conf]
    eventually(lambda: pair(lb1, *words).returncode == 0, within=10, what="paired, once sshd listens there")
    forget_root(lb1, lb2)
    assert "paired already" in pair(lb2, "--batch", *words).stdout
    lb1.add_address()
    for node in nodes:
        node.start_daemon(["/usr/local/bin/skd-cluster", "run", *words])
    eventually(lambda: lb1.role() == "master", within=5, what="lb1 master")
    with lb1.path(f"{tree}/big.bin").open("wb") as file:
        file.write(os.urandom(12 << 20))
    eventually(lambda: lb2.path(f"{tree}/big.bin").stat().st_size == 12 << 20, within=15, what="by rsync")
    eventually(lambda: differences(lb1.path(tree), lb2.path(tree), facts["lb1"]) == [], within=10, what="equal")
    assert "refused" not in lb2.path(SYNC_LOG).read_text()
    assert pair(lb1, "--remove", *words, check=False).returncode == 1, "root of lb1 has no login any more"
    assert not lb1.path(KEYS).exists()
    assert "skd-cluster:lb1" in lb2.path(KEYS).read_text()


def test_a_second_run_changes_nothing_and_needs_no_other_login(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    pair(lb1)
    forget_root(lb1, lb2)
    before = made(lb1), made(lb2)
    for node in (lb1, lb2):
        report = json.loads(pair(node, "--json", "--batch").stdout)

        assert report["text"] == "paired already: nothing was changed"
        assert {step["done"] for step in report["steps"]} == {"unchanged", "works"}
    assert (made(lb1), made(lb2)) == before


def test_a_run_after_something_went_missing_mends_that(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    pair(lb1)
    key = lb1.path(KEY).read_text()
    lb1.run(f"sed -i /skd-cluster:/d {KEYS}")
    lb2.path(PINS).unlink()
    report = json.loads(pair(lb1, "--json").stdout)

    assert report["ok"]
    assert sorted((step["node"], step["done"]) for step in report["steps"] if step["done"] == "made") == [
        ("lb1", "made"),
        ("lb2", "made"),
    ]
    assert lb1.path(KEY).read_text() == key
    assert json.loads(pair(lb2, "--json", "--batch").stdout)["text"] == "paired already: nothing was changed"


def test_a_dry_run_tells_and_changes_nothing(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    before = made(lb1), made(lb2)
    report = json.loads(pair(lb1, "--json", "--dry-run").stdout)

    assert report["ok"]
    assert {step["done"] for step in report["steps"]} == {"would"}
    assert len(report["steps"]) == 6
    assert (made(lb1), made(lb2)) == before


def test_remove_leaves_every_file_as_it_was(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    before = made(lb1), made(lb2)
    pair(lb1)
    pair(lb1, "--remove", "--dry-run")
    assert made(lb1) != before[0]
    report = json.loads(pair(lb1, "--remove", "--json").stdout)

    assert (made(lb1), made(lb2)) == before
    assert KEYS not in before[0], "lb1 had no such file, and has none again"
    assert [step["done"] for step in report["steps"]].count("removed") == 6
    again = json.loads(pair(lb1, "--remove", "--json").stdout)
    assert (again["text"], {step["done"] for step in again["steps"]}) == (
        "nothing was removed: nothing was there",
        {"absent"},
    )


def test_remove_without_the_peer_removes_this_half_and_says_what_is_left(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    before = made(lb1), made(lb2)
    pair(lb1)
    lb2.stop_sshd()
    done = pair(lb1, "--remove", "--json", check=False)
    report = json.loads(done.stdout)

    assert done.returncode == 1
    assert made(lb1) == before[0]
    assert report["steps"][-1]["done"] == "left"
    assert "skd-cluster:lb1" in report["steps"][-1]["what"]
    assert "run skd-cluster pair --remove on 10.77.0.2 too: no sshd answers" in report["text"]
    lb2.run("skd-cluster pair --remove", check=False)
    assert {name: made(lb2)[name] for name in before[1]} == before[1]


LOGGED = (
    ([], ["id"], "the command 'id' is refused"),
    ([], [], "opens no shell"),
    ([], ["skd-cluster receive; id"], "refused"),
    ([], ["skd-cluster receive --config /dev/null --restricted"], "refused"),
    ([], ["skd-cluster pair --accept"], "refused"),
    ([], ["rsync --server --sender -e.LsfxCIvu . /etc/shadow"], "--sender is refused"),
    ([], ["rsync --server -pIRe.LsfxCIvu --inplace . /root/"], "own staging folder"),
    ([], ["rsync --server -pIRe.LsfxCIvu --inplace . /usr/local/skudonet/.skd-staging/1/tree/config/"], "own staging"),
    ([], ["rsync --server --daemon ."], "refused"),
)
"""What the forced command refuses: it says so to whoever asked, and in the log of the node."""

REFUSED_BY_SSHD = (
    (["-tt"], [], "PTY allocation request failed"),
    (["-s"], ["sftp"], ""),  # sshd sends no errors of a subsystem
    (["-W", "127.0.0.1:22"], [], "administratively prohibited"),
    (["-N", "-o", "ExitOnForwardFailure=yes", "-R", "9999:127.0.0.1:22"], [], "remote port forwarding failed"),
)


@pytest.fixture
def paired(nodes: tuple[Node, Node]) -> tuple[Node, Node]:
    pair(nodes[0])
    forget_root(*nodes)
    return nodes


def test_the_key_alone_is_good_for_nothing_else(paired: tuple[Node, Node]) -> None:
    lb1, lb2 = paired
    for options, command, words in (*LOGGED, *REFUSED_BY_SSHD):
        lb2.write(SYNC_LOG, "")
        found = lb1.run([*with_key(lb1, *options), *command], check=False, input="id\n")

        assert found.returncode != 0
        assert words in found.stderr + found.stdout
        assert "uid=0" not in found.stdout
        if (options, command, words) in LOGGED:
            (line,) = lb2.path(SYNC_LOG).read_text().splitlines()
            assert "refused to 10.77.0.1: this key" in line
            assert words in line


def test_what_the_key_was_refused_is_known_to_the_service_and_nothing_waits_for_it(paired: tuple[Node, Node]) -> None:
    lb1, lb2 = paired
    start(lb1, lb2)
    for _ in range(8):
        assert "'id' is refused" in lb1.run([*with_key(lb1), "id"], check=False).stderr
    refusals = eventually(lambda: lb2.status()["refusals"], what="what lb2 knows")
    assert (refusals["count"], refusals["client"]) == (8, "10.77.0.1")
    assert "the command 'id' is refused" in refusals["text"]
    assert any("a login with the pair's key was refused 8 times" in one for one in lb2.status()["problems"])
    assert "gate_refusals_total 8.0" in lb2.run("curl -s http://10.77.0.2:9869/metrics").stdout
    eventually(lambda: "WARNING gate_refused refused to 10.77.0.1: this key" in lb2.output(), what="in the journal")
    assert lb2.output().count("WARNING gate_refused") <= 5
    assert lb1.status()["refusals"]["count"] == 0

    lb2.pause(lb2.daemon_pids()["skd-cluster"])  # it takes no word, and the gate does not wait for it
    try:
        assert "'id' is refused" in lb1.run([*with_key(lb1), "id"], check=False, timeout=5).stderr
    finally:
        lb2.resume(lb2.daemon_pids()["skd-cluster"])
    lb2.stop_daemon()
    assert "'id' is refused" in lb1.run([*with_key(lb1), "id"], check=False, timeout=5).stderr


def test_the_key_moves_no_file_by_rsync_or_scp(paired: tuple[Node, Node]) -> None:
    lb1, lb2 = paired
    shell = shlex.join(with_key(lb1, login="")[:-1])
    before = made(lb2)
    for command in (
        ["rsync", "-a", "-e", shell, "/etc/hostname", "root@10.77.0.2:/root/.ssh/authorized_keys"],
        ["rsync", "-a", "-s", "-e", shell, "/etc/hostname", "root@10.77.0.2:/root/stolen"],
        ["rsync", "-a", "-e", shell, "root@10.77.0.2:/etc/shadow", "/root/stolen"],
        ["rsync", "-a", "-e", shell, "--rsync-path=sh -c id; rsync", "root@10.77.0.2:/etc/shadow", "/root/stolen"],
        ["scp", *with_key(lb1, "-O", login="")[1:-1], "/etc/hostname", "root@10.77.0.2:/root/stolen"],
        ["scp", *with_key(lb1, login="")[1:-1], "root@10.77.0.2:/etc/shadow", "/root/stolen"],
    ):
        found = lb1.run(command, check=False)

        assert found.returncode != 0
    assert lb2.path(SYNC_LOG).read_text().count("refused to 10.77.0.1: this key") == 6
    assert made(lb2) == before
    assert not lb1.path("/root/stolen").exists()
    assert not lb2.path("/root/stolen").exists()


def test_the_key_is_good_from_its_own_node_only(paired: tuple[Node, Node]) -> None:
    lb1, _ = paired
    lb1.run("ip address add 10.77.0.77/24 dev eth0")
    ask = "skd-cluster receive --probe"
    assert lb1.run([*with_key(lb1, "-b", "10.77.0.1"), ask]).returncode == 0
    found = lb1.run([*with_key(lb1, "-b", "10.77.0.77"), ask], check=False)

    assert found.returncode == 255
    assert "Permission denied" in found.stderr


def test_rsync_is_walled_in_by_the_kernel(lb1: Node) -> None:
    """What an rsync could be made to do that the words of its command do not show."""
    lb1.run("mkdir -p /root/staging/tree && ln -s /root/.bashrc /root/staging/tree/link")
    script = (
        "import sys; from pathlib import Path; from skd_cluster.adapters.confine import write_only_into\n"
        "print(repr(write_only_into(Path('/root/staging/tree'))), flush=True)\n"
        "Path('/root/staging/tree/new').write_text('x')\n"
        "for place in ('/root/.bashrc', '/root/staging/other', '/etc/shadow', '/run/x', '/root/staging/tree/link'):\n"
        "    try: Path(place).write_text('x')\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    found = lb1.run([lb1.product / "python", "-c", script])

    assert found.stdout.splitlines() == ["''", *["Read-only file system"] * 5]
    assert lb1.path("/root/staging/tree/new").read_text() == "x"
    lb1.write("/root/staging/other", "the machine itself is as it was")


def test_another_host_key_of_the_peer_is_refused_and_named(paired: tuple[Node, Node]) -> None:
    lb1, lb2 = paired
    lb1.make_tree(farms=2)
    start(lb1, lb2)
    in_sync(lb1)
    lb2.stop_sshd()
    lb2.run("pkill -f 'skd-cluster receive'")
    lb2.run(f"rm {HOST_KEY} {HOST_KEY}.pub")
    lb2.start_sshd()
    words = "the ssh host key of the peer 10.77.0.2 is not the one that was pinned"
    eventually(lambda: words in lb1.status()["replication"]["last_error"], within=10, what="said in status")
    lb2.write(KEYS, lb2.path(KEYS).read_text() + public(lb1), 0o600)
    found = pair(lb1, "--batch", check=False)

    assert found.returncode == 1
    assert "is not the one known here: only if that node was installed anew" in found.stderr
    lb1.write("/root/.ssh/known_hosts", f"10.77.0.2 {lb2.path(HOST_KEY + '.pub').read_text()}")
    report = json.loads(pair(lb1, "--batch", "--json").stdout)
    assert [step["what"].split()[0] for step in report["steps"] if step["done"] == "replaced"] == ["host"]
    in_sync(lb1, within=40)


def test_a_password_typed_once_is_enough(lb1: Node, lb2: Node) -> None:
    for node in (lb1, lb2):
        node.write_config(floating="listed")
        node.start_sshd()
    lb2.run("echo 'root:once only' | chpasswd")
    lb2.run(
        "sed -i 's/^PermitRootLogin.*/PermitRootLogin yes/; s/^Pass.*/PasswordAuthentication yes/' /etc/ssh/sshd_config"
    )
    lb2.stop_sshd()
    lb2.run(["/usr/sbin/sshd", "-E", "/var/log/sshd.log"])
    eventually(lambda: lb2.run("ss -Hltn 'sport = :22'").stdout, what="sshd listens")
    terminal = lb1.popen(
        ["script", "-qec", "skd-cluster pair", "/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert terminal.stdin is not None
    assert terminal.stdout is not None
    said = ""
    for question, answer in (("continue connecting", "yes"), ("password:", "once only")):
        while question not in said:
            letter = terminal.stdout.read(1)
            assert letter, said
            said += letter
        terminal.stdin.write(answer + "\n")
        terminal.stdin.flush()
    rest = terminal.stdout.read()

    assert terminal.wait() == 0, said + rest
    assert "paired: lb1 and lb2 replicate with keys of their own" in rest
    assert "password:" not in rest
    assert "once only" not in said + rest


def refused(node: Node, *words: str) -> str:
    """Return why `pair` did not; nothing may be left of it on either node."""
    assert node.peer is not None
    before = made(node), made(node.peer)
    found = pair(node, "--batch", *words, check=False)
    assert found.returncode == 1
    assert (made(node), made(node.peer)) == before
    return found.stderr.strip()


def test_without_a_login_it_says_what_to_type(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    lb1.write("/root/.ssh/known_hosts", "")
    assert "log in once at a terminal and compare its fingerprint: ssh root@10.77.0.2 true" in refused(lb1)
    lb1.write("/root/.ssh/known_hosts", f"10.77.0.2 {lb2.path(HOST_KEY + '.pub').read_text()}")
    lb2.write(KEYS, "", 0o600)
    said = refused(lb1)
    assert "run skd-cluster pair at a terminal" in said
    assert "or ssh-copy-id root@10.77.0.2, then skd-cluster pair again" in said
    lb1.run(f"rm {ROOT_KEY} {ROOT_KEY}.pub")
    assert "ssh-keygen -t ed25519, then ssh-copy-id root@10.77.0.2" in refused(lb1)
    lb2.stop_sshd()
    assert "no sshd answers on the peer 10.77.0.2" in refused(lb1)


def test_what_it_cannot_do_it_refuses_with_a_reason(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    lb2.write_config(remote_ip="10.77.0.9", cluster_id="2")
    said = refused(lb1)
    assert f"lb2 has $remote_ip=10.77.0.9 in {CLUSTER_CONF}, expected 10.77.0.1, the local_ip of lb1" in said
    assert "lb2 has $cluster_id=2" in said
    lb2.write_config(cluster_id="300")
    assert "the configuration of the peer is refused" in refused(lb1)
    lb2.write_config()

    program = lb2.path("/usr/local/bin/skd-cluster")
    program.rename(program.with_name("away"))
    assert "the peer 10.77.0.2 has no command skd-cluster: install the package there" in refused(lb1)
    program.with_name("away").rename(program)

    lb2.path(KEYS).rename(lb2.path("/root/.ssh/elsewhere"))
    lb2.run(f"ln -s elsewhere {KEYS}")
    assert f"{KEYS} on lb2 is a link to elsewhere" in refused(lb1)
    lb2.path(KEYS).unlink()
    lb2.path("/root/.ssh/elsewhere").rename(lb2.path(KEYS))

    lb1.write_config(ssh_key="/root/.ssh/id_ed25519")
    assert "remove the line to have a key made" in refused(lb1)
    lb1.write_config()
    assert (
        "only root" in lb1.run(["setpriv", "--reuid=1000", "--clear-groups", "skd-cluster", "pair"], check=False).stderr
    )
    lb1.path(CLUSTER_CONF).unlink()
    assert pair(lb1, check=False).returncode == 78


def test_an_authorized_keys_that_cannot_be_written_is_named(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    lb2.run(f"mount --bind {KEYS} {KEYS} && mount -o remount,bind,ro {KEYS}")
    assert f"{KEYS} on lb2 cannot be changed: Read-only file system" in refused(lb1)


def test_an_sshd_that_forbids_root_is_named_and_old_logins_stay_in_use(nodes: tuple[Node, Node]) -> None:
    lb1, lb2 = nodes
    lb1.run("sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config")
    lb1.run("kill -HUP $(cat /run/sshd.pid)")
    found = pair(lb1, "--batch", check=False)

    assert found.returncode == 1
    assert "lb2 -> lb1  failed" in found.stdout
    assert "sshd of lb1 has PermitRootLogin no: expected prohibit-password or forced-commands-only" in found.stdout
    assert lb1.path(PINS).exists()
    assert not lb2.path(PINS).exists(), "what does not work is not used"
    lb1.run("sed -i 's/^PermitRootLogin.*/PermitRootLogin forced-commands-only/' /etc/ssh/sshd_config")
    lb1.run("kill -HUP $(cat /run/sshd.pid)")
    eventually(lambda: pair(lb1, "--batch").returncode == 0, what="mended")
    assert lb2.path(PINS).exists()
