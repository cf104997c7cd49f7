"""`skd-cluster failover`, and what it would be."""

import argparse
import json
import sys
from dataclasses import asdict

from skd_cluster.cli.client import NoAnswer, ask, tell
from skd_cluster.core.model import ExitCode
from skd_cluster.core.readiness import Plan, plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="change nothing; say what would happen, how long that takes, and what stands in the way (then the exit code is 1)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also to a peer that may not be able to take over, or lacks the newest changes",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Hand mastership over, or say what speaks against it."""
    if args.dry_run:
        return _rehearse(args)
    return tell(args, verb="failover", force=args.force)


def _rehearse(args: argparse.Namespace) -> ExitCode:
    try:
        found = ask(args, verb="failover", dry_run=True).get("obstacles", [])
        status = ask(args, verb="status")["status"]
    except NoAnswer as none:
        return none.code
    # What follows asks the other node, and brings much along: a failover itself should not wait for it.
    from skd_cluster.cli.peer import examine_peer  # noqa: PLC0415

    peer = examine_peer(args.config)
    planned = plan(found, status, peer.facts, peer.silence or peer.mute)
    _print(args, planned)
    return ExitCode.FAILED if planned.obstacles else ExitCode.OK


def _print(args: argparse.Namespace, planned: Plan) -> None:
    if args.json:
        facts = {"ok": not planned.obstacles, "text": planned.text, "seconds": planned.seconds, **asdict(planned)}
        print(json.dumps(facts, indent=2))
        return
    width = max(len(step.node) for step in planned.steps)
    for step in planned.steps:
        took = "" if step.seconds is None else f"  ({step.seconds:.3f} s the last time)"
        print(f"{step.node:<{width}}  {step.what}{took}")
    for one in planned.cautions:
        print(f"caution: {one}")
    for one in planned.obstacles:
        print(f"in the way: {one}", file=sys.stderr)
    if not planned.obstacles:
        print(planned.text)
