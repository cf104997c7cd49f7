"""`skd-cluster release`."""

import argparse

from skd_cluster.core.model import ExitCode
from skd_cluster.processes import release


def run(args: argparse.Namespace) -> ExitCode:
    """Do the last duties of a service that is gone."""
    return release.run(args.config)
