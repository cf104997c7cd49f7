"""What goes wrong on a host: one clear line in the journal and in `status`, no traceback, and the safe thing done."""

from collections.abc import Iterator

import pytest

from tests.labkit import CLUSTER_CONF, Node, eventually

BIND = (
    "import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('10.77.0.1',10112)); time.sleep(99)"
)


@pytest.fixture
def node(lb1: Node, lb2: Node) -> Iterator[Node]:
    """A node with the manual's configuration, not started. Whatever happens to it, nobody sees a traceback."""
    lb1.write_config(floating="listed", advert_interval="0.1")
    yield lb1
    assert "Traceback" not in lb1.output()


def in_fault(node: Node, words: str) -> None:
    """Wait for `fault` with these words among the problems of `status`, and in one line of the log."""
    eventually(lambda: node.role() == "fault", within=5, what="fault")
    problems = node.status()["problems"]
    assert any(words in problem for problem in problems), problems
    lines = [line for line in node.output().splitlines() if words in line and "role_changed" in line]
    assert len(lines) == 1, node.output()
    assert not node.holds()


def test_bad_configuration_ends_the_service_with_every_problem(node: Node) -> None:
    node.write_config(cluster_id="300", local_ip="10.77.0.256", dead_ratio="three")
    daemon = node.start_daemon(wait=False)

    assert daemon.wait() == 78
    for key, line in (("cluster_id", "300"), ("local_ip", "10.77.0.256"), ("dead_ratio", "three")):
        assert [one for one in node.output().splitlines() if key in one and line in one and CLUSTER_CONF in one]


def test_switched_off_in_the_configuration_is_no_failure(node: Node) -> None:
    node.write_config(enable_cluster="false")
    daemon = node.start_daemon(wait=False)

    assert daemon.wait() == 0
    assert len([line for line in node.output().splitlines() if "enable_cluster" in line]) == 1


def test_missing_interface(node: Node) -> None:
    node.write_config(floating="listed", interface="eth9")
    node.start_daemon()

    in_fault(node, "eth9 does not exist")


def test_interface_that_comes_late(node: Node) -> None:
    """As at boot: the NIC appears after the service, and with another index when its driver is loaded again."""
    node.run("ip link add name spare0 type veth peer name spare1 && ip link set spare1 up")
    node.write_config(floating="listed", advert_interval="0.1", interface="nic9")
    node.start_daemon()
    in_fault(node, "nic9 does not exist")
    node.run("ip link set spare0 name nic9 && ip link set nic9 up && ip addr add 10.77.0.100/24 dev nic9")
    eventually(lambda: node.role() == "master", within=5, what="mended")


def test_local_address_not_on_this_host(node: Node) -> None:
    node.write_config(floating="listed", local_ip="10.77.0.9")
    node.start_daemon()

    in_fault(node, "10.77.0.9 is not on this host")
    node.run("ip addr add 10.77.0.9/24 dev eth0")
    eventually(lambda: node.role() == "master", within=5, what="mended")


def test_port_in_use(node: Node) -> None:
    other = node.popen(["/usr/bin/python3", "-c", BIND])
    eventually(lambda: node.run("ss -Huln 'sport = :10112'").stdout, what="the other program has the port")
    node.start_daemon()

    in_fault(node, "10112 of 10.77.0.1: is in use")
    other.send(9)
    eventually(lambda: node.role() == "master", within=5, what="the port is free again")


def test_no_permission_for_addresses(node: Node) -> None:
    node.start_daemon(["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "skd-cluster", "run"])

    in_fault(node, "Operation not permitted")


def test_no_permission_for_real_time_is_said_once_and_works(node: Node) -> None:
    drop = "-sys_nice,-ipc_lock"
    node.start_daemon(
        ["prlimit", "--rtprio=0", "--memlock=0", "setpriv", f"--bounding-set={drop}", "skd-cluster", "run"]
    )

    eventually(lambda: node.role() == "master", within=5, what="works all the same")
    assert node.output().count("realtime_refused") == 1
    assert node.status()["elector"]["realtime"] is False


def test_peer_unreachable_is_said_and_the_node_is_master(node: Node) -> None:
    node.start_daemon()

    eventually(lambda: node.role() == "master", within=5, what="alone, it is master")
    assert any("10.77.0.2" in problem for problem in node.status()["problems"])


@pytest.mark.parametrize(("sshd", "words"), [(False, "no sshd answers"), (True, "ssh root@10.77.0.2")])
def test_ssh_refused_is_said_with_what_to_try(node: Node, lb2: Node, *, sshd: bool, words: str) -> None:
    """Without an sshd there, and with one that does not know our key."""
    lb2.write_config(floating="listed", advert_interval="0.1")
    node.make_keys()
    if sshd:
        lb2.start_sshd()
        lb2.run("rm -f /root/.ssh/authorized_keys")
        node.run("ssh-keyscan -t ed25519 10.77.0.2 > /root/.ssh/known_hosts")
    node.make_tree(farms=2)
    node.start_daemon()
    lb2.start_daemon()

    eventually(lambda: words in node.status()["replication"]["last_error"], within=10, what="the error in status")
    assert node.status()["replication"]["in_sync"] is False
    assert (node.role(), lb2.role()) == ("master", "backup")
    assert len([line for line in node.output().splitlines() if words in line]) == 1


def test_status_without_a_service(node: Node) -> None:
    found = node.run(["skd-cluster", "status"], check=False)

    assert found.returncode == 3
    assert len((found.stdout + found.stderr).strip().splitlines()) == 1


def test_reload_of_a_bad_file_leaves_the_running_configuration_in_force(node: Node) -> None:
    daemon = node.start_daemon()
    eventually(lambda: node.role() == "master", within=5, what="master")
    node.write_config(cluster_id="300")
    daemon.send(1)

    eventually(lambda: "RELOADING=1" in node.notified, what="it reloads")
    eventually(lambda: "300" in node.output(), what="the problem is said")
    assert node.role() == "master"
    metrics = node.run(["curl", "-fsS", "http://10.77.0.1:9869/metrics"]).stdout
    assert "skd_cluster_config_last_reload_successful 0.0" in metrics
