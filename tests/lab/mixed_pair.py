"""Our node and one that runs what others have made: what both files that meet the standards' own programs need."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.fixtures.captures import frames
from tests.lab import forger112
from tests.labkit import CLUSTER_IP, Client, HolderWatch, Lab, Machine, Node, Prober, eventually
from tests.labkit.foreign import Keepalived, Ucarp

Foreign = Ucarp | Keepalived
_NUMBERS = count()


class Ear:
    """Writes down each frame of protocol 112 and each announcement that comes to a machine, or leaves it."""

    def __init__(self, machine: Machine) -> None:
        number = next(_NUMBERS)
        said = f"/var/log/ear{number}.out"
        self._file = machine.path(f"/var/log/ear{number}.pcap")
        words = ["tcpdump", "-Z", "root", "--immediate-mode", "-U", "-i", "eth0", "-w", f"/var/log/ear{number}.pcap"]
        machine.popen([*words, "ip proto 112 or ip6 proto 112 or arp"], output=said)
        eventually(lambda: "listening on" in machine.path(said).read_text(), what="tcpdump listens")

    def frames(self) -> list[bytes]:
        """Return the frames so far."""
        return [frame.data for frame in frames.read(self._file, growing=True)]

    def mark(self) -> int:
        """Return this instant, for `since`."""
        return len(self.frames())

    def heard(self, since: int = 0) -> list[dict[str, Any]]:
        """Return what was heard since then, as the fixtures' own reader has it, with the message as `body`."""
        return [{**frames.describe(one, b"secret", CLUSTER_IP), "body": message(one)} for one in self.frames()[since:]]

    def adverts(self, source: str, since: int = 0) -> list[dict[str, Any]]:
        """Return the advertisements of one node."""
        return [one for one in self.heard(since) if one["kind"] in {"carp", "vrrp"} and one["src"] == source]

    def wait_adverts(self, source: str, least: int, since: int = 0, within: float = 10) -> list[dict[str, Any]]:
        """Wait until a node has advertised so often."""
        what = f"{source} advertises {least} times"
        return eventually(lambda: (seen := self.adverts(source, since))[least - 1 :] and seen, within=within, what=what)


def message(frame: bytes) -> bytes:
    """Return the message in an IP packet without options."""
    return frame[34 : 14 + int.from_bytes(frame[16:18])] if frame[12:14] == b"\x08\x00" else frame[54:]


@dataclass
class Mixed:
    """`ours` runs skd-cluster, `theirs` what `other` is. A client asks the floating address each millisecond."""

    lab: Lab
    ours: Node
    theirs: Node
    client: Client
    other: Foreign
    config: dict[str, str]
    probe: Prober
    watch: HolderWatch
    ear: Ear = field(init=False)

    def __post_init__(self) -> None:
        self.ear = Ear(self.client)
        self.ours.write_config(**self.config)

    # ---- both nodes

    @property
    def ours_runs(self) -> bool:
        return bool(self.ours.daemon_pids(["skd-cluster"]))

    def masters(self) -> set[str]:
        """Who is master in its own words, and holds the address."""
        told = {self.ours.name} if self.ours_runs and self.ours.role() == "master" else set()
        told |= {self.theirs.name} if self.other.alive and self.other.state() == "MASTER" else set()
        return told if told == self.watch.holders() else set()

    def reach(self, master: Node, within: float = 10) -> None:
        eventually(lambda: self.masters() == {master.name}, within=within, what=f"{master.name} alone is master")

    def change(self, what: str, do: Callable[[], object], master: Node) -> str:
        """Do what makes this node master; print how long the client had to wait. Returns our reason, if it is ours."""
        mark = self.probe.mark()
        do()
        self.reach(master)
        self.probe.wait_answer()
        print(f"{what:<60} {master.name} master, client's longest gap {self.probe.gap_since(mark).ms:7.1f} ms")
        return self.reason() if master is self.ours else ""

    def stays_master(self, what: str) -> list[dict[str, Any]]:
        """Start ours, and the other one beside it, which is backup still five of our advertisements later; return these."""
        self.stop()
        assert self.change(what, self.ours.start_daemon, self.ours) == "start"
        mark = self.ear.mark()
        self.other.start()
        heard = self.ear.wait_adverts(self.ours.address, 5, mark)
        assert self.masters() == {self.ours.name}
        assert self.other.state() == "BACKUP"
        return heard

    def settle(self) -> None:
        """Let both run, one of them as master."""
        if not self.other.alive:
            self.other.start()
        if not self.ours_runs:
            self.ours.start_daemon()
        decided = lambda: self.ours.role() == "master" or self.reason() not in {"", "start"}  # noqa: E731
        eventually(lambda: len(self.masters()) == 1 and decided(), within=15, what="one master and one backup")

    def stop(self) -> None:
        """Let neither run."""
        if self.other.alive:
            self.other.stop()
        if self.ours_runs:
            self.ours.stop_daemon()

    def heard(self) -> None:
        """Wait until ours, a backup, has heard the master."""
        received = self.received()
        eventually(lambda: self.received() > received, within=5, what="ours hears the master")

    # ---- ours

    def reason(self) -> str:
        return str(self.ours.status()["reason"])

    def start_ours(self, **config: str) -> None:
        """Start it with these keys beside the usual ones."""
        self.ours.write_config(**{**self.config, **config})
        self.ours.start_daemon()

    def reload(self, **config: str) -> None:
        """Put these keys beside the usual ones in force."""
        before = self.ours.output().count("config_reloaded")
        self.ours.write_config(**{**self.config, **config})
        os.kill(self.ours.daemon_pids()["skd-cluster"], signal.SIGHUP)
        eventually(lambda: self.ours.output().count("config_reloaded") > before, within=5, what="it was reloaded")

    def failover(self) -> None:
        self.ours.run(["skd-cluster", "failover", "--force"])

    def kill_elector(self) -> None:
        """Kill the loop alone: the supervisor says its last word, and ends."""
        os.kill(self.ours.daemon_pids()["skd-elector"], signal.SIGKILL)
        eventually(lambda: not self.ours_runs, what="the supervisor ends as well")

    def lose_power(self) -> None:
        """End all of it without a word, and boot: nothing is started."""
        self.lab.power_off(self.ours)
        self.lab.power_on(self.ours)

    def received(self) -> int:
        """Return how many packets it has believed in this run."""
        return int(self.ours.status()["counters"]["received"])

    def dropped(self, reason: str) -> int:
        """Return how many packets it has dropped for this reason in this run."""
        return int(self.ours.status()["counters"].get(f"dropped.{reason}", 0))

    @contextmanager
    def nothing_but(self, reason: str, number: int) -> Iterator[None]:
        """What is done here is counted under this reason so often, and changes neither role."""
        before, since, masters = self.dropped(reason), self.ours.status()["since"], self.masters()
        yield
        eventually(lambda: self.dropped(reason) == before + number, within=5, what=f"{number} are counted as {reason}")
        assert abs(self.ours.status()["since"] - since) < 0.5  # computed anew for each answer
        assert self.masters() == masters

    # ---- theirs

    @contextmanager
    def beside(self, other: Foreign, **config: str) -> Iterator[None]:
        """Have this run instead of the usual one, and ours with these keys; afterwards neither node runs."""
        usual = self.other, self.config
        self.stop()
        self.other, self.config = other, {**self.config, **config}
        try:
            yield
        finally:
            self.stop()
            self.other, self.config = usual
            self.ours.write_config(**self.config)

    def forge(self, *messages: bytes, hops: int = 255, source: str = "") -> None:
        """Send these in the name of their node, which does not hear it."""
        self.lab.partition(self.client, self.theirs, one_way=True)
        words = [source or self.theirs.address, str(hops), *(one.hex() for one in messages)]
        self.client.run([sys.executable, forger112.__file__, *words])
        self.lab.heal()

    def mac(self, node: Node) -> str:
        return re.findall(r"link/ether (\S+)", node.run("ip link show dev eth0").stdout)[0]


@contextmanager
def mixed(
    make: Callable[[Node], Foreign],
    config: dict[str, str],
    addresses: tuple[str, str] = ("10.77.0.1", "10.77.0.2"),
    floating: str = CLUSTER_IP,
    prepare: Callable[[Node | Client], None] = lambda _: None,
) -> Iterator[Mixed]:
    """Two nodes and a client; `addresses` are ours and theirs. Nothing runs yet but the client's probe of `floating`."""
    with Lab() as lab:
        ours, theirs = lab.node("ours", addresses[0]), lab.node("theirs", addresses[1])
        client = lab.client()
        for machine in (ours, theirs, client):
            prepare(machine)
        with client.probe(floating) as probe, lab.watch_holders(floating) as watch:
            yield Mixed(lab, ours, theirs, client, make(theirs), config, probe, watch)
