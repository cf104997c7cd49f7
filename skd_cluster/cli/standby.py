"""`skd-cluster standby`."""

import argparse

from skd_cluster.cli.client import tell
from skd_cluster.core.model import ExitCode


def run(args: argparse.Namespace) -> ExitCode:
    """Take this node out."""
    return tell(args, verb="standby")
