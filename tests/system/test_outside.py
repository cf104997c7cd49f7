"""Hooks and checks may do what the service may not: systemd runs them outside of its sandbox, on one booted node."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import version2
from tests.labkit import eventually
from tests.labkit.appliance import LB1, LB2, dependencies
from tests.labkit.booted import SERVICE, BootedLab, BootedNode

CONF = f"""\
$interface="eth0";
$local_ip="{LB1}";
$remote_ip="{LB2}";
$password="secret";
$cluster_id="1";
$cluster_ip="192.168.1.252";
$check_interval="0.5";
$hook_timeout="3";
"""
UP, DOWN, _ = version2.HOOKS
CHECK = f"{version2.HOME}/checks.d/anything"
ANYTHING = """\
#!/bin/sh
set -e
: > /usr/share/a-hook-was-here
: > /tmp/a-hook-was-here
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
chown nobody /tmp/a-hook-was-here
su nobody -s /bin/sh -c 'test "$(id -un)" = nobody'
mount -t tmpfs none /mnt
: > /mnt/seen
chmod u+s /tmp/a-hook-was-here
"""


@pytest.fixture(scope="module")
def machine(package: Path) -> Iterator[BootedNode]:
    with BootedLab(dependencies(package)) as lab:
        one = lab.node("lb1", LB1)
        one.install(package)
        one.write(version2.CONF, CONF, 0o600)
        yield one


@pytest.fixture
def node(machine: BootedNode) -> Iterator[BootedNode]:
    machine.run(f"systemctl stop {SERVICE}; systemctl reset-failed", check=False)
    machine.run(
        f"rm -f {version2.HOME}/checks.d/*; : > /var/log/hooks; journalctl --rotate -q; journalctl --vacuum-time=1s -q"
    )
    for hook in version2.HOOKS:
        machine.write(hook, "#!/bin/sh\nexit 0\n", 0o755)
    return machine


def master(node: BootedNode) -> None:
    node.run(f"systemctl start {SERVICE}")
    eventually(lambda: node.role() == "master", within=20, what="lb1 is master")


def said(node: BootedNode, event: str) -> str:
    return node.journal(f"SKD_EVENT={event}")


def test_a_hook_may_do_anything_and_the_service_may_not(node: BootedNode) -> None:
    node.write(UP, f'{ANYTHING}echo "$SKD_ROLE by $SKD_REASON, $# arguments: $*"\nexit 4\n', 0o755)
    master(node)
    eventually(lambda: said(node, "hook_failed"), what="the hook has ended")
    assert "hook failed with exit status 4" in said(node, "hook_failed"), said(node, "hook_output")
    assert "master by start, 2 arguments: eth0 192.168.1.252" in said(node, "hook_output")
    for place in ("/usr/share/a-hook-was-here", "/tmp/a-hook-was-here", "/mnt/seen"):
        assert node.path(place).exists()
    pid = node.unit()["MainPID"]
    for place in ("/usr/share/no", "/proc/sys/net/ipv4/ip_nonlocal_bind", "/root/no"):
        assert "ead-only" in node.run(f"nsenter -t {pid} -m sh -c 'echo 0 > {place}'", check=False).stderr, place
    assert "NoNewPrivs:\t1" in node.run(f"cat /proc/{pid}/status").stdout
    assert node.status()["elector"]["realtime"] is True


def test_a_check_may_too_and_fills_no_journal(node: BootedNode) -> None:
    node.write(CHECK, f"{ANYTHING}umount /mnt\necho run >> /var/log/hooks\n", 0o755)
    master(node)
    eventually(lambda: len(node.path("/var/log/hooks").read_text().split()) > 5, what="six runs")
    assert [one["healthy"] for one in node.status()["checks"]] == [True]
    assert "skudonet-ce-cluster-run" not in node.journal()
    node.write(CHECK, "#!/bin/sh\necho it is broken\nexit 1\n", 0o755)
    eventually(lambda: node.role() == "fault", what="a failing check is a fault")
    assert "it is broken" in said(node, "check_failed")


def test_a_hook_that_hangs_is_ended_with_all_it_started(node: BootedNode) -> None:
    node.write(UP, "#!/bin/sh\ntrap '' TERM\nsleep 4711 &\nwait; wait; sleep 4711\n", 0o755)
    master(node)
    eventually(lambda: "too long" in said(node, "hook_failed"), within=20, what="the hook took too long")
    eventually(lambda: "4711" not in node.run("ps -eo args").stdout, what="nothing of it is left")


def test_what_a_hook_leaves_in_the_background_goes_on(node: BootedNode) -> None:
    node.write(UP, "#!/bin/sh\nsleep 4712 &\nexit 0\n", 0o755)
    master(node)
    eventually(lambda: said(node, "hook_ended"), what="the hook has ended")
    node.run(f"systemctl restart {SERVICE}")
    assert "sleep 4712" in node.run("ps -eo args").stdout
    node.run("pkill -f 'sleep 4712'")


def test_a_hook_does_not_outlive_a_service_that_was_killed(node: BootedNode) -> None:
    node.write(UP, "#!/bin/sh\necho up >> /var/log/hooks\nexec sleep 4713\n", 0o755)
    master(node)
    eventually(lambda: "4713" in node.run("ps -eo args").stdout, what="the hook runs")
    first = node.run("pgrep -f 'sleep 4713'").stdout.split()
    node.write(UP, "#!/bin/sh\nexit 0\n", 0o755)
    node.run(["kill", "-KILL", node.unit()["MainPID"]])
    eventually(lambda: not node.run(f"ps -o pid= -p {first[0]}", check=False).stdout.strip(), what="it is gone")
    eventually(lambda: node.role() == "master", within=20, what="the service is back")


def test_the_down_hook_runs_while_the_machine_shuts_down(node: BootedNode) -> None:
    node.write(DOWN, "#!/bin/sh\nsleep 0.2\necho down >> /var/log/hooks\n", 0o755)
    master(node)
    before = time.monotonic()
    node.reboot()
    assert node.path("/var/log/hooks").read_text() == "down\n", node.journal("-b", "-1", "-u", SERVICE)
    assert time.monotonic() - before < 90


def test_without_the_bus_a_hook_runs_all_the_same(node: BootedNode) -> None:
    node.write(UP, "#!/bin/sh\nsystemctl is-active ssh.service && echo up by $SKD_ROLE\n", 0o755)
    node.run("mv /run/dbus/system_bus_socket /run/dbus/gone")
    try:
        master(node)
        eventually(lambda: said(node, "hook_ended"), what="the hook has ended")
        assert "up by master" in said(node, "hook_output")
    finally:
        node.run("mv /run/dbus/gone /run/dbus/system_bus_socket")
