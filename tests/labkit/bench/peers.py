"""The services that are measured, behind one face."""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Protocol, TypeAlias

from tests.labkit import CLUSTER_IP, Lab, Node, Process

UNPRIVILEGED: Final = (
    *("prlimit", "--rtprio=0", "--memlock=0"),
    *("setpriv", "--bounding-set=-sys_nice,-ipc_lock"),
)
"""Before a command: neither real-time scheduling nor locked memory for it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for all peers in one measurement. `detection` and `replicate` are ours alone."""

    interval: float = 0.1
    dead_ratio: int = 3
    realtime: bool = True
    detection: str = "patient"
    replicate: bool = True

    @property
    def text(self) -> str:
        """The interval as people say it."""
        return f"{self.interval * 1000:g} ms" if self.interval < 1 else f"{self.interval:g} s"


class Peer(Protocol):
    """A service on two nodes. Its first node is the one that stays when two masters meet."""

    name: ClassVar[str]

    def start(self, node: Node) -> None:
        """Start it on a node."""

    def settled(self, master: Node, backup: Node) -> bool:
        """Whether the two know each other in these roles."""

    def planned(self, master: Node) -> None:
        """Have the master hand over, by the gentlest means there is."""

    def terminate(self, node: Node) -> None:
        """SIGTERM."""

    def parts(self, node: Node) -> dict[str, int]:
        """Return its processes that run, by what they are: `worker`, the one that advertises, first; then `parent`."""


PeerType: TypeAlias = Callable[[Lab, tuple[Node, Node], Setup], Peer]


class Ours:
    """A pair of skd-cluster."""

    name: ClassVar[str] = "skd-cluster"
    _PARTS: Final = {"worker": "skd-elector", "parent": "skd-cluster", "replicator": "skdinotify"}

    def __init__(self, lab: Lab, nodes: tuple[Node, Node], setup: Setup) -> None:
        self._setup = setup
        for node in nodes:
            node.write_config(
                floating="listed",
                advert_interval=str(setup.interval),
                dead_ratio=str(setup.dead_ratio),
                detection=setup.detection,
            )
            if setup.replicate:
                node.make_tree()
        if setup.replicate:
            lab.trust()

    def start(self, node: Node) -> None:
        """As systemd would."""
        before = () if self._setup.realtime else UNPRIVILEGED
        node.start_daemon([*before, "/usr/local/bin/skd-cluster", "run"])

    def settled(self, master: Node, backup: Node) -> bool:
        """By the roles they name, once both are heard, and in sync where they can be."""
        if (master.role(), backup.role()) != ("master", "backup"):
            return False
        status = master.status()
        in_sync = status["replication"]["in_sync"] or not self._setup.replicate
        return bool(status["peer"]["heard"] and in_sync and backup.status()["peer"]["heard"])

    def planned(self, master: Node) -> None:
        """By command."""
        master.run(["skd-cluster", "failover"])

    def terminate(self, node: Node) -> None:
        """As systemd would, without waiting for the end."""
        _signal(node.daemon_pids()["skd-cluster"], signal.SIGTERM)

    def parts(self, node: Node) -> dict[str, int]:
        """By the names ps shows."""
        pids = node.daemon_pids()
        return {part: pids[name] for part, name in self._PARTS.items() if name in pids}


KEEPALIVED_CONF: Final = "/etc/keepalived/keepalived.conf"
LEAVE: Final = "/run/leave"
KEEPALIVED_REALTIME: Final = "vrrp_rt_priority 50\n  vrrp_no_swap"
KEEPALIVED: Final = """\
global_defs {{
  vrrp_version 3
  {realtime}
}}
track_file leave {{
  file "{leave}"
  init_file 0
}}
vrrp_instance pair {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int {interval}
  down_timer_adverts {dead_ratio}
  unicast_src_ip {local}
  unicast_peer {{
    {remote}
  }}
  track_file {{
    leave weight -100
  }}
  virtual_ipaddress {{
    {address}/24 dev eth0
  }}
}}
"""


@dataclass
class Keepalived:
    """A pair of Debian's keepalived: VRRPv3 over unicast, as its manual advises for short intervals.

    The priorities, 150 and 120, are those of its own examples. A backup of priority 120 waits 3.53 intervals.
    """

    lab: Lab
    nodes: tuple[Node, Node]
    setup: Setup
    name: ClassVar[str] = "keepalived"

    def __post_init__(self) -> None:
        """Write the configuration of both."""
        for node, other, priority in zip(self.nodes, reversed(self.nodes), (150, 120), strict=True):
            text = KEEPALIVED.format(
                realtime=KEEPALIVED_REALTIME if self.setup.realtime else "",
                leave=LEAVE,
                priority=priority,
                interval=self.setup.interval,
                dead_ratio=self.setup.dead_ratio,
                local=node.address,
                remote=other.address,
                address=CLUSTER_IP,
            )
            node.write(KEEPALIVED_CONF, text)

    def start(self, node: Node) -> None:
        """In the foreground, the VRRP part alone."""
        before = () if self.setup.realtime else UNPRIVILEGED
        command = ["keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", KEEPALIVED_CONF]
        node.popen([*before, *command], output="/var/log/keepalived.out")

    def settled(self, master: Node, backup: Node) -> bool:
        """By who holds the address."""
        return master.holds() and not backup.holds() and len(self.parts(backup)) == 2

    def planned(self, master: Node) -> None:
        """Lower the priority of the master, or raise it again on the one that is preferred, through the tracked file."""
        preferred = self.nodes[0]
        preferred.path(LEAVE).write_text("1\n" if master is preferred else "0\n")

    def terminate(self, node: Node) -> None:
        """The parent tells its child."""
        _signal(self.parts(node)["parent"], signal.SIGTERM)

    def parts(self, node: Node) -> dict[str, int]:
        """The child that speaks VRRP, and its parent."""
        found = {pid: parent_of(pid) for pid, name in node.processes().items() if name.startswith("keepalived")}
        parts = {"worker" if parent in found else "parent": pid for pid, parent in found.items()}
        return {part: parts[part] for part in ("worker", "parent") if part in parts}


UCARP_SCRIPT: Final = '#!/bin/sh\nexec ip address {verb} "$2/24" dev "$1"\n'


@dataclass
class Ucarp:
    """A pair of Debian's ucarp. Whole seconds only; no means to hand over but to stop being master for a while."""

    lab: Lab
    nodes: tuple[Node, Node]
    setup: Setup
    name: ClassVar[str] = "ucarp"
    _running: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the scripts of both."""
        for node in self.nodes:
            for script, verb in (("up", "add"), ("down", "del")):
                node.write(f"/etc/ucarp-{script}", UCARP_SCRIPT.format(verb=verb), 0o755)

    def start(self, node: Node) -> None:
        """In the foreground."""
        self._running[node.name] = node.popen(
            [
                *("ucarp", "--interface=eth0", f"--srcip={node.address}", "--vhid=1", "--pass=secret"),
                *(f"--addr={CLUSTER_IP}", "--upscript=/etc/ucarp-up", "--downscript=/etc/ucarp-down"),
                *(f"--advbase={round(self.setup.interval)}", f"--deadratio={self.setup.dead_ratio}"),
                *("--neutral", "--shutdown"),
            ],
            output="/var/log/ucarp.out",
        )

    def settled(self, master: Node, backup: Node) -> bool:
        """By who holds the address."""
        return master.holds() and not backup.holds() and "worker" in self.parts(backup)

    def planned(self, master: Node) -> None:
        """SIGUSR2: be no master for three seconds."""
        _signal(self.parts(master)["worker"], signal.SIGUSR2)

    def terminate(self, node: Node) -> None:
        """It removes the address, and says nothing."""
        _signal(self.parts(node)["worker"], signal.SIGTERM)

    def parts(self, node: Node) -> dict[str, int]:
        """One process does it all."""
        process = self._running.get(node.name)
        return {"worker": process.pid} if process and process.alive else {}


PEERS: Final[Mapping[str, PeerType]] = {Ours.name: Ours, Keepalived.name: Keepalived, Ucarp.name: Ucarp}


def signal_all(peer: Peer, node: Node, number: signal.Signals) -> None:
    """Signal all processes of the service within microseconds, so that none can act on the end of another."""
    for pid in peer.parts(node).values():
        _signal(pid, number)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def parent_of(pid: int) -> int:
    """Return the number of a process's parent, 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
