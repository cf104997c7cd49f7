"""The booted nodes themselves: what is said to have happened did, and nothing of them stays on the host."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labkit import CommandError, eventually
from tests.labkit.booted import REBOOT, BootedLab, BootedNode
from tests.labkit.machine import REPOSITORY
from tests.labkit.terminal import Terminal

FORBIDDEN_NUMBERS = (25, 16, 17)  # CAP_SYS_TIME, CAP_SYS_MODULE, CAP_SYS_RAWIO

KILLED = """
import sys
from tests.labkit.booted import BootedLab
with BootedLab() as lab:
    node = lab.node("lb1", "192.168.1.250")
    print(node.pid, lab._switch.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def node() -> Iterator[BootedNode]:
    with BootedLab() as lab:
        yield lab.node("lb1", "192.168.1.250")


def test_it_is_a_debian_that_systemd_started(node: BootedNode) -> None:
    assert node.run("systemctl is-system-running").stdout == "running\n"
    assert "bookworm" in node.run("cat /etc/os-release").stdout
    assert node.run("hostname").stdout == "lb1\n"
    assert node.run("ls /sys/class/net").stdout.split() == ["eth0", "lo"]


def test_a_reboot_keeps_the_disk_and_nothing_else(node: BootedNode) -> None:
    node.write("/etc/kept", "here\n")
    node.write("/run/lost", "here\n")
    node.run("ip address add 192.168.1.99/24 dev eth0")
    before = node.run("cat /proc/sys/kernel/random/boot_id").stdout
    node.reboot()
    assert node.path("/etc/kept").read_text() == "here\n"
    assert not node.path("/run/lost").exists()
    assert not node.holds("192.168.1.99")
    assert node.holds("192.168.1.250")
    assert node.run("cat /proc/sys/kernel/random/boot_id").stdout != before


def test_off_is_off(node: BootedNode) -> None:
    node.write("/etc/kept", "still\n")
    pid = node.pid
    node.kill_everything()
    assert not node.is_on
    eventually(lambda: not Path(f"/proc/{pid}").exists(), within=10, what="its first process is gone and waited for")
    assert node.path("/etc/kept").read_text() == "still\n", "a disk can be read from outside"
    node.boot()
    assert node.shutdown("poweroff") not in {REBOOT, 1}
    node.boot()
    assert "Reached target" in node.journal("--boot=-1"), "the journal is on the disk"


@pytest.mark.parametrize("who", ["self", "1"])
def test_nobody_in_it_may_set_the_clock_or_load_a_module(node: BootedNode, who: str) -> None:
    """Asked for, not tried: the clock is the host's."""
    status = node.run(f"cat /proc/{who}/status").stdout
    for kind in ("CapEff", "CapBnd", "CapPrm"):
        powers = int(status.partition(f"{kind}:")[2].split()[0], 16)
        assert powers, "some are needed"
        assert not [number for number in FORBIDDEN_NUMBERS if powers >> number & 1]


def test_a_full_disk_is_full_and_can_be_freed(node: BootedNode) -> None:
    node.fill_disk()
    with pytest.raises(CommandError, match="No space left"):
        node.run("echo one > /var/lib/more")
    node.free_disk()
    node.run("echo one > /var/lib/more")


def test_a_person_types(node: BootedNode) -> None:
    with Terminal(node) as terminal:
        terminal.expect("root@lb1:~# ")
        terminal.type("read -p 'name? ' name; echo hello $name")
        terminal.expect("name? ")
        terminal.type("anna")
        terminal.expect("hello anna\n")
        terminal.type("exit 7")
        assert terminal.wait() == 7


def test_nothing_stays_when_the_test_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), within=5, what="all of it is gone")
    mounts = Path("/proc/self/mountinfo").read_text()
    assert "/mnt/lb1" not in mounts
