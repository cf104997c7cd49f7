"""`skd-cluster check`: everything that is wrong with a configuration file, one line each, and a verdict."""

import argparse
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.config.floating import floating_addresses
from skd_cluster.config.load import Loaded, load
from skd_cluster.config.problems import Problem, is_secret, printable_path
from skd_cluster.config.schema import Config
from skd_cluster.core.model import ExitCode, IPAddress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `check` does; it has no arguments beside those of every command."""
    parser.description = "Read the configuration file, run nothing, print every problem with its line."
    parser.epilog = "Exit code 0: the file can be used, whatever the warnings. 78: it is refused."


def run(args: argparse.Namespace) -> ExitCode:
    """Check `args.config` against this machine and print the result, as JSON with `args.json`."""
    path: Path = args.config
    names = dict(socket.if_nameindex())
    loaded = load(path, interfaces=frozenset(names.values()), addresses=_addresses(names))
    problems = loaded.problems + _tree_problems(loaded.config)
    if args.json:
        print(json.dumps(_as_json(path, loaded, problems), indent=1))
    else:
        for problem in problems:
            print(problem)
        print(_verdict(path, loaded, problems))
    return ExitCode.CONFIG if loaded.refused else ExitCode.OK


def _addresses(names: Mapping[int, str]) -> dict[IPAddress, str] | None:
    """Return the addresses of this machine with their interfaces, None where they cannot be asked for."""
    try:
        netlink = open_netlink()
    except OSError:
        return None
    try:
        return {one.address: names.get(one.index, "") for one in netlink.addresses()}
    except OSError:
        return None
    finally:
        netlink.close()


def _tree_problems(config: Config | None) -> tuple[Problem, ...]:
    """Return the warnings of the product's interface files, where there is a product."""
    if config is None or not config.configdir.is_dir():
        return ()
    return floating_addresses(config).problems


def _verdict(path: Path, loaded: Loaded, problems: tuple[Problem, ...]) -> str:
    name = printable_path(path)
    errors = sum(one.is_error for one in problems)
    others = len(problems) - errors
    counted = f"{errors} error{'s' * (errors != 1)}, {others} warning{'s' * (others != 1)}"
    if loaded.refused:
        return f"{name}: refused: {counted}"
    if not loaded.starts:
        return f'{name}: can be used, but enable_cluster="false": the service does not start'
    return f"{name}: can be used: {counted}" if problems else f"{name}: can be used: no problems"


def _as_json(path: Path, loaded: Loaded, problems: tuple[Problem, ...]) -> dict[str, Any]:
    """Return the facts. Passwords are null; bytes that are not UTF-8 are surrogate escapes."""
    return {
        "file": os.fspath(path),
        "refused": loaded.refused,
        "starts": loaded.starts,
        "problems": [_problem_as_json(one) for one in problems],
        "values": {key: None if is_secret(key) else value for key, value in loaded.values.items()},
    }


def _problem_as_json(problem: Problem) -> dict[str, Any]:
    facts = {
        "file": problem.file,
        "line": problem.line,
        "key": problem.key,
        "kind": problem.kind,
        "severity": problem.severity,
        "found": problem.shown,
        "expected": problem.expected,
    }
    extra = {"first_line": problem.first_line, "other": problem.other}
    facts |= {name: value for name, value in extra.items() if value is not None}
    return facts | ({"nearest": problem.nearest} if problem.kind == "unknown-key" else {})
