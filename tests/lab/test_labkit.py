"""The laboratory itself: what it says happened did happen, and nothing of it stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labkit import Client, CommandError, Lab, Machine, Node, Prober, eventually
from tests.labkit.client import longest_gap
from tests.labkit.machine import REPOSITORY

MS = 1_000_000

STAND_IN = """\
#!/usr/bin/python3
import os, signal, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("up, watchdog", os.environ["WATCHDOG_USEC"], flush=True)
say("READY=1\\nSTATUS=backup")
while True:
    say("WATCHDOG=1")
    time.sleep(0.02)
"""


def echoes_received(machine: Machine) -> int:
    lines = Path(f"/proc/{machine.pid}/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Icmp: "))
    return int(values[names.index("InEchos")])


def is_silent(probe: Prober) -> bool:
    return probe.gap_since(probe.mark() - 200 * MS).seconds > 0.1


class TestMachines:
    def test_each_has_its_own_name_processes_and_interfaces(self, lb1: Node, lb2: Node) -> None:
        assert lb1.run("hostname").stdout == "lb1\n"
        assert lb2.run("ls /sys/class/net").stdout.split() == ["eth0", "lo"]
        stranger = lb2.popen("exec -a stranger sleep 60")
        eventually(lambda: "stranger" in lb2.run("ps -eo args").stdout, what="seen at home")

        assert "stranger" not in lb1.run("ps -eo args").stdout
        assert stranger.pid in lb2.processes()
        assert stranger.pid not in lb1.processes()

    @pytest.mark.parametrize("folder", ["/etc", "/usr/local", "/var/log", "/root", "/run", "/var/run"])
    def test_files_are_private(self, lb1: Node, lb2: Node, folder: str) -> None:
        name = f"{folder}/labkit-{os.getpid()}"
        lb1.run(["touch", name])

        assert lb1.path(name).exists()
        assert not lb2.path(name).exists()
        assert not Path(name).exists()

    def test_a_command_that_fails_says_why(self, lb1: Node) -> None:
        with pytest.raises(CommandError, match=r"(?s)ended with 3.*out.*err"):
            lb1.run("echo out; echo err >&2; exit 3")
        assert lb1.run("exit 3", check=False).returncode == 3

    def test_a_command_that_hangs_is_ended(self, lb1: Node) -> None:
        with pytest.raises(CommandError, match="still running"):
            lb1.run("exec -a hanging sleep 60", timeout=0.1)
        eventually(lambda: not lb1.processes(), what="nothing is left of it")

    def test_root_logs_in_both_ways(self, lab: Lab, lb1: Node, lb2: Node) -> None:
        lab.trust()
        for here, there in ((lb1, lb2), (lb2, lb1)):
            seen = here.run(f"ssh -o BatchMode=yes root@{there.address} 'hostname; command -v skd-cluster'").stdout
            assert seen.split() == [there.name, "/usr/local/bin/skd-cluster"]
        lb2.stop_sshd()
        assert "refused" in lb1.run("ssh -o BatchMode=yes root@10.77.0.2 true", check=False).stderr

    def test_a_boot_forgets_memory_but_not_the_disk(self, lab: Lab, lb1: Node) -> None:
        lb1.add_address()
        lb1.run("touch /run/gone /var/lib/stays")
        runner = lb1.popen("sleep 60")

        lab.power_off(lb1)
        assert not runner.alive
        lab.power_on(lb1)
        assert not lb1.holds()
        assert lb1.holds(lb1.address)
        assert not lb1.path("/run/gone").exists()
        assert lb1.path("/var/lib/stays").exists()


class TestTheProduct:
    def test_tree_and_configuration_are_where_users_have_them(self, lb1: Node, lb2: Node) -> None:
        facts = lb1.make_tree(farms=3)
        config = lb1.write_config(exclude=None, advert_interval="0.1").read_text()

        assert facts.node == "lb1"
        assert lb1.run("cat /usr/local/skudonet/config/global.conf | wc -l").stdout.strip() != "0"
        assert "table_eth0" in lb1.path("/etc/iproute2/rt_tables").read_text()
        assert '$remote_ip="10.77.0.2";\n' in config
        assert '$advert_interval="0.1";\n' in config
        assert "exclude" not in config
        assert lb1.run("stat -c %a /usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf").stdout == "600\n"
        lb1.run("/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-start eth0 10.77.0.100")
        assert [call[1:] for call in lb1.hooks()] == [["start", "eth0", "10.77.0.100"]]
        assert not lb2.hooks()

    def test_the_daemon_is_started_heard_and_stopped(self, lb1: Node) -> None:
        lb1.path("/usr/local/bin/skd-elector").unlink()
        lb1.write("/usr/local/bin/skd-elector", STAND_IN, 0o755)

        daemon = lb1.start_daemon(["/usr/local/bin/skd-elector"], watchdog=3)
        assert lb1.notify is not None
        assert lb1.notify.last("STATUS") == "backup"
        assert "watchdog 3000000" in lb1.output()
        assert lb1.daemon_pids() == {"skd-elector": daemon.pid}
        lb1.write("/etc/skudonet-ce-cluster.status", "backup\n")
        assert lb1.role() == "backup"

        lb1.pause(daemon.pid)
        said = len(lb1.notified)
        lb1.run("true")
        assert len(lb1.notified) <= said + 1  # one may have been under way
        lb1.resume(daemon.pid)
        eventually(lambda: len(lb1.notified) > said + 1, what="it goes on")
        assert lb1.stop_daemon() == 7
        assert lb1.daemon_pids() == {}

    def test_a_daemon_killed_while_paused_is_dead(self, lb1: Node) -> None:
        daemon = lb1.start_daemon("exec sleep 60", wait=False)
        lb1.pause(daemon.pid)
        os.kill(daemon.pid, signal.SIGKILL)
        assert daemon.wait(2) == -signal.SIGKILL

    def test_a_daemon_that_gives_up_is_not_waited_for(self, lb1: Node) -> None:
        with pytest.raises(CommandError, match=r"(?s)ended with 78.*no such interface"):
            lb1.start_daemon("echo no such interface; exit 78")


class TestTrouble:
    def test_a_partition_drops_both_ways_and_heals(self, lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
        with Prober(lb1, lb2.address) as probe, client.probe(lb1.address) as one, client.probe(lb2.address) as other:
            probe.wait_answer()
            lab.partition(lb1, lb2)
            eventually(lambda: is_silent(probe), what="lb1 does not reach lb2")
            one.wait_answer()
            other.wait_answer()
            lab.heal()
            probe.wait_answer()

    def test_a_one_way_cut_drops_one_way(self, lab: Lab, lb1: Node, lb2: Node) -> None:
        with Prober(lb1, lb2.address) as probe:
            probe.wait_answer()
            lab.partition(lb2, lb1, one_way=True)
            eventually(lambda: is_silent(probe), what="no answer comes back")
            before = echoes_received(lb2)
            eventually(lambda: echoes_received(lb2) > before + 20, what="but requests arrive")

    def test_a_cut_cable_is_seen_as_lost_carrier(self, lab: Lab, lb1: Node) -> None:
        carrier = lb1.path("/sys/class/net/eth0/carrier")
        assert lb1.run(["cat", "/sys/class/net/eth0/carrier"]).stdout == "1\n"
        lab.cut(lb1)
        assert carrier.read_text() == "0\n"
        lab.mend(lb1)
        eventually(lambda: carrier.read_text() == "1\n", what="the carrier is back")

    def test_loss_loses_about_as_much_as_was_said(self, lab: Lab, lb1: Node, lb2: Node) -> None:
        with Prober(lb1, lb2.address) as probe:
            probe.wait_answer()
            lab.lose(30, (lb1, lb2))
            sent, answered = probe.sent, probe.answered
            eventually(lambda: probe.sent > sent + 400, what="400 probes")
            share = (probe.answered - answered) / (probe.sent - sent)
        assert 0.3 < share < 0.7  # 0.49 make it there and back; six standard deviations


class TestMeasuring:
    def test_a_hole_is_measured_as_long_as_it_was(self, lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
        lb1.add_address()
        with client.probe("10.77.0.100") as probe, lab.watch_holders() as watch:
            probe.wait_answer()
            assert watch.holders() == {"lb1"}
            mark, since = probe.mark(), watch.mark()
            lb1.remove_address()
            eventually(lambda: watch.vacant_seconds(since) > 0.2, what="200 ms without the address")
            # The client is to learn of the new place at once, as by an announcement.
            lb2.run("ip address add 10.77.0.100/24 dev eth0")
            client.run("ip neighbour flush dev eth0")
            probe.wait_answer()
            gap, stall, vacant = probe.gap_since(mark), probe.worst_stall(mark), watch.vacant_seconds(since)
            assert watch.holders() == {"lb2"}
            assert watch.overlap_seconds() == 0
            print(
                f"hole {vacant * 1000:.1f} ms, gap {gap}, at least {gap.sure * 1000:.1f} ms, stall {stall * 1000:.1f} ms"
            )

        flushed = 0.05  # until the client has forgotten where it was; a command's start
        assert 0.2 < vacant < gap.seconds + stall + 0.003
        assert gap.seconds < vacant + flushed + 2 * stall
        assert gap.lost >= 100

    def test_two_holders_are_an_overlap_of_exact_length(self, lab: Lab, lb1: Node, lb2: Node) -> None:
        with lab.watch_holders() as watch:
            assert watch.holders() == frozenset()
            lb1.add_address()
            lb2.add_address()
            eventually(lambda: watch.overlap_seconds() > 0.05, what="both hold it")
            lb2.remove_address()
            eventually(lambda: watch.holders() == {"lb1"}, what="one holds it")

            held = [span.holders for span in watch.spans()]
            assert held == [frozenset(), {"lb1"}, {"lb1", "lb2"}, {"lb1"}]
            both = watch.spans()[2]
            assert watch.overlap_seconds() == both.end - both.start

    def test_a_lease_that_runs_out_is_seen(self, lab: Lab, lb1: Node) -> None:
        with lab.watch_holders() as watch:
            lb1.run("ip address add 10.77.0.100/24 dev eth0 valid_lft 1 preferred_lft 1")
            eventually(lambda: watch.holders() == {"lb1"}, what="held")
            eventually(lambda: watch.holders() == frozenset(), what="run out")

            lease = next(span for span in watch.spans() if span.holders)
            assert lease.end - lease.start > 0.9

    def test_the_longest_gap_lies_between_two_answered_probes(self) -> None:
        probes = [(at * MS, 0 if 10 <= at < 15 else at * MS + 1) for at in range(1, 30)]
        gap = longest_gap(iter(probes))
        assert (gap.ms, gap.lost, gap.sure, gap.start) == (6, 5, 0.004, 0.009)

    def test_a_gap_that_goes_on_counts_up_to_the_newest_probe(self) -> None:
        probes = [(at * MS, at * MS + 1 if at < 10 else 0) for at in range(1, 30)]
        assert longest_gap(iter(probes)).ms == 20

    def test_an_answer_that_comes_too_late_is_none(self) -> None:
        probes = [(at * MS, at * MS + (200 * MS if at == 10 else 1)) for at in range(1, 30)]
        assert longest_gap(iter(probes)).ms == 2

    def test_what_ended_before_the_mark_does_not_count(self) -> None:
        probes = [(at * MS, 0 if 10 <= at < 15 else at * MS + 1) for at in range(1, 30)]
        assert longest_gap(iter(probes), since=16 * MS).ms == 1

    def test_waiting_tells_what_was_seen_last(self) -> None:
        with pytest.raises(AssertionError, match=r"not within 0.02 s: the moon; last seen: \[\]"):
            eventually(list, within=0.02, what="the moon")


class TestNothingStays:
    SCRIPT = """
import sys
from tests.labkit import Lab
with Lab() as lab:
    node = lab.node("lb1", "10.77.0.1")
    node.popen("sleep 60")
    {}
    print(node.pid, flush=True)
    sys.stdin.read()
"""

    def start(self, order: str = "pass") -> "tuple[subprocess.Popen[str], list[str]]":
        script = subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT.format(order)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert script.stdout is not None
        wanted = 2 if "keep" in order else 1
        return script, [script.stdout.readline().strip() for _ in range(wanted)]

    def test_after_an_error_in_the_block(self) -> None:
        links, mounts = Path("/proc/net/dev").read_text().split("\n"), Path("/proc/self/mountinfo").read_text()

        def build_and_break() -> None:
            with Lab() as lab:
                node = lab.node("lb1", "10.77.0.1")
                node.popen("sleep 60")
                pids.extend([node.pid, *eventually(node.processes)])
                raise ZeroDivisionError

        pids: list[int] = []
        with pytest.raises(ZeroDivisionError):
            build_and_break()
        assert len(pids) >= 2
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        assert [line.split(":")[0] for line in Path("/proc/net/dev").read_text().split("\n")] == [
            line.split(":")[0] for line in links
        ]
        assert Path("/proc/self/mountinfo").read_text() == mounts

    def test_after_the_lab_was_killed(self) -> None:
        script, (pid,) = self.start()
        script.kill()
        script.communicate()
        eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the machines went along")

    def test_what_is_kept_stays_until_its_command(self) -> None:
        script, (command, pid) = self.start("print(lab.keep())")
        try:
            script.communicate("", timeout=5)  # nothing of what is kept holds the script's output open
            entered = ["nsenter", "--target", pid, "--net", "ip", "-brief", "address", "show", "eth0"]
            assert "10.77.0.1/24" in subprocess.run(entered, capture_output=True, text=True, check=True).stdout
        finally:
            subprocess.run(command.split(), check=True)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), what="gone")

    def test_two_labs_do_not_meet(self, lb1: Node) -> None:
        lb1.run("touch /etc/mine")
        with Lab() as other:
            same = other.node("lb1", "10.77.0.1")
            assert not same.path("/etc/mine").exists()
        assert lb1.run("hostname").stdout == "lb1\n"
