"""A load balancer of the lab: a machine with the product's tree, sshd and the cluster service."""

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.fixtures.skudonet_tree import TreeFacts, make_tree, rt_tables_text

from .machine import REPOSITORY, Command, CommandError, Machine, Process
from .notify import NotifySocket
from .waiting import eventually

CONFIG_TREE: Final = "/usr/local/skudonet/config"
RT_TABLES: Final = "/etc/iproute2/rt_tables"
CLUSTER_CONF: Final = "/usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf"
HOOKS: Final = "/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-{}"
CHECKS: Final = "/usr/local/skudonet/app/ucarp/checks.d"
HOOKS_LOG: Final = "/var/log/hooks.log"
STATUS_FILE: Final = "/etc/skudonet-ce-cluster.status"
DAEMON_OUTPUT: Final = "/var/log/skd-cluster.out"
SSHD_LOG: Final = "/var/log/sshd.log"
HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"
ROOT_KEY: Final = "/root/.ssh/id_ed25519"
PROGRAMS: Final = ("skd-cluster", "skd-elector", "skdinotify")
CLUSTER_IP: Final = "10.77.0.100"
PREFIX: Final = 24

BASHRC = "case $- in *i*) ;; *) return;; esac\n"
SSHD_CONFIG = f"""\
Port 22
HostKey {HOST_KEY}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
Subsystem sftp internal-sftp
"""


class Node(Machine):
    """One of the pair. `address` is on eth0, towards the bridge; `product` is the folder with the programs under test."""

    def __init__(self, name: str, address: str, product: Path | None = None) -> None:
        super().__init__(name, address)
        self.peer: Node | None = None
        self.product = product or default_product()
        self.notify: NotifySocket | None = None
        self._daemon: Process | None = None

    def start(self) -> None:
        """Make the machine as a fresh installation without the product's tree."""
        super().start()
        self.run("rm -rf /root/.ssh /root/.bashrc /root/.profile /root/.bash_history /etc/ssh/ssh_host_*")
        self.write("/root/.bashrc", BASHRC)
        self.write("/root/.profile", ". /root/.bashrc\n")
        self.write("/etc/hostname", f"{self.name}\n")
        for program in PROGRAMS:
            link = self.path(f"/usr/local/bin/{program}")
            link.unlink(missing_ok=True)
            link.symlink_to(self.product / program)

    # --- the product's files -------------------------------------------------------------

    def make_tree(self, **options: Any) -> TreeFacts:
        """Put the product's configuration and routing tables in place; options as for the fixture's `make_tree`."""
        root = self.path(CONFIG_TREE)
        root.parent.mkdir(parents=True, exist_ok=True)
        facts = make_tree(root, **{"node": self.name, **options})
        self.write(RT_TABLES, rt_tables_text(self.name))
        return facts

    def write_config(self, **overrides: str | None) -> Path:
        """Write the cluster's configuration as users have it, with hooks that log their calls; None leaves a key out."""
        values: dict[str, str | None] = {
            "interface": "eth0",
            "local_ip": self.address,
            "remote_ip": self.peer.address if self.peer else None,
            "password": "secret",
            "cluster_id": "1",
            "cluster_ip": f"{CLUSTER_IP}/{PREFIX}",
            "exclude": "--exclude if_eth0_conf",
            **overrides,
        }
        self.write_hooks()
        text = "".join(f'${key}="{value}";\n' for key, value in values.items() if value is not None)
        return self.write(CLUSTER_CONF, f"# {self.name}\n{text}", 0o600)

    def write_hooks(self) -> None:
        """Put hooks in place that log their calls."""
        for hook in ("start", "stop", "advertisement"):
            self.write(HOOKS.format(hook), f'#!/bin/sh\necho "$(date +%s.%N) {hook} $1 $2" >> {HOOKS_LOG}\n', 0o755)

    def hooks(self) -> list[list[str]]:
        """Return the calls of the hooks so far: time, which one, its arguments."""
        log = self.path(HOOKS_LOG)
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    # --- sshd ----------------------------------------------------------------------------

    def make_keys(self) -> None:
        """Make a host key and root's key, where there is none yet."""
        self.run("mkdir -p -m 700 /root/.ssh && mkdir -p /etc/ssh")
        for key in (HOST_KEY, ROOT_KEY):
            if not self.path(key).exists():
                self.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{self.name}", "-f", key])

    def trust(self, other: "Node") -> None:
        """Let root of `other` log in here, and root here know the host key of `other`."""
        with self.path("/root/.ssh/authorized_keys").open("a") as file:
            file.write(other.path(f"{ROOT_KEY}.pub").read_text())
        with self.path("/root/.ssh/known_hosts").open("a") as file:
            file.write(f"{other.address},{other.name} {other.path(f'{HOST_KEY}.pub').read_text()}")

    def start_sshd(self) -> None:
        """Run the machine's own sshd; returns when it answers."""
        self.make_keys()
        self.write("/etc/ssh/sshd_config", SSHD_CONFIG)
        self.run("mkdir -p -m 755 /run/sshd")
        self.run(["/usr/sbin/sshd", "-E", SSHD_LOG])
        eventually(self._sshd_listens, what=f"sshd of {self.name} listens")

    def stop_sshd(self) -> None:
        """End sshd; sessions that are open stay, as with systemd's KillMode=process."""
        pid_file = self.path("/run/sshd.pid")
        self.run(["kill", pid_file.read_text().strip()])
        eventually(lambda: not self._sshd_listens(), what=f"sshd of {self.name} has ended")

    def _sshd_listens(self) -> bool:
        return bool(self.run("ss -Hltn 'sport = :22'").stdout)

    # --- the daemon ----------------------------------------------------------------------

    def start_daemon(
        self,
        command: Command = ("/usr/local/bin/skd-cluster", "run"),
        *,
        wait: bool = True,
        watchdog: float = 10.0,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start the cluster service as systemd would, and wait until it is ready.

        What it prints goes to /var/log/skd-cluster.out of the node, what it tells systemd to `notified`.
        """
        if self.notify:
            self.notify.close()
        self.notify = NotifySocket(self.path("/run/notify.sock"))
        self.notify.start()
        self.at_close(self.notify.close)
        known = {"NOTIFY_SOCKET": "/run/notify.sock", "WATCHDOG_USEC": str(round(watchdog * 1_000_000)), **(env or {})}
        self._daemon = daemon = self.popen(command, env=known, output=DAEMON_OUTPUT)
        if wait:
            eventually(lambda: self._settled(daemon), within=10, what=f"{self.name} is ready")
            if "READY=1" not in self.notified:
                raise CommandError(f"the daemon ended with {daemon.wait()}:\n{self.output()[-2000:]}")
        return daemon

    def _settled(self, daemon: Process) -> bool:
        if "READY=1" in self.notified or not daemon.alive:
            return True
        raise AssertionError(f"it told systemd {self.notified}, printed {self.output()[-2000:]!r}")

    @property
    def notified(self) -> list[str]:
        """What the daemon told systemd since its last start, a variable a line."""
        return self.notify.lines if self.notify else []

    def output(self) -> str:
        """Return all that daemons on this node printed so far."""
        file = self.path(DAEMON_OUTPUT)
        return file.read_text(errors="replace") if file.exists() else ""

    def stop_daemon(self, *, within: float = 10.0) -> int:
        """SIGTERM, and return the exit code."""
        assert self._daemon is not None, f"no daemon was started on {self.name}"
        self._daemon.send(signal.SIGTERM)
        return self._daemon.wait(within)

    def daemon_pids(self, names: Sequence[str] = PROGRAMS) -> dict[str, int]:
        """Return the service's processes by name, as numbers on the host (for `pause` and `os.kill`).

        Of several called skd-cluster it is the one that runs, not a command or the receiver of a login.
        """
        found: dict[str, int] = {}
        for pid, name in self.processes().items():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if name in names and (name != "skd-cluster" or b"run" in words):
                    found[name] = pid
        return found

    def kill_daemon(self) -> None:
        """SIGKILL for all of the service's processes, the others of the machine live on."""
        self.run("pkill -KILL -x 'skd-cluster|skd-elector|skdinotify'", check=False)

    def role(self) -> str:
        """Return the word in the status file, empty when there is no file."""
        try:
            return self.path(STATUS_FILE).read_text().strip()
        except FileNotFoundError:
            return ""

    def status(self) -> dict[str, Any]:
        """Return what `skd-cluster status --json` says; CommandError when it fails."""
        facts: dict[str, Any] = json.loads(self.run(["skd-cluster", "status", "--json"]).stdout)
        return facts

    # --- addresses and power -------------------------------------------------------------

    def holds(self, address: str = CLUSTER_IP) -> bool:
        """Say whether the kernel has the address on any interface."""
        links = json.loads(self.run(["ip", "-json", "address", "show"]).stdout)
        return any(one["local"] == address for link in links for one in link["addr_info"])

    def add_address(self, address: str = f"{CLUSTER_IP}/{PREFIX}", label: str = "") -> None:
        """Bring an address up as the product does with a virtual interface."""
        self.run(["ip", "address", "add", address, "dev", "eth0", *(["label", label] if label else [])])

    def remove_address(self, address: str = f"{CLUSTER_IP}/{PREFIX}") -> None:
        self.run(["ip", "address", "del", address, "dev", "eth0"])

    def link_down(self) -> None:
        """Take eth0 down as an administrator does (`lab.cut` is the cable)."""
        self.run("ip link set eth0 down")

    def link_up(self) -> None:
        self.run("ip link set eth0 up")

    def forget_memory(self) -> None:
        """Make of a machine whose processes were killed one that has just booted: nothing in /run, only its own address."""
        self.run("find /run -mindepth 1 -xdev -delete; ip address flush dev eth0")
        self.run(["ip", "address", "add", f"{self.address}/{PREFIX}", "dev", "eth0"])


def default_product() -> Path:
    """Return the programs on Debian's own libraries if they are installed, else those on the newest."""
    folders = [REPOSITORY / name / "bin" for name in (".venv-debian", ".venv")]
    return next((folder for folder in folders if (folder / "skd-cluster").exists()), folders[0])
