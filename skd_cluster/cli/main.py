"""`skd-cluster`: one table of verbs, a module each, imported only when it is used."""

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from skd_cluster.core.model import ExitCode

DEFAULT_CONFIG = Path("/usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf")

_EXIT_CODES = "Exit codes: 0 ok, 1 failed, 2 usage, 3 the service is not running, 78 the configuration is refused."


@dataclass(frozen=True, slots=True)
class Verb:
    """What `--help` says about a verb, and whether it prints facts that scripts may want as JSON."""

    about: str
    facts: bool = True


VERBS = {
    "run": Verb("Be the service: what systemd starts. Runs until it is told to stop.", facts=False),
    "status": Verb("Show the role of this node, its peer, the addresses and the replication, problems first."),
    "check": Verb("Check the configuration file and print every problem at once."),
    "doctor": Verb("Look at everything that a pair needs, on both nodes, and say what to type where it is wrong."),
    "failover": Verb("Hand mastership over to the peer, and wait until it has it."),
    "standby": Verb("Take this node out: it cannot be master until it is put online again, even after a restart."),
    "online": Verb("Put this node back after standby."),
    "sync": Verb("Compare both configurations completely, now. For the master."),
    "pair": Verb(
        "Let both nodes replicate to each other by ssh: a key of its own on each, good for nothing else. On one of them."
    ),
    "migrate": Verb(
        "Make one step from the old service or from keepalived to this one: write the configuration, say what it lacks, what next."
    ),
    "diff": Verb("Show what the two nodes hold differently now, file by file. Secrets are not shown."),
    "history": Verb(
        "Show what replication replaced, on both nodes, put it back, or go back to it: list, show, diff, restore, resolve."
    ),
    "why": Verb(
        "Tell why the last change of role happened, a sentence a step, from the flight recorders of both nodes."
    ),
    "simulate": Verb("Run this configuration through seeded faults in virtual time, and say how long takeovers take."),
    "release": Verb(
        "Remove the floating addresses that a dead service left here, and resign in its name.", facts=False
    ),
    "receive": Verb(
        "Take configuration from the master, answer the peer: what its ssh session runs here.", facts=False
    ),
    "version": Verb("Print the version."),
}


def build_parser(wanted: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser; only verbs in `wanted` have arguments of their own, since that imports their modules."""
    parser = argparse.ArgumentParser(
        prog="skd-cluster", description="High availability for a pair of load balancers.", epilog=_EXIT_CODES
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        one = verbs.add_parser(name, help=verb.about, description=verb.about, epilog=_EXIT_CODES)
        one.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s")
        if verb.facts:
            one.add_argument("--json", action="store_true", help="print facts for programs")
        if name in wanted:
            add_arguments = getattr(import_module(f"skd_cluster.cli.{name}"), "add_arguments", None)
            if add_arguments is not None:
                add_arguments(one)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code. What nobody foresaw is one line, with SKD_DEBUG=1 a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a name that the terminal's alphabet lacks is no reason to fail
    words = list(sys.argv[1:] if argv is None else argv)
    args = build_parser([word for word in words if word in VERBS][:1]).parse_args(words)
    try:
        code: ExitCode = import_module(f"skd_cluster.cli.{args.verb}").run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.FAILED
    except BrokenPipeError:
        # Whoever read our output has had enough, as `head` has; the interpreter shall not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001 -- the last door: everything that was not foreseen leaves here
        if os.environ.get("SKD_DEBUG") == "1":
            traceback.print_exc()
        print(f"skd-cluster {args.verb}: {_line(error)}", file=sys.stderr)
        return ExitCode.FAILED
    return code


def _line(error: Exception) -> str:
    """Return what happened and where, for a report of the error."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{where}"


if __name__ == "__main__":
    raise SystemExit(main())
