"""What a pair may run instead of us: Debian's ucarp with version 2's hooks, and Debian's keepalived."""

import os
import signal
from dataclasses import dataclass, field
from typing import ClassVar, Final

from .machine import Process
from .node import CLUSTER_IP, PREFIX, Node
from .waiting import eventually

OUTPUT: Final = "/var/log/foreign.out"
KEEPALIVED_CONF: Final = "/etc/keepalived/keepalived.conf"

_UCARP_HOOK: Final = '#!/bin/sh\nexec ip address {verb} "$2/{prefix}" dev "$1"\n'
_KEEPALIVED: Final = """\
global_defs {{
  vrrp_version {version}
}}
vrrp_instance pair {{
  state BACKUP
  interface eth0
  virtual_router_id {number}
  priority {priority}
  advert_int {interval}
  {more}
  virtual_ipaddress {{
    {addresses}
  }}
}}
"""


class _Program:
    """What both have in common: a process on a node that tells what it does."""

    node: Node
    _process: Process | None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.alive

    def said(self) -> str:
        """Return what it printed since it was made first on this node."""
        file = self.node.path(OUTPUT)
        return file.read_text() if file.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send(number)
        self._process.wait(10)


@dataclass
class Ucarp(_Program):
    """One node's ucarp, with hooks that add and remove the address. Its keyword arguments are ucarp's own options."""

    node: Node
    password: str = "secret"
    vhid: int = 1
    advbase: int = 1
    advskew: int = 0
    deadratio: int = 3
    preempt: bool = False
    address: str = CLUSTER_IP
    name: ClassVar[str] = "ucarp"
    _process: Process | None = field(default=None, init=False)

    def start(self) -> None:
        """Run it in the foreground."""
        for hook, verb in (("up", "add"), ("down", "del")):
            self.node.write(f"/etc/ucarp-{hook}", _UCARP_HOOK.format(verb=verb, prefix=PREFIX), 0o755)
        before = len(self.said())
        self._process = self.node.popen(
            [
                *("ucarp", "--interface=eth0", f"--srcip={self.node.address}", f"--vhid={self.vhid}"),
                *(f"--pass={self.password}", f"--addr={self.address}", f"--advbase={self.advbase}"),
                *(f"--advskew={self.advskew}", f"--deadratio={self.deadratio}", "--shutdown"),
                *("--upscript=/etc/ucarp-up", "--downscript=/etc/ucarp-down", *(["--preempt"] if self.preempt else [])),
            ],
            output=OUTPUT,
        )
        eventually(lambda: "Switching to state" in self.said()[before:], within=10, what="ucarp runs")

    def stop(self) -> None:
        """End it as its service does: it removes the address, and says nothing."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power loss does, the address included."""
        self._end(signal.SIGKILL)
        self.node.run(f"ip address del {self.address}/{PREFIX} dev eth0", check=False)

    def state(self) -> str:
        """Return what it last said it is: `MASTER` or `BACKUP`."""
        return self.said().rpartition("Switching to state: ")[2].partition("\n")[0]

    def step_down(self) -> None:
        """SIGUSR2: be no master for some seconds."""
        assert self._process is not None
        self._process.send(signal.SIGUSR2)


@dataclass
class Keepalived(_Program):
    """One node's keepalived, in version 3 unless asked otherwise. `more` goes into its instance as it is."""

    node: Node
    priority: int = 100
    interval: str = "1"
    number: int = 1
    version: int = 3
    more: str = ""
    addresses: tuple[str, ...] = (f"{CLUSTER_IP}/{PREFIX}",)
    name: ClassVar[str] = "keepalived"
    _process: Process | None = field(default=None, init=False)

    def start(self) -> None:
        """Write its file and run it in the foreground, the VRRP part alone."""
        text = _KEEPALIVED.format(
            version=self.version,
            number=self.number,
            priority=self.priority,
            interval=self.interval,
            more=self.more,
            addresses="\n    ".join(f"{one} dev eth0" for one in self.addresses),
        )
        self.node.write(KEEPALIVED_CONF, text)
        before = len(self.said())
        command = [
            "keepalived",
            "--dont-fork",
            "--log-console",
            "--log-detail",
            "--vrrp",
            "--use-file",
            KEEPALIVED_CONF,
        ]
        self._process = self.node.popen(command, output=OUTPUT)
        eventually(lambda: "Entering BACKUP" in self.said()[before:], within=10, what="keepalived runs")

    def state(self) -> str:
        """Return what it last said it is: `MASTER` or `BACKUP`."""
        return self.said().rpartition("Entering ")[2].partition(" ")[0]

    def stop(self) -> None:
        """End it as its service does: it resigns, and removes the addresses."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power loss does, the addresses included. The parent last: without it the other one resigns."""
        assert self._process is not None
        parent = self._process.pid
        pids = [pid for pid, name in self.node.processes().items() if name.startswith("keepalived")]
        for pid in sorted(pids, key=parent.__eq__):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        for one in self.addresses:
            self.node.run(f"ip address del {one} dev eth0", check=False)
