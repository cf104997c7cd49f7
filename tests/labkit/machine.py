"""A machine of the lab: its own network, processes, hostname and folders, on the host's kernel and programs."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from .waiting import eventually

REPOSITORY: Final = Path(__file__).resolve().parents[2]
INIT: Final = Path(__file__).with_name("init.py")
SYSTEM_PYTHON: Final = "/usr/bin/python3"
NAMESPACES: Final = ("mount", "uts", "ipc", "net", "pid")
PRIVATE_FOLDERS: Final = ("/etc", "/usr/local", "/var", "/root")
CLEAN_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}

Command = Sequence[str | Path] | str


class CommandError(AssertionError):
    """A command on a machine ended otherwise than it should have; the message holds all it said."""


class Process:
    """A program running on a machine. `pid` is its number on the host, so `os.kill` and /proc work on it directly."""

    def __init__(self, entering: "subprocess.Popen[str]", what: str) -> None:
        self._entering = entering  # nsenter, which waits for the program and ends as it ends
        self._what = what
        self._pid = 0
        self.stdin, self.stdout, self.stderr = entering.stdin, entering.stdout, entering.stderr

    @property
    def pid(self) -> int:
        """The program's number on the host. ProcessLookupError when it has ended."""
        if not self._pid:
            eventually(lambda: child_of(self._entering.pid) or self._entering.poll() is not None, what=self._what)
            self._pid = child_of(self._entering.pid) or 0
        if not self._pid or not self.alive:
            raise ProcessLookupError(f"{self._what} has ended")
        return self._pid

    @property
    def alive(self) -> bool:
        self._wake()
        return self._entering.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the program has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if number in {signal.SIGKILL, signal.SIGCONT}:
            self._wake(always=True)

    def _wake(self, *, always: bool = False) -> None:
        """Nsenter stops itself when its program is stopped: have it look again when that one has ended or goes on."""
        if self._pid and (always or state_of(self._pid) in {"Z", ""}):
            with suppress(ProcessLookupError):
                os.kill(self._entering.pid, signal.SIGCONT)

    def wait(self, within: float = 10.0) -> int:
        """Return the exit code, negative for a signal; AssertionError when it takes longer."""
        eventually(lambda: not self.alive, within=within, what=f"{self._what}: has ended")
        return int(self._entering.returncode)

    def communicate(self, text: str | None, within: float) -> tuple[str, str]:
        """Feed and read the program to its end, which is SIGKILL after `within` seconds."""
        try:
            return self._entering.communicate(text, within)
        except subprocess.TimeoutExpired:
            self.kill()
            said, complained = self._entering.communicate(timeout=1)
            raise CommandError(f"{self._what}: still running after {within} s\n{said}{complained}") from None

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.wait(2)

    def close(self) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class Machine:
    """Namespaces under one name, held by a first process that dies with the lab."""

    def __init__(self, name: str, address: str = "", *, folders: Iterable[str] = PRIVATE_FOLDERS) -> None:
        self.name = name
        self.address = address
        self._folders = tuple(folders)
        self._holder: subprocess.Popen[str] | None = None
        self._init_pid = 0
        self._processes: list[Process] = []
        self._closers: list[Callable[[], None]] = []

    def start(self) -> None:
        """Make the namespaces; returns when commands can be run in them."""
        options = [f"--{name}" for name in NAMESPACES]
        program = [SYSTEM_PYTHON, "-I", "-S", str(INIT), self.name, str(REPOSITORY), *self._folders]
        self._holder = subprocess.Popen(
            ["unshare", "--fork", "--kill-child=SIGKILL", *options, "--", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=CLEAN_ENVIRONMENT,
            start_new_session=True,  # Ctrl-C at a terminal is for the lab, which then cleans up
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        if not said.strip().isdigit():
            said += self._holder.stdout.read()
            self._holder.wait()
            raise CommandError(f"{self.name}: no namespaces: {said}")
        self._init_pid = int(said)

    def close(self) -> None:
        """End every process of the machine; its namespaces, mounts and interfaces go with them."""
        for closer in self._closers:
            closer()
        holder, self._holder = self._holder, None
        if holder is None:
            return
        assert holder.stdin is not None
        assert holder.stdout is not None
        for process in self._processes:
            process.kill()
            process.close()
        with suppress(OSError):
            holder.stdin.close()
        try:
            holder.wait(5)
        except subprocess.TimeoutExpired:
            holder.kill()  # takes the first process along, and that one all others
            holder.wait()
        holder.stdout.close()

    def keep(self) -> None:
        """From now on the machine stays when the lab ends, until SIGTERM to `pid`."""
        assert self._holder is not None
        assert self._holder.stdin is not None
        self._holder.stdin.write("keep\n")
        self._holder.stdin.flush()

    def leave(self) -> None:
        """Let go of a kept machine without ending it."""
        self._holder = None
        self._processes.clear()

    def at_close(self, action: Callable[[], None]) -> None:
        """Have something of the host's side undone when the machine goes."""
        self._closers.append(action)

    @property
    def pid(self) -> int:
        """The machine's first process, as a number on the host."""
        assert self._init_pid, f"{self.name} was not started"
        return self._init_pid

    @property
    def enter(self) -> str:
        """The command by which a person gets a shell on this machine."""
        options = " ".join(f"--{name}" for name in NAMESPACES)
        return f"nsenter --target {self.pid} {options} --wd=/root env -i TERM=$TERM HOME=/root bash -i"

    def popen(
        self, command: Command, *, env: Mapping[str, str] | None = None, cwd: str = "/", output: str = "", **pipes: int
    ) -> Process:
        """Start a program on the machine, in a clean environment plus `env`; a string is for bash.

        `output` names a file of the machine that gets all it says; else `stdin`, `stdout`, `stderr` may be
        `subprocess.PIPE`, and are nothing by default. It ends with the machine at the latest.
        """
        arguments = ["bash", "-c", command] if isinstance(command, str) else [str(part) for part in command]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **pipes}
        log = os.open(self.path(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if output else None
        if log is not None:
            streams["stdout"] = streams["stderr"] = log
        entering = subprocess.Popen(
            [*self._entrance(cwd), *arguments],
            env={**CLEAN_ENVIRONMENT, **(env or {})},
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,
            stdin=streams["stdin"],
            stdout=streams["stdout"],
            stderr=streams["stderr"],
        )
        if log is not None:
            os.close(log)
        process = Process(entering, f"{self.name}: {' '.join(arguments)}")
        self._processes = [one for one in self._processes if one.alive]
        self._processes.append(process)
        return process

    def _entrance(self, cwd: str) -> list[str]:
        """Return the words in front of a command that is to run on this machine."""
        return ["nsenter", "--target", str(self.pid), *(f"--{name}" for name in NAMESPACES), f"--wd={cwd}", "--"]

    def run(
        self,
        command: Command,
        *,
        check: bool = True,
        input: str | None = None,  # noqa: A002 -- as subprocess.run calls it
        timeout: float = 30.0,
        env: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end. CommandError with all its output if it fails (unless `check` is off) or hangs."""
        pipe = subprocess.PIPE
        process = self.popen(
            command, env=env, stdin=subprocess.DEVNULL if input is None else pipe, stdout=pipe, stderr=pipe
        )
        out, err = process.communicate(input, timeout)
        code = process.wait()
        if check and code:
            raise CommandError(f"{self.name}: {command!r} ended with {code}\n{out}{err}")
        return subprocess.CompletedProcess(command, code, out, err)

    def path(self, inside: str | Path) -> Path:
        """Return where the host sees a file of this machine.

        Links on the way are followed as the machine would follow them. The last part is not: if it is a link to an
        absolute path, opening it would lead to the host's file.
        """
        root = Path(f"/proc/{self.pid}/root")
        found = root
        todo = [part for part in Path(inside).parts if part != "/"]
        while len(todo) > 1:
            part = todo.pop(0)
            if part == "..":
                found = found if found == root else found.parent
                continue
            step = found / part
            if step.is_symlink():
                target = step.readlink()
                found = root if target.is_absolute() else found
                todo = [one for one in target.parts if one != "/"] + todo
            else:
                found = step
        return found / todo[0] if todo else found

    def write(self, inside: str | Path, content: str, mode: int = 0o644) -> Path:
        """Write a file of the machine, making its folders."""
        file = self.path(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch(mode & 0o700)
        file.chmod(mode)
        file.write_text(content)
        return file

    def processes(self) -> dict[int, str]:
        """Return every process of the machine but the first one: its number on the host, and its name."""
        space = Path(f"/proc/{self.pid}/ns/pid").stat().st_ino
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == self.pid:
                continue
            with suppress(OSError):  # it ended meanwhile
                if (folder / "ns/pid").stat().st_ino == space:
                    found[int(folder.name)] = (folder / "comm").read_text().rstrip("\n")
        return found

    def kill_everything(self) -> None:
        """SIGKILL for every process but the first, all at once."""
        self.run("kill -KILL -1", check=False)
        for process in self._processes:
            process.kill()

    def pause(self, pid: int) -> None:
        """SIGSTOP; `pid` is a number on the host."""
        os.kill(pid, signal.SIGSTOP)

    def resume(self, pid: int) -> None:
        os.kill(pid, signal.SIGCONT)
        for process in self._processes:
            if process.alive and process.pid == pid:
                process.send(signal.SIGCONT)


def child_of(pid: int) -> int | None:
    """Return the first child of a process, or None."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def state_of(pid: int) -> str:
    """Return the letter ps shows for a process, or an empty string when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def why_not() -> str:
    """Return why no lab can be built on this host, or an empty string."""
    if os.geteuid() != 0:
        return "needs root"
    options = [f"--{name}" for name in NAMESPACES]
    trial = "mount -t tmpfs lab /mnt && ip link add lab0 type bridge && nft list ruleset"
    try:
        done = subprocess.run(
            ["unshare", "--fork", "--mount-proc", *options, "sh", "-c", trial],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        return str(error)
    return "" if done.returncode == 0 else re.sub(r"\s+", " ", done.stderr).strip() or "no namespaces here"
