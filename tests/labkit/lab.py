"""The lab: a switch in a namespace of its own, and machines plugged into it."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from .client import Client
from .holders import HolderWatch
from .machine import Machine
from .node import CLUSTER_IP, PREFIX, Node

BRIDGE = "switch"


class Lab:
    """Build in a `with` block; at its end, however it comes, nothing of it is left on the host."""

    def __init__(self, product: Path | None = None) -> None:
        self.product = product
        self.machines: dict[str, Machine] = {}
        self._switch = Machine("switch", folders=())
        self._drops: set[tuple[str, str]] = set()
        self._loss: tuple[float, tuple[tuple[str, str], ...]] = (0.0, ())
        self._kept = False

    def __enter__(self) -> Self:
        try:
            self._switch.start()
            self._switch.run(
                f"ip link add {BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0 &&"
                f" sysctl -qw net.ipv6.conf.{BRIDGE}.disable_ipv6=1 && ip link set {BRIDGE} up"
            )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all machines, unless `keep` was called."""
        for machine in [*self.machines.values(), self._switch]:
            if self._kept:
                machine.leave()
            else:
                machine.close()

    def keep(self) -> str:
        """Let the lab outlive this program; returns the shell command that ends it."""
        machines = [*self.machines.values(), self._switch]
        for machine in machines:
            machine.keep()
        self._kept = True
        return "kill " + " ".join(str(machine.pid) for machine in machines)

    # --- machines ------------------------------------------------------------------------

    def node(self, name: str, address: str, *, product: Path | None = None) -> Node:
        """Add a load balancer. The first two are each other's peer."""
        node = self._make_node(name, address, product or self.product)
        self._plug(node)
        others = [one for one in self.machines.values() if isinstance(one, Node) and one is not node]
        for other in others:
            node.peer = node.peer or other
            other.peer = other.peer or node
        return node

    def _make_node(self, name: str, address: str, product: Path | None) -> Node:
        return Node(name, address, product)

    def client(self, address: str = "10.77.0.50", name: str = "client") -> Client:
        """Add a user of the floating addresses."""
        client = Client(name, address)
        self._plug(client)
        client.prepare()
        return client

    def _plug(self, machine: Machine) -> None:
        assert machine.name not in self.machines, f"there is a {machine.name} already"
        self.machines[machine.name] = machine
        machine.start()
        self._connect(machine)
        hosts = "127.0.0.1 localhost\n" + "".join(f"{one.address} {one.name}\n" for one in self.machines.values())
        for one in self.machines.values():
            one.write("/etc/hosts", hosts)

    def _connect(self, machine: Machine) -> None:
        port = machine.name
        # Made inside the switch's network: the host's own never sees the cable, not even for a moment.
        subprocess.run(
            [
                *("nsenter", f"--net=/proc/{self._switch.pid}/ns/net", "ip", "link", "add", port, "type", "veth"),
                *("peer", "name", "eth0", "netns", str(machine.pid)),
            ],
            check=True,
        )
        self._switch.run(f"ip link set {port} master {BRIDGE} && ip link set {port} up")
        machine.run(f"ip address add {machine.address}/{PREFIX} dev eth0 && ip link set eth0 up")

    def second_cable(self, a: Machine, b: Machine, address_a: str, address_b: str) -> None:
        """Join two machines by a cable of their own, eth1 on both."""
        inside = ("nsenter", f"--net=/proc/{a.pid}/ns/net", "ip", "link", "add", "eth1", "type", "veth")
        subprocess.run([*inside, "peer", "name", "eth1", "netns", str(b.pid)], check=True)
        for machine, address in ((a, address_a), (b, address_b)):
            machine.run(f"ip address add {address}/{PREFIX} dev eth1 && ip link set eth1 up")

    def trust(self) -> None:
        """Let root log in from each node to each other with keys, and start their sshd."""
        nodes = [one for one in self.machines.values() if isinstance(one, Node)]
        for node in nodes:
            node.make_keys()
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.trust(other)
            node.start_sshd()

    # --- trouble -------------------------------------------------------------------------

    def cut(self, machine: Machine) -> None:
        """Pull the cable: the machine sees its carrier go."""
        self._switch.run(f"ip link set {machine.name} down")

    def mend(self, machine: Machine) -> None:
        """Plug the cable in again."""
        self._switch.run(f"ip link set {machine.name} up")

    def power_off(self, node: Node) -> None:
        """Pull the cable and kill every process. Its disk stays as it is, so does the kernel's state until `power_on`."""
        self.cut(node)
        node.kill_everything()

    def power_on(self, node: Node) -> None:
        """Bring a machine back as after a boot: /run is empty, eth0 has its own address only, nothing is started."""
        node.forget_memory()
        self.mend(node)

    def partition(self, a: Machine, b: Machine, *, one_way: bool = False) -> None:
        """Drop all frames between two machines; with `one_way` only those from `a` to `b`. Others reach both."""
        self._drops |= {(a.name, b.name)} if one_way else {(a.name, b.name), (b.name, a.name)}
        self._apply()

    def heal(self) -> None:
        """End all partitions and losses."""
        self._drops.clear()
        self._loss = (0.0, ())
        self._apply()

    def lose(self, percent: float, between: tuple[Machine, Machine] | None = None) -> None:
        """Drop this share of frames at random, of all or only between two machines; 0 ends it."""
        pairs = ((between[0].name, between[1].name), (between[1].name, between[0].name)) if between else ()
        self._loss = (percent, pairs)
        self._apply()

    def _apply(self) -> None:
        percent, pairs = self._loss
        chance = f"numgen random mod 10000 < {round(percent * 100)} drop"
        rules = [f'iifname "{a}" oifname "{b}" drop' for a, b in sorted(self._drops)]
        if percent:
            rules += [f'iifname "{a}" oifname "{b}" {chance}' for a, b in pairs] or [chance]
        table = "table bridge lab"
        chain = "type filter hook forward priority 0; policy accept;"
        text = f"{table}\ndelete {table}\n{table} {{ chain forward {{ {chain}\n" + "\n".join(rules) + "\n}\n}\n"
        self._switch.run(["nft", "-f", "-"], input=text)

    # --- measuring -----------------------------------------------------------------------

    def watch_holders(self, address: str = CLUSTER_IP) -> HolderWatch:
        """Return a watch (use it in a `with` block) that records which nodes hold the address, from kernel events."""
        return HolderWatch(address, {one.name: one.pid for one in self.machines.values() if isinstance(one, Node)})
