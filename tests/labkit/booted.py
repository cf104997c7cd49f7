"""Load balancers that boot: Debian 12 with systemd in a container each, on the switch of a lab, with a disk of their own.

    with BootedLab(packages=("rsync",)) as lab:
        lb1 = lab.node("lb1", "192.168.1.250")          # returns when systemd has finished starting
        lb1.install(package)                            # apt install ./package
        lb1.run("systemctl enable --now skudonet-ce-cluster")
        lb1.reboot()

A `BootedNode` does what a `Node` does, with systemd where that one plays it, and has a boot, a shutdown and a journal
besides. All of it runs inside of the switch's namespaces, disks in memory included: it ends with the lab.

It cannot set a clock (the clock is the host's), load a module, or write a sysctl outside of its own network.
"""

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Self

from .holders import HolderWatch
from .image import TOOLS, image
from .lab import BRIDGE, Lab
from .machine import Command, CommandError, Machine, Process, child_of
from .machine import why_not as why_no_lab
from .node import CLUSTER_IP, PREFIX, Node
from .waiting import eventually

SERVICE: Final = "skudonet-ce-cluster.service"
CGROUPS: Final = "/sys/fs/cgroup"
OURS: Final = "skd-lab"
REBOOT: Final = 133  # how systemd-nspawn ends when the system in it wants to boot again
DISK: Final = "256m"  # in memory; what is taken of it is what differs from the image
CONSOLE: Final = "/run/{}.console"
FORBIDDEN: Final = ("CAP_SYS_TIME", "CAP_SYS_MODULE", "CAP_SYS_RAWIO")

NETWORK = """\
[Match]
Name=eth0

[Network]
Address={}
LinkLocalAddressing=no
ConfigureWithoutCarrier=yes
"""


class BootedNode(Node):
    """A load balancer with systemd as its first process. It is off between `shutdown` or a power cut and `boot`."""

    def __init__(self, name: str, address: str, rack: Machine, base: Path) -> None:
        super().__init__(name, address)
        self._rack = rack
        self._base = base
        self._container: Process | None = None
        self.power_watchers: list[Callable[[int], None]] = []
        """Called with the first process of a boot, and with 0 when the power is off."""

    # --- power ---------------------------------------------------------------------------

    def start(self) -> None:
        """Plug in a new disk and boot from it."""
        disk = f"/mnt/{self.name}"
        options = f"lowerdir={self._base},upperdir={disk}/upper,workdir={disk}/work"
        self._rack.run(f"mkdir {disk} && mount -t tmpfs -o size={DISK},mode=755 disk {disk}")
        self._rack.run(
            f"mkdir -p {disk}/upper {disk}/work {disk}/root && mount -t overlay disk -o {options} {disk}/root"
        )
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/machine-id", f"{secrets.token_hex(16)}\n")
        self.write("/etc/systemd/network/10-eth0.network", NETWORK.format(f"{self.address}/{PREFIX}"))
        self._rack.run(["chroot", f"{disk}/root", "ssh-keygen", "-q", "-A"])
        self.boot()

    def boot(self, *, wait: bool = True) -> None:
        """Switch it on; returns when systemd has started all it wants to start."""
        assert not self.is_on, f"{self.name} is on already"
        group = f"{CGROUPS}/{OURS}-{os.getpid()}-{self.name}"
        nspawn = [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory=/mnt/{self.name}/root", f"--machine={self.name}"),
            *("--register=no", "--keep-unit", "--console=read-only", "--private-network"),
            *("--capability=all", f"--drop-capability={','.join(FORBIDDEN)}"),
            f"--network-veth-extra={self.name}:eth0",
        ]
        self._container = container = self._rack.popen(
            f"mkdir -p {group} && echo $$ > {group}/cgroup.procs && exec {' '.join(nspawn)}",
            output=CONSOLE.format(self.name),
        )
        connect = f"ip link set {self.name} master {BRIDGE} && ip link set {self.name} up"
        eventually(lambda: self._rack.run(connect, check=False).returncode == 0, what=f"{self.name} is on the switch")
        self._init_pid = eventually(lambda: _systemd_in(container), what=f"{self.name} runs systemd")
        self._tell(self._init_pid)
        if wait:
            self.wait_booted()

    def wait_booted(self, within: float = 30.0) -> None:
        """Return when systemd says that it has started all that it wants to start."""
        eventually(self._booted, within=within, what=f"{self.name} has booted")

    def _booted(self) -> bool:
        seen = self.run("systemctl is-system-running; systemctl list-jobs", check=False)
        if seen.stdout.split()[:1] in (["running"], ["degraded"]):
            return True
        raise AssertionError(f"{seen.stdout}{seen.stderr}")

    @property
    def is_on(self) -> bool:
        return self._container is not None and self._container.alive

    def shutdown(self, how: str = "poweroff", within: float = 100.0) -> int:
        """Shut it down in order, as an administrator does; returns how systemd-nspawn ended."""
        assert self._container is not None
        self.run(["systemctl", "--no-block", how])
        return self.wait_off(within)

    def wait_off(self, within: float = 100.0) -> int:
        """Return when it has gone off by itself."""
        assert self._container is not None
        code = self._container.wait(within)
        self._gone()
        return code

    def reboot(self, within: float = 100.0) -> None:
        """`systemctl reboot`, and wait until it is up again."""
        code = self.shutdown("reboot", within)
        assert code == REBOOT, f"{self.name} ended with {code} instead of booting again"
        self.boot()

    def kill_everything(self) -> None:
        """Cut the power: nothing gets a chance to say anything. The disk stays."""
        if self._container is not None:
            self._container.send(signal.SIGKILL)  # before it can clear up
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # and with its first process the kernel ends all others
            self._container.wait()
        self._gone()

    def forget_memory(self) -> None:
        """Boot again after a power cut."""
        self.boot()

    def _tell(self, pid: int) -> None:
        for watcher in self.power_watchers:
            watcher(pid)

    def _gone(self) -> None:
        """Clear away what a dead container leaves: its cable, its control groups."""
        self._container = None
        self._tell(0)
        for process in self._processes:
            process.kill()
        self._processes.clear()
        self._rack.run(["ip", "link", "delete", self.name], check=False)
        group = self._rack.path(f"{CGROUPS}/{OURS}-{os.getpid()}-{self.name}")
        eventually(lambda: remove_group(group), what=f"{group} is empty")

    def close(self) -> None:
        self.kill_everything()

    def keep(self) -> None:
        """It stays as long as the switch does."""

    def leave(self) -> None:
        self._container = None

    # --- commands and files --------------------------------------------------------------

    def _entrance(self, cwd: str) -> list[str]:
        spaces = [f"--{space}" for space in ("mount", "uts", "ipc", "net", "pid", "cgroup")]
        bounds = ",".join(
            f"-{one.removeprefix('CAP_').lower()}" for one in FORBIDDEN
        )  # a command brings the host's powers
        inside = ["setpriv", f"--bounding-set={bounds}", "env", f"--chdir={cwd}"]
        return ["nsenter", "--target", str(self.pid), *spaces, "--root", "--wd", "--", *inside]

    @property
    def enter(self) -> str:
        """The command by which a person gets a shell on this node."""
        return f"{' '.join(self._entrance('/root'))} -i TERM=$TERM HOME=/root bash -il"

    def path(self, inside: str | Path) -> Path:
        """Return where the host sees a file of this node, be it on or off."""
        return (
            super().path(inside) if self.is_on else self._rack.path(f"/mnt/{self.name}/root/{str(inside).lstrip('/')}")
        )

    def console(self) -> str:
        """Return what the node printed on its console, of all boots."""
        return self._rack.path(CONSOLE.format(self.name)).read_text(errors="replace")

    def fill_disk(self) -> None:
        """Leave not a byte free, on /etc, /var and all else that is not in memory anyway."""
        self.run("cat /dev/zero > /fill-the-disk", check=False)
        assert self.run("echo one > /fill-the-disk-more", check=False).returncode, "the disk is not full"

    def free_disk(self) -> None:
        self.run("rm -f /fill-the-disk /fill-the-disk-more")

    # --- the service, as systemd runs it --------------------------------------------------

    def install(self, package: Path, *, timeout: float = 120.0) -> str:
        """`apt install ./package` as root does it; returns what apt said."""
        shutil.copyfile(package, self.path(f"/root/{package.name}"))
        apt = f"cd /root && apt install -y ./{package.name} 2>&1"
        return self.run(apt, timeout=timeout, env={"DEBIAN_FRONTEND": "noninteractive"}).stdout

    def write_hooks(self) -> None:
        """The package brings its own."""

    def start_daemon(
        self,
        command: Command = ("systemctl", "start", SERVICE),
        *,
        wait: bool = True,
        watchdog: float = 0.0,  # noqa: ARG002 -- the unit's
        env: Mapping[str, str] | None = None,  # noqa: ARG002 -- the unit's
    ) -> Process:
        """Start the service; its unit says how."""
        starting = self.popen(command)
        if wait and starting.wait(30):
            raise CommandError(f"{self.name}: the service does not start:\n{self.output()[-2000:]}")
        return starting

    def stop_daemon(self, *, within: float = 10.0) -> int:
        return self.run(["systemctl", "stop", SERVICE], timeout=within).returncode

    def start_sshd(self) -> None:
        """Systemd did."""
        self.make_keys()
        eventually(self._sshd_listens, what=f"sshd of {self.name} listens")

    def stop_sshd(self) -> None:
        self.run("systemctl stop ssh")

    def output(self) -> str:
        """Return the service's journal."""
        return self.journal("-u", SERVICE)

    def journal(self, *options: str) -> str:
        """Return what `journalctl` says with these options."""
        return self.run(["journalctl", "--quiet", "--no-pager", "--output=short-monotonic", *options]).stdout

    def unit(self, name: str = SERVICE) -> dict[str, str]:
        """Return what systemd knows of a unit."""
        lines = self.run(["systemctl", "show", name]).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


class BootedLab(Lab):
    """A lab whose load balancers boot. `packages`: of Debian, installed on all of them from the start."""

    def __init__(self, packages: Iterable[str] = ()) -> None:
        super().__init__()
        self._base = image(packages)
        self._switch = Machine("switch", folders=("/etc",))  # so that /run is its own

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._switch.run(f"mount -t cgroup2 cgroups {CGROUPS} && mount -t tmpfs -o mode=755 disks /mnt")
            self._sweep()
        except BaseException:
            self.close()
            raise
        return self

    def _sweep(self) -> None:
        """Remove the control groups of labs that were killed."""
        for group in self._switch.path(CGROUPS).glob(f"{OURS}-*"):
            if "populated 0" in (group / "cgroup.events").read_text():
                remove_group(group)

    def keep(self) -> str:
        """As of any lab: what boots ends with the switch."""
        super().keep()
        return f"kill {self._switch.pid} " + " ".join(str(one.pid) for one in self._plain())

    def _plain(self) -> list[Machine]:
        return [one for one in self.machines.values() if not isinstance(one, BootedNode)]

    def _make_node(self, name: str, address: str, product: Path | None) -> BootedNode:  # noqa: ARG002 -- what is installed runs
        return BootedNode(name, address, self._switch, self._base)

    def node(self, name: str, address: str, *, product: Path | None = None) -> BootedNode:
        node = super().node(name, address, product=product)
        assert isinstance(node, BootedNode)
        return node

    def _connect(self, machine: Machine) -> None:
        if not isinstance(machine, BootedNode):  # that one brings its cable along
            super()._connect(machine)

    def nodes(self) -> list[BootedNode]:
        return [one for one in self.machines.values() if isinstance(one, BootedNode)]

    def watch_holders(self, address: str = CLUSTER_IP) -> HolderWatch:
        """As of any lab, and it follows a node through its boots."""
        nodes = self.nodes()
        watch = HolderWatch(address, {node.name: node.pid for node in nodes if node.is_on})
        for node in nodes:
            node.power_watchers[:] = [partial(watch.follow, node.name)]
        return watch

    def trust(self) -> None:
        for node in self.nodes():
            node.start_sshd()
            for other in self.nodes():
                if other is not node:
                    other.make_keys()
                    node.trust(other)


def _systemd_in(container: Process) -> int:
    """Return the first process of a container that has got as far as running systemd, or 0."""
    pid = child_of(container.pid)
    with suppress(OSError):
        if pid and Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
            return pid
    return 0


def remove_group(group: Path) -> bool:
    """Remove a control group with all below it; False while somebody is in it."""
    with suppress(FileNotFoundError):
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
    return True


def why_not() -> str:
    """Return why no node can be booted on this host, or an empty string."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if missing:
        return f"{' and '.join(missing)} not installed"
    return why_no_lab()


__all__ = ["CLUSTER_IP", "SERVICE", "BootedLab", "BootedNode", "why_not"]
