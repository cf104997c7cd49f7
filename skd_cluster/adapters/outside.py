"""Hooks and checks outside of this service's sandbox: each a transient unit of systemd, its output still ours.

What an administrator wrote may do anything; this service may not. The unit file asks for it with SKD_RUN_OUTSIDE; without,
they are children as everything else.
"""

import itertools
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from skd_cluster.adapters.command import CannotStartError, Running, start

_PREFIX = "skudonet-ce-cluster-run"
"""The unit file kills units of this name when the service is gone."""

_BUS = Path("/run/dbus/system_bus_socket")
"""`systemd-run --wait` needs it; systemctl does not."""

_PROPERTIES = (
    "KillMode=process",  # what it leaves in the background goes on, as it would without us
    "LogLevelMax=notice",  # two lines about each check every other second would fill the journal
    "DefaultDependencies=no",  # the down hook runs while the machine shuts down, too
)

_numbers = itertools.count(1)
_signalling: list[Running] = []


@dataclass(slots=True)
class Outside:
    """One transient unit, by its name."""

    unit: str = field(default_factory=lambda: f"{_PREFIX}-{os.getpid()}-{next(_numbers)}.service")

    def argv(self, argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """Return the command that runs `argv` there, passes its output on and ends as it ends."""
        options = ["--quiet", "--collect", "--pipe", "--wait", "--service-type=exec", f"--unit={self.unit}"]
        options += [f"--property={one}" for one in _PROPERTIES]
        options += [f"--setenv={name}={value}" for name, value in environment.items()]
        # With our NOTIFY_SOCKET it would speak to systemd as if it were this service.
        return ["env", "--unset=NOTIFY_SOCKET", "systemd-run", *options, "--", *argv]

    def signal(self, name: str) -> None:
        """Have every process of the unit signalled; does not wait for that. Never raises: the caller's deadline stays."""
        signals_pending()
        with suppress(CannotStartError):
            _signalling.append(start(["systemctl", "kill", f"--signal={name}", self.unit]))


def signals_pending() -> int:
    """Let go of the commands that have signalled their unit; return how many have not yet."""
    for one in [one for one in _signalling if one.poll() is not None]:
        _signalling.remove(one)
        one.close()
    return len(_signalling)


def possible(environment: Mapping[str, str], bus: Path = _BUS) -> bool:
    """Whether the unit file asks for it and the bus takes connections.

    Without the bus they run as children, in the sandbox: a hook that starts a service by systemctl does not need more.
    """
    if environment.get("SKD_RUN_OUTSIDE") != "systemd-run":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        return sock.connect_ex(str(bus)) == 0
