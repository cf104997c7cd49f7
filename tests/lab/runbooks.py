"""A pair for all runbooks, and for each alert the fault it is for, what its command shows, and how it is mended."""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.labkit import CLUSTER_CONF, CONFIG_TREE, Client, Lab, Node, Process, eventually
from tests.labkit.machine import REPOSITORY, CommandError
from tests.labkit.monitoring import expressions, squeezed
from tests.labkit.node import CHECKS, HOOKS
from tests.labkit.prometheus import RULES, Prometheus

PAGES = REPOSITORY / "docs" / "runbooks"
BASE = {
    "floating": "listed",
    "advert_interval": "0.1",
    "dead_ratio": "20",  # a pause of a second is near the limit and no takeover
    "exclude": None,
    "check_interval": "0.2",
    "check_fall": "2",
    "adver_interval": "1",
}
GUARD = "nft add table inet guard; nft 'add chain inet guard in { type filter hook input priority 0; policy accept; }'"
ODD = (
    *("prlimit", "--rtprio=0", "--memlock=0", "setpriv", "--bounding-set=-sys_nice,-ipc_lock,-net_admin"),
    *("--inh-caps=-net_admin", "skd-cluster", "run"),
)
"""A service whose kernel gives it neither real-time scheduling nor addresses."""


@dataclass
class Stage:
    """lb1 master, lb2 backup, in sync and scraped; the last service started on each is what `systemctl` would have."""

    lab: Lab
    lb1: Node
    lb2: Node
    client: Client
    prometheus: Prometheus
    asked: dict[str, str] = field(default_factory=lambda: expressions(squeezed(RULES.read_text())))
    stranger: Process | None = None

    def start(self) -> None:
        for node in (self.lb1, self.lb2):
            node.make_tree(farms=4)
            self.configure(node)
        self.lb2.run("ip link add spare0 type veth peer name spare1 && ip link set spare0 up && ip link set spare1 up")
        self.lab.trust()
        self.lb1.run(["skd-cluster", "pair"])
        self.lb1.add_address()
        for node in (self.lb1, self.lb2):
            node.start_daemon()
        self.settle()
        self.prometheus.start(squeezed(RULES.read_text()), every="500ms")
        ready = "skd_cluster:pair_ready_backups == 1"
        eventually(lambda: self.prometheus.ask(ready), within=30, what="both are scraped")

    def configure(self, node: Node, **keys: str) -> None:
        node.write_config(**BASE, **({"track_interfaces": "spare0"} if node is self.lb2 else {}), **keys)

    def reload(self, node: Node) -> None:
        """As `systemctl reload`."""
        os.kill(node.daemon_pids()["skd-cluster"], signal.SIGHUP)

    def settle(self) -> None:
        """Have lb1 master, lb2 backup and equal; only what a healthy pair does by itself, and a planned failover."""
        roles = {"master", "backup"}
        eventually(lambda: {self.lb1.role(), self.lb2.role()} == roles, within=15, what="a master and a backup")
        if self.lb2.role() == "master":
            eventually(lambda: self.lb2.status()["ready"]["ok"], within=20, what="lb1 could take over")
            self.lb2.run(["skd-cluster", "failover"])
        eventually(self.well, within=20, what="lb1 is master, lb2 could take over")

    def well(self) -> bool:
        assert self.lb1.role() == "master"
        status = self.lb1.status()
        assert status["ready"]["ok"], status
        return True

    def true(self, alert: str) -> bool:
        """Whether what the alert asks is so now."""
        return bool(self.prometheus.ask(self.asked[alert]))

    def pause(self) -> None:
        """Have lb1's elector miss some packets, until lb2 has noticed."""

        def silent() -> float:
            return float(self.lb2.status()["peer"]["heard_seconds_ago"])

        elector = self.lb1.daemon_pids()["skd-elector"]
        self.lb1.pause(elector)
        try:
            eventually(lambda: silent() > 1.0, what="lb2 has not heard it for a second")
        finally:
            self.lb1.resume(elector)
        eventually(lambda: silent() < 0.5, what="it is heard again")

    def crash(self, node: Node) -> None:
        """As systemd does with a service that does not feed its watchdog, or that is killed: end it, start it again."""
        before = self.started(node)
        node.kill_daemon()
        node.start_daemon()
        eventually(lambda: node.role() == "backup", within=10, what="it is backup again")
        eventually(lambda: self.started(node) not in ([], before), within=10, what="this run was scraped")

    def started(self, node: Node) -> list[str]:
        """Return when the service of a node was started, as Prometheus knows it."""
        found = self.prometheus.ask(f'skd_cluster_start_time_seconds{{instance="{node.address}:9869"}}')
        return [one["value"][1] for one in found]


@dataclass(frozen=True)
class Scene:
    """A fault. `shows`: what each alert's command prints, on which node: words of its page, and what matches beside."""

    cause: Callable[[Stage], object]
    shows: dict[str, tuple[str, tuple[str, ...], str]]
    mend: Callable[[Stage], object]


def stranger_comes(stage: Stage) -> None:
    stage.client.run("ip address add 10.77.0.100/24 dev eth0")
    stage.stranger = stage.client.popen(["arping", "-U", "-I", "eth0", "10.77.0.100"])


def stranger_goes(stage: Stage) -> None:
    assert stage.stranger is not None
    stage.stranger.send(signal.SIGKILL)
    stage.client.run("ip address del 10.77.0.100/24 dev eth0")


def hook(stage: Stage, body: str) -> None:
    stage.lb1.write(HOOKS.format("advertisement"), f"#!/bin/sh\n{body}\n", 0o755)


def file_with_error(stage: Stage) -> None:
    with stage.lb1.path(CLUSTER_CONF).open("a") as file:
        file.write('$advert_interval="soon";\n')
    stage.reload(stage.lb1)


def file_mended(stage: Stage) -> None:
    stage.configure(stage.lb1)
    assert stage.lb1.run(["skd-cluster", "check"]).returncode == 0
    stage.reload(stage.lb1)


def other_use_of_the_key(stage: Stage) -> None:
    ours = "/var/lib/skd-cluster/ssh"
    options = f"-o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile={ours}/known_hosts -i {ours}/id_ed25519"
    stage.lb2.run(f"ssh {options} root@10.77.0.1 id", check=False)


def new_key(stage: Stage) -> None:
    stage.lb1.run(["skd-cluster", "pair", "--remove"])
    stage.lb1.run(["skd-cluster", "pair"])


def edit_on_the_backup(stage: Stage) -> None:
    stage.lb2.write(f"{CONFIG_TREE}/zlb-start", "by hand\n")
    stage.lb1.run(["skd-cluster", "sync"])


def edit_on_both(stage: Stage) -> None:
    stage.lab.partition(stage.lb1, stage.lb2)
    eventually(lambda: stage.lb2.role() == "master", within=10, what="both are master")
    before = [node.status()["generation"] for node in (stage.lb1, stage.lb2)]
    for node, name in ((stage.lb1, "zlb-start"), (stage.lb2, "zlb-stop")):
        node.write(f"{CONFIG_TREE}/{name}", f"on {node.name}\n")
    for node, generation in zip((stage.lb1, stage.lb2), before, strict=True):
        eventually(lambda node=node, at=generation: node.status()["generation"] > at, within=10, what="it is noted")
    stage.lab.heal()


def resolve(stage: Stage) -> None:
    for one in stage.lb1.status()["conflicts"]:
        stage.lb1.run(["skd-cluster", "history", "diff", one["name"]])
        stage.lb1.run(["skd-cluster", "history", "resolve", one["name"]])


def delete_much(stage: Stage) -> None:
    many = f"{CONFIG_TREE}/many"
    stage.lb1.run(f"mkdir {many} && cd {many} && touch $(seq 300)")
    eventually(
        lambda: stage.lb2.path(f"{many}/300").exists() and stage.lb1.status()["replication"]["in_sync"], within=20
    )
    stage.lb1.run(f"rm -r {many}")


def both(command: str) -> Callable[[Stage], None]:
    def typed(stage: Stage) -> None:
        stage.lb1.run(command)
        stage.lb2.run(command)

    return typed


def password(stage: Stage, **keys: str) -> None:
    stage.configure(stage.lb2, **keys)
    stage.reload(stage.lb2)


def hand_over_again_and_again(stage: Stage) -> None:
    for _ in range(5):
        master, other = (stage.lb1, stage.lb2) if stage.lb1.role() == "master" else (stage.lb2, stage.lb1)
        master.run(["skd-cluster", "failover", "--force"])
        eventually(
            lambda m=master, o=other: (m.role(), o.role()) == ("backup", "master"), within=10, what="handed over"
        )


def calm_down(stage: Stage) -> None:
    """As the page says: one of them out, and in again."""
    stage.lb2.run(["skd-cluster", "standby"])
    eventually(lambda: stage.lb1.role() == "master", within=10, what="lb1 is master")
    stage.lb2.run(["skd-cluster", "online"])


PROGRAM = "/usr/local/bin/skd-cluster"


def other_version(stage: Stage) -> None:
    """The same program under another number, for the service, its children and whoever logs in."""
    node, older = stage.lb2, "/usr/local/older"
    node.stop_daemon()
    node.run(f"mkdir {older} && cp -r {REPOSITORY}/skd_cluster {older}/")
    node.run(["sed", "-i", 's/^__version__ = .*/__version__ = "2.9.0"/', f"{older}/skd_cluster/__init__.py"])
    node.write(PROGRAM, f'#!/bin/sh\nPYTHONPATH={older} exec {node.product}/skd-cluster "$@"\n', 0o755)
    node.start_daemon()


def upgrade(stage: Stage) -> None:
    node = stage.lb2
    node.stop_daemon()
    node.path(PROGRAM).unlink()
    node.path(PROGRAM).symlink_to(node.product / "skd-cluster")
    node.start_daemon()


def address_that_stays(stage: Stage) -> None:
    stage.lb2.stop_daemon()
    stage.lb2.start_daemon(ODD)
    stage.lb2.add_address()


def address_taken_away(stage: Stage) -> None:
    stage.lb2.run("ip address del 10.77.0.100/24 dev eth0")
    stage.lb2.stop_daemon()
    stage.lb2.start_daemon()


def no_sshd(stage: Stage) -> None:
    stage.lb2.stop_sshd()
    stage.lb2.run("pkill -KILL sshd")


def hang_and_crash(stage: Stage) -> None:
    node = stage.lb2
    node.pause(node.daemon_pids()["skd-elector"])
    eventually(lambda: node.role() == "fault", within=10, what="the supervisor feeds the watchdog no more")
    for _ in range(3):
        stage.crash(node)


def stop_both(stage: Stage) -> None:
    stage.lb2.stop_daemon()
    stage.lb1.stop_daemon()


def start_both(stage: Stage) -> None:
    stage.lb1.start_daemon()
    stage.lb2.start_daemon()


SCENES = (
    Scene(
        stranger_comes,
        {
            "ForeignArp": (
                "lb1",
                ("floating-addresses", "is answered for by"),
                r"10\.77\.0\.100 is answered for by (\w\w:){5}",
            )
        },
        stranger_goes,
    ),
    Scene(
        lambda stage: stage.lb2.write(f"{CHECKS}/web", "#!/bin/sh\necho no answer on 443\nexit 1\n", 0o755),
        {"CheckFailing": ("lb2", ("checks", "FAILED"), "web: FAILED: no answer on 443")},
        lambda stage: stage.lb2.path(f"{CHECKS}/web").unlink(),
    ),
    Scene(
        lambda stage: stage.lb2.run("ip link set spare1 down"),
        {"Fault": ("lb2", ("!",), r"^! +interface: spare0 has no carrier")},
        lambda stage: stage.lb2.run("ip link set spare1 up"),
    ),
    Scene(
        lambda stage: hook(stage, "echo cannot; exit 3"),
        {"HookFailing": ("lb1", ("hook: failed",), "the last advertisement hook: failed")},
        lambda stage: hook(stage, "exit 0"),
    ),
    Scene(
        file_with_error,
        {"ReloadFailed": ("lb1", ("found", "expected"), rf"{CLUSTER_CONF}:\d+: error: \$advert_interval: found soon")},
        file_mended,
    ),
    Scene(
        other_use_of_the_key,
        {"GateRefused": ("lb1", ("a login with the pair's key was refused",), r"last to 10\.77\.0\.2 .*'id'")},
        new_key,
    ),
    Scene(
        edit_on_the_backup,
        {"Drift": ("lb1", ("CONFLICT", "not resolved"), "lb2 .*drift-.*: CONFLICT, 1 file")},
        resolve,
    ),
    Scene(edit_on_both, {"Conflict": ("lb1", ("CONFLICT", "not resolved"), "split-.*: CONFLICT, 1 file")}, resolve),
    Scene(
        delete_much,
        {
            "NotInSync": ("lb1", ("replication:", "NOT in sync"), "run skd-cluster sync --allow-delete"),
            "ReplicationLag": ("lb1", ("copying", "replication:"), r"\d+ waiting for 1\d\.\d s"),
        },
        lambda stage: stage.lb1.run(["skd-cluster", "sync", "--allow-delete"]),
    ),
    Scene(
        lambda stage: [stage.pause() for _ in range(3)],
        {
            "ElectorLate": ("lb1", ("timing",), r"the elector woke up more than 0\.1 s late \d+ times"),
            "JitterHigh": ("lb2", ("timing",), r"off their time (once|\d+ times); it counts as lost after 2\.\d+ s"),
        },
        lambda _: None,  # nobody pauses it any more
    ),
    Scene(
        lambda stage: stage.lb2.run(["skd-cluster", "standby"]),
        {
            "Standby": ("lb2", ("is STANDBY since",), ""),
            "BackupNotReady": ("lb1", ("takeover", "could NOT take over"), "10.77.0.2 is standby, not backup"),
        },
        lambda stage: stage.lb2.run(["skd-cluster", "online"]),
    ),
    Scene(
        both("skd-cluster standby"),
        {
            "NoMaster": ("lb2", ("roles", "neither node is master"), "standby and standby"),
            "AddressMissing": ("lb1", ("roles", "neither node is master"), ""),
        },
        both("skd-cluster online"),
    ),
    Scene(
        both(f"{GUARD}; nft add rule inet guard in udp dport 10112 drop"),
        {"TwoMasters": ("lb1", ("roles", "both nodes are master", "firewall"), "inet guard in drops UDP port 10112")},
        both("nft delete table inet guard"),
    ),
    Scene(
        lambda stage: password(stage, password="another"),
        {"BadKey": ("lb1", ("mirror", "the passwords"), "the passwords of lb1 and lb2 are different")},
        password,
    ),
    Scene(
        hand_over_again_and_again,
        {"Flapping": ("lb1", ("an administrator said so",), r"(?s)(backup -> master.*){5}")},
        calm_down,
    ),
    Scene(
        other_version,
        {"VersionsDiffer": ("lb1", ("versions",), r"skd-cluster \S+ on lb1, 2\.9\.0 on lb2")},
        upgrade,
    ),
    Scene(
        address_that_stays,
        {
            "AddressOnBackup": (
                "lb1",
                ("floating-addresses", "is on both nodes"),
                "ip address del 10.77.0.100/24 dev eth0",
            ),
            "NotRealtime": ("lb2", ("without real-time scheduling",), ""),
        },
        address_taken_away,
    ),
    Scene(
        no_sshd,
        {"ReplicationFailing": ("lb1", ("ssh", "replication"), "no sshd answers on the peer 10.77.0.2")},
        lambda stage: stage.lb2.start_sshd(),
    ),
    Scene(
        lambda stage: stage.lb2.stop_daemon(),
        {
            "PeerDown": ("lb1", ("heartbeat", "service", "does not run"), "none of 10.77.0.2 is heard"),
            "NodeMissing": ("lb1", ("the service does not run",), "lb2 +the service does not run"),
        },
        lambda stage: stage.lb2.start_daemon(),
    ),
    Scene(
        hang_and_crash,
        {
            "Crashed": ("lb2", ("the service ended without being stopped",), "3 times since the boot"),
            "Restarting": ("lb2", ("the service ended without being stopped",), "3 times"),
        },
        lambda _: None,  # nobody kills it any more
    ),
    Scene(
        stop_both,
        {"PairMissing": ("lb1", ("the service does not run",), r"(?s)lb1 +the service.*lb2 +the service")},
        start_both,
    ),
)


def first_command(alert: str) -> str:
    """Return what the page of an alert begins with."""
    found = re.match(rf"# SkdCluster{alert}\n\n    (.+)\n", (PAGES / f"SkdCluster{alert}.md").read_text())
    assert found is not None, alert
    return found[1]


def seen_part(alert: str) -> str:
    """Return what the page says to look for, on one line."""
    text = (PAGES / f"SkdCluster{alert}.md").read_text()
    return " ".join(text.partition("**What you see.**")[2].partition("**What to do.**")[0].split())


def typed(node: Node, command: str) -> str:
    """Return what a command prints. Some end with an error because something is wrong: that is what they are for."""
    done = node.run(command, check=False, timeout=60)
    if not done.stdout.strip() or "Traceback" in done.stderr:
        raise CommandError(f"{node.name}: {command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
