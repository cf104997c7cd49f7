"""Processes that die, hang or are stopped: systemd starts the service again, and the journal says why in one line."""

import os
import re
import signal

import pytest

from tests.labkit import STATUS_FILE, eventually
from tests.labkit.appliance import CLUSTER, FLOATING, Appliances, floating_on
from tests.labkit.booted import SERVICE, BootedNode
from tests.labkit.node import HOOKS

# What an administrator finds with `journalctl -u skudonet-ce-cluster` after each death, in the service's words or systemd's.
WHY_KILLED = {
    "skd-cluster": r"Main process exited, code=killed, status=9/KILL",
    "skd-elector": r"elector (died|was killed|ended).*",
    "skdinotify": r"skdinotify (died|was killed|ended).*",
}


def restarts(node: BootedNode) -> int:
    return int(node.unit()["NRestarts"])


def runs_again(node: BootedNode, before: int) -> bool:
    return restarts(node) > before and node.unit()["ActiveState"] == "active" and node.role() == "backup"


class Since:
    """The journal of the service from now on."""

    def __init__(self, node: BootedNode) -> None:
        self._node = node
        self._cursor = node.run("journalctl -q -n 0 --show-cursor").stdout.split("cursor: ")[1].strip()

    def lines(self, pattern: str) -> list[str]:
        said = self._node.journal("-u", SERVICE, f"--after-cursor={self._cursor}")
        return [line for line in said.splitlines() if re.search(pattern, line)]


class TestKilled:
    @pytest.mark.parametrize("name", ["skd-cluster", "skd-elector"])
    def test_the_peer_takes_over_and_systemd_starts_it_again(self, pair: Appliances, name: str) -> None:
        before, journal = restarts(pair.lb1), Since(pair.lb1)
        with pair.lab.watch_holders(CLUSTER) as watch:
            mark = watch.mark()
            os.kill(pair.lb1.daemon_pids()[name], signal.SIGKILL)
            eventually(lambda: pair.lb2.role() == "master", within=5, what="lb2 takes over")
            eventually(lambda: runs_again(pair.lb1, before), within=10, what="lb1 is back as backup")
            overlap = watch.overlap_seconds(mark)
        print(f"kill -9 {name}: two holders for {overlap * 1000:.1f} ms")
        assert floating_on(pair.lb1) == []
        assert floating_on(pair.lb2) == list(FLOATING)
        assert len(journal.lines(WHY_KILLED[name])) == 1

    def test_the_replicator_changes_no_role(self, pair: Appliances) -> None:
        before, journal = restarts(pair.lb1), Since(pair.lb1)
        killed = pair.lb1.daemon_pids()["skdinotify"]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: pair.lb1.daemon_pids().get("skdinotify", killed) != killed, within=10, what="it runs again")
        assert pair.roles() == ("master", "backup")
        assert restarts(pair.lb1) == before
        assert len(journal.lines(WHY_KILLED["skdinotify"])) == 1

    def test_all_at_once(self, pair: Appliances) -> None:
        before, journal = restarts(pair.lb1), Since(pair.lb1)
        pair.lb1.run(["systemctl", "kill", "--signal=SIGKILL", SERVICE])
        eventually(lambda: pair.lb2.role() == "master", within=5, what="lb2 takes over")
        eventually(lambda: runs_again(pair.lb1, before), within=10, what="lb1 is back as backup")
        assert len(journal.lines(WHY_KILLED["skd-cluster"])) == 1


class TestHanging:
    @pytest.mark.parametrize("name", ["skd-cluster", "skd-elector"])
    def test_the_watchdog_ends_what_does_not_move(self, pair: Appliances, name: str) -> None:
        before, journal = restarts(pair.lb1), Since(pair.lb1)
        pair.lb1.pause(pair.lb1.daemon_pids()[name])
        eventually(lambda: runs_again(pair.lb1, before), within=30, what="systemd starts it again")
        eventually(lambda: pair.lb2.role() == "master", within=5, what="lb2 is master")
        assert floating_on(pair.lb1) == []
        assert journal.lines("Watchdog timeout|elector (died|was killed|ended)|stopped reporting")

    def test_a_stopped_journald_holds_nobody_up(self, pair: Appliances) -> None:
        journald = int(pair.lb1.unit("systemd-journald.service")["MainPID"])
        before = restarts(pair.lb1)
        pair.lb1.run(["kill", "-STOP", str(journald)])
        try:
            with pair.client.probe(CLUSTER) as probe:
                probe.wait_answer()
                mark = probe.mark()
                # Longer than the watchdog waits, with something to log all the time.
                pair.lb1.run("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do skd-cluster sync; sleep 0.5; done", check=False)
                assert probe.gap_since(mark).lost == 0
            assert pair.roles() == ("master", "backup")
            assert restarts(pair.lb1) == before
        finally:
            pair.lb1.run(["kill", "-CONT", str(journald)])


class TestHangingHook:
    def test_a_stop_waits_for_it_no_longer_than_it_may_take(self, pair: Appliances) -> None:
        hook, conf = (
            pair.lb1.path(HOOKS.format("stop")),
            pair.lb1.path("/usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf"),
        )
        kept, configured = hook.read_text(), conf.read_text()
        conf.write_text(configured + '$hook_timeout="3";\n')
        pair.lb1.run(f"systemctl reload {SERVICE}")
        hook.write_text("#!/bin/sh\ntrap '' TERM\nexec sleep 300\n")
        journal = Since(pair.lb1)
        try:
            stopping = pair.lb1.popen(["systemctl", "stop", SERVICE])
            eventually(lambda: pair.lb2.role() == "master", within=3, what="the address does not wait for the hook")
            assert floating_on(pair.lb1) == []
            assert stopping.wait(15) == 0
            assert not pair.lb1.path(STATUS_FILE).exists()
            assert "sleep 300" not in pair.lb1.run("ps -ef").stdout
            assert len(journal.lines("down hook ended after .* too long")) == 1
            assert pair.lb1.unit()["Result"] == "success"
        finally:
            hook.write_text(kept)
            conf.write_text(configured)
