"""Two load balancers as their users have them: booted, with the product and, once installed, the cluster service.

The addresses are those of the manual, and the tree's virtual interfaces on eth0 float: eth0:cluster is `cluster_ip`.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

from tests.fixtures.skudonet_tree import TreeFacts
from tests.labkit.trees import differences

from .booted import BootedLab, BootedNode
from .client import Client
from .machine import REPOSITORY
from .node import CONFIG_TREE
from .terminal import Terminal
from .waiting import eventually

PRODUCT: Final = REPOSITORY / "tests" / "fixtures" / "product"
LB1: Final = "192.168.1.250"
LB2: Final = "192.168.1.251"
GATEWAY: Final = "192.168.1.1"
CLUSTER: Final = "192.168.1.252"
FLOATING: Final = ("192.168.1.252", "192.168.1.60", "192.168.1.61", "192.168.1.63")
ABSENT: Final = ("eth1", "eth2", "eth0.100", "eth1.66")  # NICs of the fixture tree that these nodes do not have


def dependencies(package: Path) -> list[str]:
    """Return the names of what a package depends on; of alternatives the first."""
    said = subprocess.run(
        ["dpkg-deb", "--field", package, "Depends"], capture_output=True, text=True, check=True
    ).stdout
    names = [re.split(r"[ :(|]", one.strip())[0] for one in said.split(",")]
    return [name for name in names if name]


def add_product(node: BootedNode, **options: object) -> TreeFacts:
    """Install the product's stand-in with a tree; enabled, so started at each boot as the product is, and not yet now."""
    facts = node.make_tree(**options)
    tree = node.path(CONFIG_TREE)
    for nic in ABSENT:
        for file in [*tree.glob(f"if_{nic}_conf"), *tree.glob(f"if_{nic}:*_conf")]:
            file.unlink()
    node.write("/usr/local/skudonet/bin/skudonet", (PRODUCT / "skudonet").read_text(), 0o755)
    node.write("/etc/init.d/skudonet", (PRODUCT / "init.d").read_text(), 0o755)
    node.run("update-rc.d skudonet defaults && systemctl daemon-reload")
    return facts


class Appliances:
    """The pair and a client, which is its gateway as well. The steps of the manual are methods; `set_up` does all."""

    def __init__(self, lab: BootedLab) -> None:
        self.lab = lab
        self.lb1: BootedNode = lab.node("lb1", LB1)
        self.lb2: BootedNode = lab.node("lb2", LB2)
        self.nodes = (self.lb1, self.lb2)
        self.client: Client = lab.client(GATEWAY)
        self.facts = {
            "lb1": add_product(self.lb1),
            "lb2": add_product(self.lb2, farms=8, seed=2),  # set up alone, so it knows other farms
        }
        for file in self.lb2.path(CONFIG_TREE).glob("if_eth0:*_conf"):
            file.unlink()  # the floating addresses are those of the node that is to be master first

    def set_up(self, package: Path, **overrides: str | None) -> None:
        """Install, configure, pair and start as the README says; returns when lb1 is master and both trees are equal."""
        self.lb1.run("systemctl start skudonet")
        for node in self.nodes:
            node.install(package)
            self.configure(node, **overrides)
        self.pair()
        for node in self.nodes:
            node.run("systemctl enable --now skudonet-ce-cluster")
        self.settled("master", "backup")

    def configure(self, node: BootedNode, **overrides: str | None) -> None:
        """Edit the one file."""
        node.write_config(**{"cluster_ip": CLUSTER, **overrides})

    def pair(self) -> None:
        """Run `skd-cluster pair` on lb1 and answer what ssh asks."""
        with Terminal(self.lb1, "skd-cluster pair") as terminal:
            terminal.log_in()
            code = terminal.wait(60)
            assert code == 0, terminal.screen

    def roles(self) -> tuple[str, str]:
        return self.lb1.role(), self.lb2.role()

    def settled(self, lb1: str, lb2: str, within: float = 30.0) -> None:
        """Wait for these roles, and for the backup to have all the master has."""
        eventually(lambda: self.roles() == (lb1, lb2), within=within, what=f"lb1 {lb1} and lb2 {lb2}")
        master = self.lb1 if lb1 == "master" else self.lb2
        eventually(
            lambda: master.status()["replication"]["in_sync"] is True, within=within, what="the backup has it all"
        )

    def restore(self) -> None:
        """Bring the pair back to lb1 master, lb2 backup, whatever was done to it."""
        self.lab.heal()
        for node in self.nodes:
            if not node.is_on:
                node.boot()
            node.run("systemctl reset-failed; systemctl start skudonet-ce-cluster")
        eventually(lambda: sorted(self.roles()) == ["backup", "master"], within=30, what="one master, one backup")
        if self.lb2.role() == "master":
            both = lambda: self.lb2.status()["peer"]["in_sync"]  # noqa: E731
            eventually(both, within=30, what="lb1 has all that lb2 has")
            self.lb2.run("skd-cluster failover")
        self.settled("master", "backup")

    def differences(self) -> list[str]:
        """Return what differs between the two trees, node-local files and keys aside."""
        left_out = TreeFacts(root=self.lb1.path(CONFIG_TREE), node="", merge_by_key=self.facts["lb1"].merge_by_key)
        left_out.node_local = [*self.facts["lb1"].node_local, *self.facts["lb2"].node_local]
        left_out.scratch = self.facts["lb1"].scratch
        return differences(self.lb1.path(CONFIG_TREE), self.lb2.path(CONFIG_TREE), left_out)


def floating_on(node: BootedNode) -> list[str]:
    """Return the floating addresses that the kernel of a node has."""
    return [address for address in FLOATING if node.holds(address)]
