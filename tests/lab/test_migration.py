"""A running pair of others is replaced node by node, and back, while a client asks each millisecond. docs/migration.md plays this."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.labkit import CLUSTER_CONF, CLUSTER_IP, Client, HolderWatch, Lab, Node, Prober, eventually
from tests.labkit.foreign import Keepalived, Ucarp

PASSWORD_FILE = "/etc/skudonet-cluster.password"


@dataclass
class Story:
    """Does step after step; after each there is one holder, and how long the client waited is noted."""

    lb1: Node
    lb2: Node
    probe: Prober
    watch: HolderWatch
    told: list[tuple[str, float, str]] = field(default_factory=list)

    def step(self, what: str, do: Callable[[], object], holder: Node) -> float:
        """Do it, until only this node holds the address and the client is answered. Returns the client's gap in seconds."""
        mark, since = self.probe.mark(), self.watch.mark()
        do()
        eventually(lambda: self.watch.holders() == {holder.name}, within=15, what=f"{what}: {holder.name} holds it")
        self.probe.wait_answer()
        gap = self.probe.gap_since(mark).ms / 1000
        overlap = self.watch.overlap_seconds(since)
        self.told.append((what, gap, holder.name))
        print(
            f"{what:<60} {holder.name} master, client's longest gap {gap * 1000:7.1f} ms, two holders {overlap:.3f} s"
        )
        assert overlap <= 1.05, "two masters for longer than one advertisement interval"
        return gap

    @property
    def longest(self) -> float:
        return max(gap for _, gap, _ in self.told)


@contextmanager
def watched(lab: Lab, lb1: Node, lb2: Node, client: Client) -> Iterator[Story]:
    with client.probe(CLUSTER_IP) as probe, lab.watch_holders() as watch:
        probe.wait_answer()
        yield Story(lb1, lb2, probe, watch)


def backup(node: Node) -> None:
    """Start the service on a node beside a master."""
    node.start_daemon()
    eventually(lambda: node.status()["reason"] == "peer_master", within=10, what=f"{node.name} is backup")


def heard_both_ways(lb1: Node, lb2: Node) -> None:
    both = lambda: all(node.status()["peer"]["heard"] for node in (lb1, lb2))  # noqa: E731
    eventually(both, within=10, what="both hear each other")


def to_transport(node: Node, other: Node, transport: str) -> None:
    """`migrate --to` and a restart."""
    node.run(["skd-cluster", "migrate", "--to", transport])
    node.stop_daemon()
    node.start_daemon()
    heard_both_ways(node, other)
    eventually(lambda: {node.role(), other.role()} == {"master", "backup"}, within=10, what="one master")


def old_failover(story: Story, master: Ucarp | Keepalived, other: Node) -> float:
    """Return how long a failover of theirs takes, for comparison: the master is killed and comes back as backup."""
    gap = story.step(f"{master.name} dies, the other {master.name} takes over (for comparison)", master.kill, other)
    story.told.pop()
    master.start()
    return gap


def both_new_and_back(story: Story, transport: str, old: Mapping[str, Ucarp | Keepalived]) -> None:
    """From lb2 ours beside nobody: lb1 becomes ours, both go to udp and back, both are the others' again."""
    lb1, lb2, name = story.lb1, story.lb2, old["lb1"].name
    story.step(f'lb1: skd-cluster with $transport="{transport}"', lambda: backup(lb1), lb2)
    heard_both_ways(lb1, lb2)
    story.step('lb1: $transport="udp"', lambda: to_transport(lb1, lb2, "udp"), lb2)
    story.step('lb2: $transport="udp"', lambda: to_transport(lb2, lb1, "udp"), lb1)
    assert [node.status()["transport"]["speaks"] for node in (lb1, lb2)] == ["udp", "udp"]

    story.step(f'lb2: back to $transport="{transport}"', lambda: to_transport(lb2, lb1, transport), lb1)
    story.step(f'lb1: back to $transport="{transport}"', lambda: to_transport(lb1, lb2, transport), lb2)
    story.step("lb1: skd-cluster is stopped", lb1.stop_daemon, lb2)
    story.step(f"lb1: {name} again", old["lb1"].start, lb2)
    story.step(f"lb2: skd-cluster is stopped, {name} takes over", lb2.stop_daemon, lb1)
    story.step(f"lb2: {name} again", old["lb2"].start, lb1)


def test_from_ucarp_and_back(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    old = {node.name: Ucarp(node) for node in (lb1, lb2)}
    old["lb2"].start()
    eventually(lb2.holds, within=10, what="the old pair has a master")
    old["lb1"].start()
    with watched(lab, lb1, lb2, client) as story:
        yardstick = old_failover(story, old["lb2"], lb1)
        for node in (lb1, lb2):
            node.write_config(floating="listed")

        story.step("the backup's ucarp is stopped", old["lb2"].stop, lb1)
        lb2.run(["skd-cluster", "migrate"])
        story.step('lb2: skd-cluster with $transport="carp"', lambda: backup(lb2), lb1)
        assert lb2.status()["transport"] == {"configured": "carp", "speaks": "carp"}
        story.step("lb1: ucarp steps down (SIGUSR2)", old["lb1"].step_down, lb2)
        story.step("lb1: ucarp is stopped", old["lb1"].stop, lb2)
        lb1.run(["skd-cluster", "migrate"])
        both_new_and_back(story, "carp", old)

        print(f"longest gap {story.longest * 1000:.1f} ms; a failover of ucarp takes {yardstick * 1000:.1f} ms")
        assert story.longest <= yardstick + 3, "on a busy host both are later, but not by as much as another failover"


def test_from_keepalived_and_back(lab: Lab, lb1: Node, lb2: Node, client: Client) -> None:
    old = {node.name: Keepalived(node, more="nopreempt") for node in (lb1, lb2)}
    old["lb2"].start()
    eventually(lb2.holds, within=10, what="the old pair has a master")
    old["lb1"].start()
    with watched(lab, lb1, lb2, client) as story:
        yardstick = old_failover(story, old["lb2"], lb1)
        for node, other in ((lb1, lb2), (lb2, lb1)):
            node.write_config()
            node.path(CLUSTER_CONF).unlink()
            node.write(PASSWORD_FILE, "a secret of the pair\n", 0o600)
            words = ["skd-cluster", "migrate", "--from", "keepalived", "--password-file", PASSWORD_FILE]
            node.run([*words, "--remote-ip", other.address])

        story.step("the backup's keepalived is stopped", old["lb2"].stop, lb1)
        story.step('lb2: skd-cluster with $transport="vrrp"', lambda: backup(lb2), lb1)
        assert lb2.status()["transport"] == {"configured": "vrrp", "speaks": "vrrp"}
        story.step("lb1: keepalived is stopped", old["lb1"].stop, lb2)
        both_new_and_back(story, "vrrp", old)

        print(f"longest gap {story.longest * 1000:.1f} ms; a failover of keepalived takes {yardstick * 1000:.1f} ms")
        assert story.longest <= yardstick + 3, "on a busy host both are later, but not by as much as another failover"
