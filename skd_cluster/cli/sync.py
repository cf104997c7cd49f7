"""`skd-cluster sync`."""

import argparse

from skd_cluster.cli.client import tell
from skd_cluster.core.model import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("--allow-delete", action="store_true", help="this once delete more than max_delete allows")


def run(args: argparse.Namespace) -> ExitCode:
    """Ask the master to compare everything."""
    return tell(args, verb="sync", allow_delete=args.allow_delete)
