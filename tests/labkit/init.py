"""The first process of a lab machine: makes its private folders, then reaps orphans until the lab lets go.

A program of its own, run by `unshare` in fresh namespaces with the standard library only:

    init.py NAME VISIBLE [FOLDER...]

Every FOLDER becomes an overlay whose upper side is memory, /run an empty tmpfs. VISIBLE (the repository) is seen
through all of it, even if it lies in such a folder on a mount of its own. When all is ready one line says which
process this is outside. It ends, and with it every process of the machine, when its standard input is closed (so
also when the lab is killed) or on SIGTERM; after a line "keep" only on SIGTERM.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

STAGE = Path("/mnt")


def mount(*arguments: str) -> None:
    subprocess.run(["/bin/mount", *arguments], check=True)


def make_private(folders: list[str], visible: str) -> None:
    mount("-t", "tmpfs", "lab", str(STAGE))
    seen = STAGE / "visible"
    seen.mkdir()
    mount("--rbind", visible, str(seen))
    for number, folder in enumerate(folders):
        upper, work = STAGE / f"upper{number}", STAGE / f"work{number}"
        upper.mkdir()
        work.mkdir()
        upper.chmod(Path(folder).stat().st_mode & 0o7777)
        mount("-t", "overlay", "lab", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", folder)
    mount("-t", "tmpfs", "-o", "mode=755", "lab", "/run")
    if any(Path(visible).is_relative_to(folder) for folder in [*folders, "/run"]):
        Path(visible).mkdir(parents=True, exist_ok=True)
        mount("--rbind", str(seen), visible)
    # The overlays hold what they need of the stage; nobody has to see it.
    subprocess.run(["/bin/umount", "--lazy", str(STAGE)], check=True)


def reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def serve() -> None:
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    watched = [0, woken]
    while True:
        reap()
        readable, _, _ = select.select(watched, [], [])
        if woken in readable:
            os.read(woken, 512)
        if 0 in readable:
            order = os.read(0, 512)
            if order.startswith(b"keep"):
                watched = [woken]
            elif not order:
                return


def main() -> None:
    name, visible, *folders = sys.argv[1:]
    pid_outside = Path("/proc/self").readlink()  # this is still the procfs of the outside
    if folders:
        make_private(folders, visible)
    mount("-t", "proc", "proc", "/proc")
    mount("-t", "sysfs", "sysfs", "/sys")
    socket.sethostname(name)
    subprocess.run(["/bin/ip", "link", "set", "lo", "up"], check=True)
    print(pid_outside, flush=True)
    serve()


if __name__ == "__main__":
    main()
