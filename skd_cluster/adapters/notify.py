"""What systemd is told: ready, reloading, status, alive, stopping. Without systemd all of it does nothing."""

import os
from collections.abc import Mapping
from contextlib import suppress

from systemd import daemon

from skd_cluster.core.model import Nanos

_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def ready(status: str) -> None:
    """Say that the service works."""
    _say("READY=1", f"STATUS={status}")


def status(sentence: str) -> None:
    """Set the sentence that `systemctl status` shows."""
    _say(f"STATUS={sentence}")


def reloading(now: Nanos) -> None:
    """Say that the configuration is read again; `ready` must follow."""
    _say("RELOADING=1", f"MONOTONIC_USEC={now // 1000}")


def stopping(sentence: str, within: Nanos) -> None:
    """Say that the service stops on purpose and may take `within` for it."""
    _say("STOPPING=1", f"STATUS={sentence}", f"EXTEND_TIMEOUT_USEC={within // 1000}")


def alive() -> None:
    """Feed the watchdog."""
    _say("WATCHDOG=1")


def failed(sentence: str) -> None:
    """Leave a last sentence for `systemctl status`."""
    _say(f"STATUS={sentence}")


def watchdog_period(environment: Mapping[str, str]) -> Nanos | None:
    """Return how often to call `alive`: half of what systemd allows. None when it does not watch this process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = environment.get("WATCHDOG_USEC", "")
    return Nanos(int(usec) * 1000 // 2) if usec.isdigit() and int(usec) > 0 else None


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child, which shall not speak to systemd in our name."""
    return {name: value for name, value in environment.items() if name not in _OURS}


def _say(*lines: str) -> None:
    # Best effort: systemd that does not take the word now is no reason to give up addresses. If it stays deaf, its
    # watchdog decides.
    with suppress(OSError):
        daemon.notify("\n".join(line.replace("\n", " ") for line in lines))
