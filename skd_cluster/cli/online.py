"""`skd-cluster online`."""

import argparse

from skd_cluster.cli.client import tell
from skd_cluster.core.model import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="also although the peer uses another key: this node may become a second master",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Put this node back."""
    return tell(args, verb="online", force=args.force)
