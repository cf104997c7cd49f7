"""The story of `script/demo`: two load balancers, a client, and everything that can happen to them in a minute."""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.fixtures.skudonet_tree import TreeFacts, core_rename_write, core_writes
from tests.labkit import CLUSTER_CONF, CLUSTER_IP, CONFIG_TREE, Client, Lab, Node, eventually
from tests.labkit.appliance import CLUSTER, Appliances, dependencies
from tests.labkit.booted import BootedLab, BootedNode
from tests.labkit.machine import REPOSITORY
from tests.labkit.story import Story, table
from tests.labkit.trees import differences

VIP_LEASE = 2.0
INTERVAL, DEAD_RATIO = 0.2, 3
PROMPT = Path(__file__).parents[2] / "units" / "skd-prompt.sh"
FARM = "farm-01_proxy.cfg"


def tree(node: Node) -> Path:
    """Return the node's configuration tree, as seen from outside."""
    return node.path(CONFIG_TREE)


def reads(file: Path, content: bytes) -> bool:
    """Whether a file has this content."""
    return file.read_bytes() == content


def has_role(node: Node, role: str) -> bool:
    """Whether a node's status file has this word."""
    return node.role() == role


def start(story: Story) -> None:
    """The node on which the address is up becomes master, without dropping it."""
    mark, watched = story.probe.mark(), story.watch.mark()
    story.lb1.start_daemon()
    story.lb2.start_daemon()
    took = story.wait(story.roles("master", "backup"), "lb1 is master, lb2 backup")
    story.probe.wait_answer()
    story.figure("start: roles decided", took, None)
    story.gap_figure("start: client's longest gap on lb1, where the address was up", mark, 20, watched)
    vacant = story.watch.vacant_seconds(watched) * 1000
    story.fact("start: the address never dropped", held=vacant == 0, found=f"{vacant:.1f} ms without a holder")


def first_replication(story: Story) -> None:
    """The backup's tree becomes the master's."""
    took = story.wait(story.in_sync(story.lb1), "lb2 has lb1's configuration", 30)
    story.figure("first replication reported complete", took, None)
    equal(story, story.lb1, story.lb2, "first replication")


def equal(story: Story, master: Node, backup: Node, what: str) -> None:
    """Compare the two trees by an oracle of our own."""
    left_out = TreeFacts(root=tree(master), node="", merge_by_key=story.facts["lb1"].merge_by_key)
    left_out.node_local = [*story.facts["lb1"].node_local, *story.facts["lb2"].node_local]
    left_out.scratch = story.facts["lb1"].scratch
    found = differences(tree(master), tree(backup), left_out)
    files = sum(len(names) for _, _, names in os.walk(tree(master)))
    text = f"{files} files, no difference" if not found else f"{len(found)} differences: {found[:3]}"
    story.fact(f"{what}: trees equal", held=not found, found=text)


def edits(story: Story, master: Node, backup: Node) -> None:
    """What the product and administrators do to files arrives on the backup."""
    here, there = tree(master), tree(backup)

    def arrives(what: str, change: Callable[[], object], seen: Callable[[], bool], limit: float) -> None:
        change()
        story.figure(f"replication: {what}", story.wait(seen, what, 20), limit)

    def times() -> Iterator[float]:
        for number in range(20):
            text = f"# edit {number}\n".encode()
            core_writes(here / FARM, text)
            yield story.wait(partial(reads, there / FARM, text), f"edit {number}")

    story.figure("replication: an edited farm, median of 20", statistics.median(times()), 250)
    folder = Path("ipds") / "new-rules"

    def new_folder() -> None:
        (here / folder / "deep").mkdir(parents=True)
        for number in range(10):
            (here / folder / "deep" / f"set-{number}.conf").write_text(f"{number}\n")

    def folder_there() -> bool:
        found = [there / folder / "deep" / f"set-{number}.conf" for number in range(10)]
        return all(one.exists() and one.read_text() for one in found)

    arrives("a new sub-folder with ten files", new_folder, folder_there, 2000)
    moved = b"# renamed over\n"
    arrives(
        "a rename-over save",
        lambda: core_rename_write(here / FARM, moved),
        lambda: (there / FARM).read_bytes() == moved,
        2000,
    )
    arrives("a deletion", (here / FARM).unlink, lambda: not (there / FARM).exists(), 2000)
    story.wait(story.in_sync(master), "everything confirmed", 20)
    equal(story, master, backup, "edits")


def planned_failover(story: Story) -> None:
    """There and back by command."""
    for source, target in ((story.lb1, story.lb2), (story.lb2, story.lb1)):
        with story.gap(f"planned failover {source.name} to {target.name}", 20):
            source.run(["skd-cluster", "failover"])
            story.wait(partial(has_role, target, "master"), f"{target.name} is master")
        story.wait(story.in_sync(target), f"{target.name} replicates", 20)


def power_loss(story: Story) -> None:
    """The master dies with cable and all processes; later it returns and gets what it missed."""
    with story.gap("power loss of lb1", DEAD_RATIO * INTERVAL * 1000 + 150):
        story.lab.power_off(story.lb1)
        story.wait(lambda: story.lb2.role() == "master", "lb2 took over")
    (tree(story.lb2) / FARM).write_text("# written while lb1 was away\n")
    with story.gap("return of lb1", 50):
        story.lab.power_on(story.lb1)
        story.lb1.start_sshd()
        story.lb1.start_daemon()
        story.wait(story.roles("backup", "master"), "lb1 is backup")
    text = "# written while lb1 was away\n"
    took = story.wait(lambda: (tree(story.lb1) / FARM).read_text() == text, "lb1 has the newer file", 30)
    story.figure("replication: lb1 has lb2's newer configuration", took, None)
    story.wait(story.in_sync(story.lb2), "lb1 is in sync", 20)
    equal(story, story.lb2, story.lb1, "return")


def stopped_elector(story: Story) -> None:
    """The master's elector hangs: the kernel drops the address, the peer holds it alone."""
    story.know_each_other()
    pid = story.lb2.daemon_pids()["skd-elector"]
    watched = story.watch.mark()
    story.lb2.pause(pid)
    story.wait(lambda: story.lb1.role() == "master", "lb1 took over")
    story.wait(lambda: story.watch.holders() == frozenset({"lb1"}), "lb1 holds the address alone")
    overlap = story.watch.overlap_seconds(watched)
    story.figure("elector of lb2 stopped (SIGSTOP): two holders", overlap * 1000, (VIP_LEASE + 0.5) * 1000)
    story.lb2.resume(pid)
    restart_if_ended(story, story.lb2)
    story.wait(story.roles("master", "backup"), "lb2 is backup again")
    story.probe.wait_answer()


def restart_if_ended(story: Story, node: Node) -> None:
    """Play systemd: a service that gave up, because its elector hung, is started again."""
    settled = lambda: node.role() == "backup" or "skd-cluster" not in node.daemon_pids()  # noqa: E731
    story.wait(settled, f"{node.name} goes on or gives up")
    if "skd-cluster" not in node.daemon_pids():
        node.start_daemon()


def partition(story: Story) -> None:
    """The nodes lose each other and find each other again."""
    story.lab.partition(story.lb1, story.lb2)
    story.wait(story.roles("master", "master"), "both are alone, both are master")
    watched = story.watch.mark()
    with story.gap("healing of a partition", 50):
        story.lab.heal()
        story.wait(story.roles("master", "backup"), "one master")
    story.figure("partition healed: two holders for", story.watch.overlap_seconds(watched) * 1000, 2 * INTERVAL * 1000)
    story.wait(story.in_sync(story.lb1), "lb2 has lb1's configuration", 20)


def wrong_password(story: Story) -> None:
    """A node with another password stays out and says why; the other one stays master."""
    story.lb2.stop_daemon()
    conf = story.lb2.path(CLUSTER_CONF)
    conf.write_text(conf.read_text().replace('$password="secret"', '$password="mistyped"'))
    with story.gap("lb2 restarted with a wrong password", 20):
        story.lb2.start_daemon()
        story.wait(story.roles("master", "fault"), "lb2 is in fault, lb1 master")
    faults = story.lb2.run(["skd-cluster", "status"]).stdout
    why = next((line.strip() for line in faults.splitlines() if "key" in line), "no word about it")
    story.fact("lb2 says why", held="another key" in why, found=why)


def reboot_of_the_master(story: Story) -> None:
    """The master is rebooted, as an administrator does it."""
    assert isinstance(story.lb1, BootedNode)
    with story.gap("reboot of the master", 20):
        began = time.monotonic()
        story.lb1.reboot()
        took = (time.monotonic() - began) * 1000
        story.wait(story.roles("backup", "master"), "lb1 is backup after its boot", 20)
    story.figure("lb1 down and up again", took, None)
    back_to_lb1(story)


def boot_of_both(story: Story) -> None:
    """Both nodes lose power and are booted at once, the one with older configuration a little earlier."""
    assert isinstance(story.lb1, BootedNode)
    assert isinstance(story.lb2, BootedNode)
    story.lab.power_off(story.lb1)
    story.wait(lambda: story.lb2.role() == "master", "lb2 took over")
    (tree(story.lb2) / FARM).write_text("# newer\n")
    story.wait(lambda: story.lb2.status()["replication"]["pending"], "lb2 has what lb1 lacks")
    story.lab.power_off(story.lb2)
    mark = story.probe.mark()
    for node in (story.lb1, story.lb2):
        node.boot(wait=False)
    story.probe.wait_answer(20)
    story.figure("both booted at once: until the address answers", story.probe.gap_since(mark).ms, None)
    story.wait(story.roles("backup", "master"), "the fresher configuration's node is master", 20)
    for node in (story.lb1, story.lb2):
        node.wait_booted()
    story.wait(story.in_sync(story.lb2), "lb1 is in sync", 20)
    arrived = (tree(story.lb1) / FARM).read_text()
    story.fact("both booted at once: the newer configuration wins", held=arrived == "# newer\n", found=arrived.strip())
    back_to_lb1(story)


def back_to_lb1(story: Story) -> None:
    """Hand over to lb1 for the next step."""
    story.know_each_other()
    story.wait(story.in_sync(story.lb2), "lb1 has it all", 20)
    story.lb2.run(["skd-cluster", "failover"])
    story.wait(story.roles("master", "backup"), "lb1 is master")
    story.wait(story.in_sync(story.lb1), "lb2 has it all", 20)


STEPS = (start, first_replication, planned_failover, power_loss, stopped_elector, partition, wrong_password)
BOOTED_STEPS = (*STEPS[:3], reboot_of_the_master, boot_of_both, *STEPS[3:])


def tell(story: Story) -> None:
    """Play it all."""
    for step in BOOTED_STEPS if isinstance(story.lab, BootedLab) else STEPS:
        story.say(f"-- {step.__doc__}")
        step(story)
        if step is first_replication:
            story.say(f"-- {edits.__doc__}")
            edits(story, story.lb1, story.lb2)


def prepare(lab: Lab) -> tuple[Node, Node, Client, dict[str, TreeFacts]]:
    """Build the pair as the manual tells its user to."""
    lb1, lb2 = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
    client = lab.client()
    facts = {
        "lb1": lb1.make_tree(),
        "lb2": lb2.make_tree(farms=8, seed=2),
    }  # lb2 was set up alone and knows other farms
    for node in (lb1, lb2):
        node.write_config(floating="listed")
    lab.trust()
    lb1.add_address()
    return lb1, lb2, client, facts


def prepare_booted(lab: BootedLab, package: Path) -> tuple[Node, Node, Client, dict[str, TreeFacts]]:
    """Do the same on two booted nodes, as README says; the service is enabled and not started yet."""
    pair = Appliances(lab)
    pair.lb1.run("systemctl start skudonet")
    for node in pair.nodes:
        node.install(package)
        pair.configure(node)
    pair.pair()
    for node in pair.nodes:
        node.run("systemctl enable skudonet-ce-cluster")
    return pair.lb1, pair.lb2, pair.client, pair.facts


def build_package() -> Path:
    """Return the Debian package of this tree."""
    said = subprocess.run([REPOSITORY / "script" / "deb"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return REPOSITORY / said.strip().rpartition("built ")[2]


def keep(lab: Lab, lb1: Node, lb2: Node, client: Client, address: str) -> None:
    """Leave a running pair and say how to look at it."""
    for node in (lb1, lb2):
        if not isinstance(node, BootedNode):  # there the package brings it
            node.write("/etc/profile.d/skd-prompt.sh", PROMPT.read_text())
            with node.path("/root/.bashrc").open("a") as bashrc:
                bashrc.write(". /etc/profile.d/skd-prompt.sh\n")
        node.start_daemon()
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=10, what="lb1 is master")
    end = lab.keep()
    print(f"""
The pair is running: lb1 {lb1.address}, lb2 {lb2.address}, cluster_ip {address}.

  a shell on lb1      {lb1.enter}
  a shell on lb2      {lb2.enter}
  a shell on the client, which can ping {address} and
  curl http://{lb1.address}:9869/metrics
                      {client.enter}
  in a node           skd-cluster status --watch
  end it all          {end}
""")


def main() -> int:
    """Return 0 only if every step held."""
    parser = argparse.ArgumentParser(prog="script/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave a running pair to look at, and say how to end it")
    parser.add_argument("--booted", action="store_true", help="on two booted Debian 12 with the package installed")
    options = parser.parse_args()
    if not options.booted:
        with Lab() as lab:
            return play(lab, prepare(lab), CLUSTER_IP, stay=options.keep)
    package = build_package()
    with BootedLab(dependencies(package)) as booted:
        return play(booted, prepare_booted(booted, package), CLUSTER, stay=options.keep)


def play(lab: Lab, pair: tuple[Node, Node, Client, dict[str, TreeFacts]], address: str, *, stay: bool) -> int:
    """Tell the story on a pair, print its table, and return the exit code."""
    lb1, lb2, client, facts = pair
    if stay:
        keep(lab, lb1, lb2, client, address)
        return 0
    with client.probe(address) as probe, lab.watch_holders(address) as watch:
        probe.wait_answer()
        story = Story(lab, lb1, lb2, probe, watch, facts)
        try:
            tell(story)
        except AssertionError as error:
            story.fact("the story", held=False, found=str(error))
            for node in (lb1, lb2):
                print(f"---- {node.name}\n{node.output()[-3000:]}", file=sys.stderr)
    print(f"\n{table(story.figures)}")
    held = all(one.held for one in story.figures)
    print(f"\n{len(story.figures)} figures, {'every step held' if held else 'NOT every step held'}")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
