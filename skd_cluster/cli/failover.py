"""`skd-cluster failover`."""

import argparse

from skd_cluster.cli.client import tell
from skd_cluster.core.model import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("--dry-run", action="store_true", help="change nothing; say whether the peer could take over")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also to a peer that may not be able to take over, or lacks the newest changes",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Hand mastership over, or say what speaks against it."""
    return tell(args, verb="failover", dry_run=args.dry_run, force=args.force)
