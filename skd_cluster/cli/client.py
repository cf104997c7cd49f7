"""How every verb asks the running service."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from skd_cluster.adapters.control import NotRunning, request
from skd_cluster.config.load import load
from skd_cluster.core.model import ExitCode

_DEFAULT_RUN_DIR = Path("/run/skd-cluster")

TIMEOUT = 7.0
"""Seconds: more than the service itself waits for a change of role."""


class NoAnswer(Exception):  # noqa: N818 -- what happened is in `code`
    """The service said nothing; what that means was printed."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


def run_dir_of(config_path: Path) -> Path:
    """Return where the service listens. With a refused configuration the one that runs is likely the usual place."""
    config = load(config_path).config
    return _DEFAULT_RUN_DIR if config is None else config.run_dir


def ask(args: argparse.Namespace, **asked: Any) -> dict[str, Any]:
    """Ask the service and return its answer. Raises NoAnswer after printing one line."""
    try:
        return request(run_dir_of(args.config), asked, TIMEOUT)
    except NotRunning:
        text, code = "the service is not running", ExitCode.NOT_RUNNING
    except PermissionError:
        text, code = "only root may ask the service", ExitCode.FAILED
    except TimeoutError:
        text, code = f"the service did not answer within {TIMEOUT:.0f} s", ExitCode.FAILED
    if getattr(args, "json", False):
        print(json.dumps({"ok": False, "text": text}))
    else:
        print(text, file=sys.stderr)
    raise NoAnswer(code)


def tell(args: argparse.Namespace, **asked: Any) -> ExitCode:
    """Ask the service for something, print its answer, return whether it was done."""
    try:
        answer = ask(args, **asked)
    except NoAnswer as none:
        return none.code
    done = bool(answer.get("ok"))
    if args.json:
        print(json.dumps(answer))
    else:
        print(answer.get("text", ""), file=sys.stdout if done else sys.stderr)
    return ExitCode.OK if done else ExitCode.FAILED
