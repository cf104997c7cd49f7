"""What `skd-cluster doctor` wants to know of this node's service and of what it stands on: read, and changed nothing."""

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from skd_cluster.adapters.command import CannotStartError, run
from skd_cluster.adapters.control import NotRunning, request
from skd_cluster.adapters.examine_network import command_lines
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.schema import Config
from skd_cluster.core.diagnosis_pair import NEEDED
from skd_cluster.core.model import nanos
from skd_cluster.core.scope import Verdict

_PATIENCE = nanos(5)
_ANSWER = 3.0
_UNIT = "LoadState,ActiveState,Result,ExecMainStatus,UnitFileState,RestartPreventExitStatus,NeedDaemonReload,Type"
_LIBRARIES = ("netaddr", "plumbum", "prometheus-client", "pyinotify", "rich", "systemd-python")
_STATUS_WORD = "skudonet-ce-cluster.status"
_SHELL_FILES = ("/root/.bashrc", "/root/.profile", "/root/.bash_profile", "/etc/bash.bashrc", "/etc/profile")
_TIME_ERROR = 5
_SHOWN = 20


def service(config: Config) -> dict[str, Any]:
    """Return what systemd and the service itself say."""
    status: dict[str, Any] = {}
    with suppress(NotRunning, OSError):
        status = request(config.run_dir, {"verb": "status"}, _ANSWER).get("status") or {}
    return {
        "status": status,
        "unit": _unit("skudonet-ce-cluster.service", _UNIT),
        "product_unit": _unit("skudonet.service", "LoadState,DropInPaths"),
        "word": _text(config.status_file).strip(),
        "metrics": _metrics(config, status),
    }


def _unit(name: str, wanted: str) -> dict[str, str]:
    if not Path("/run/systemd/system").is_dir():
        return {}
    try:
        done = run(["systemctl", "show", name, "-p", wanted], _PATIENCE)
    except CannotStartError:
        return {}
    lines = done.output.decode(errors="replace").splitlines() if done.ok else []
    return dict(line.partition("=")[::2] for line in lines if "=" in line)


def _metrics(config: Config, status: dict[str, Any]) -> str:
    """Return what is wrong with the port of the metrics: as the service says, or whether it could be taken."""
    if config.metrics_listen is None:
        return ""
    if status:
        said = [str(one) for one in status.get("problems", []) if str(one).startswith("metrics: ")]
        return said[0].removeprefix("metrics: ") if said else ""
    address, port = config.metrics_listen
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((str(address), port))
        except OSError as error:
            return str(error.strerror)
    return ""


def files(config: Config) -> dict[str, Any]:
    """Return what is wrong with hooks, checks and the state, and what is left of version 2."""
    scripts = {"up_script": config.up_script, "down_script": config.down_script, "adver_script": config.adver_script}
    return {
        "state_dir": _state(config.state_dir),
        "hooks": [[name, str(path), _hook(path)] for name, path in scripts.items()],
        "idle_checks": [str(one) for one in _idle(config.checks_dir)],
        "prompt": [one for one in _shell_files() if _shows_role(one)],
        "leftovers": list(_leftovers(scripts.values())),
    }


def _state(folder: Path) -> str:
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "cannot be written"


def _hook(path: Path) -> str:
    if not path.exists():
        return "missing"
    if not os.access(path, os.X_OK):
        return "not executable"
    with path.open("rb") as file:
        first = file.readline(256)
    if first.startswith(b"\x7fELF"):
        return ""
    if not first.startswith(b"#!"):
        return "its first line does not name a program to run it"
    words = first[2:].decode(errors="replace").split()
    return "" if words and shutil.which(words[0]) else f"its first line names {' '.join(words[:1]) or 'nothing'}"


def _idle(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for one in sorted(folder.iterdir()):
        left = one.name.startswith(".") or one.name.endswith("~") or ".dpkg-" in one.name
        if one.is_file() and not left and not os.access(one, os.X_OK):
            yield one


def _shell_files() -> list[str]:
    return [*map(str, sorted(Path("/etc/profile.d").glob("*.sh"))), *_SHELL_FILES]


def _shows_role(file: str) -> bool:
    text = _text(Path(file))
    return _STATUS_WORD in text or "skd-prompt.sh" in text


def _leftovers(hooks: Any) -> Iterator[list[str]]:
    words = list(command_lines())
    if any(one[0].rpartition("/")[2] == "ucarp" for one in words):
        yield ["ucarp runs: version 2's election, which knows nothing of this one", "pkill -x ucarp"]
    if any("skdinotify.pl" in word for one in words for word in one):
        yield [
            "skdinotify.pl runs: version 2's replication, which overwrites what this one brings",
            "pkill -f skdinotify.pl",
        ]
    if "ucarp" in _text(Path("/etc/init.d/skudonet-ce-cluster")):
        remedy = "update-rc.d -f skudonet-ce-cluster remove; rm /etc/init.d/skudonet-ce-cluster"
        yield ["/etc/init.d/skudonet-ce-cluster is version 2's", remedy]
    for file in _SHELL_FILES:
        if _STATUS_WORD in _text(Path(file)):
            yield [f"{file} has prompt lines of version 2", f"sed -i.before-3 '/skudonet-ce-cluster\\.status/d' {file}"]
    for path in hooks:
        if "skdinotify.pl" in _text(path):
            yield [f"{path} names skdinotify.pl, which is gone", f"sed -i.before-3 '/skdinotify\\.pl/d' {path}"]


def host(config: Config) -> dict[str, Any]:
    """Return limits, clocks and versions of this host."""
    return {
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "product": _product(config),
        "disks": [_disk(path) for path in _places(config)],
        "watches": _number("/proc/sys/fs/inotify/max_user_watches"),
        "instances": _number("/proc/sys/fs/inotify/max_user_instances"),
        "realtime_runtime": _number("/proc/sys/kernel/sched_rt_runtime_us"),
        "realtime_period": _number("/proc/sys/kernel/sched_rt_period_us"),
        "synchronized": _synchronized(),
    }


def tree(config: Config) -> dict[str, Any]:
    """Return how many folders are watched, and what a master needs and `exclude` keeps from the peer."""
    folders, excluded = 0, []
    ours = Tree.of(config)
    for root in ours.roots.values():
        for place, names, file_names in os.walk(root):
            folders += 1
            for name in (*names, *file_names):
                key = ours.key(f"{place}/{name}")
                folder = name in names
                if key and NEEDED.fullmatch(key) and ours.scope.verdict(key, folder=folder) is Verdict.EXCLUDED:
                    excluded.append(key)
    return {"folders": folders, "excluded": sorted(excluded)[:_SHOWN]}


def _places(config: Config) -> list[Path]:
    wanted = (config.status_file.parent, config.state_dir, Path("/var/log"), config.configdir)
    there = [next(one for one in (path, *path.parents) if one.exists()) for path in wanted]
    return list({one.stat().st_dev: one for one in reversed(there)}.values())


def _disk(path: Path) -> list[Any]:
    found = os.statvfs(path)
    return [str(path), found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail, found.f_files]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _product(config: Config) -> str:
    found = re.search(r'^\s*\$version\s*=\s*"([^"]*)"', _text(config.configdir / "global.conf"), re.MULTILINE)
    return found.group(1) if found else ""


def _synchronized() -> int:
    """Return 1 if the kernel's clock is synchronized, 0 if not."""
    buffer = ctypes.create_string_buffer(512)  # struct timex with modes 0: only asks
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    return -1 if state < 0 else int(state != _TIME_ERROR)


def _number(path: str) -> int:
    text = _text(Path(path)).strip()
    return int(text) if text.lstrip("-").isdigit() else -1


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace") if path.is_file() else ""
    except OSError:
        return ""
