"""The programs that make up the service: each in a group of its own, watched through a descriptor, never waited for."""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def find_program(name: str, environment: Mapping[str, str]) -> str:
    """Return the path of one of our programs: in SKD_CHILDREN_DIR, beside this one, or in PATH.

    The bare name when it is nowhere: starting that fails with a clear error.
    """
    folders = [environment.get("SKD_CHILDREN_DIR", ""), str(Path(sys.argv[0]).resolve().parent)]
    for folder in folders:
        candidate = Path(folder, name)
        if folder and os.access(candidate, os.X_OK):
            return str(candidate)
    return shutil.which(name) or name


def spawn(command: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int] = ()) -> "Process":
    """Start a program by exec in a session of its own. Raises OSError when it cannot be started."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(errno.ENOENT, "not there or not executable", command[0])
    popen = subprocess.Popen(  # noqa: S603 -- no shell; the programs are our own
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )
    return Process(popen, os.pidfd_open(popen.pid))


def tie_to_parent() -> None:
    """Have the kernel end this process when its parent dies, however that comes about.

    Asked for by the child itself: code between fork and exec is not safe beside threads. A parent that died before is told
    by the end of the channel.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


@dataclass(slots=True)
class Process:
    """A running program. `pidfd` becomes readable when it has ended; then `reap` once."""

    popen: subprocess.Popen[bytes]
    pidfd: int

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self.popen.pid

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the program and everything it started in its group. The group's id is ours until `reap`."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def reap(self, *, sweep: bool = False) -> int:
        """Return its exit status, negative for a signal. With `sweep` what is left of its group is killed first."""
        if sweep:
            self.signal_group(signal.SIGKILL)
        os.close(self.pidfd)
        self.pidfd = -1
        return self.popen.wait()
