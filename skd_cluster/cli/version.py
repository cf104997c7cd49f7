"""`skd-cluster version`."""

import argparse
import json

from skd_cluster import __version__
from skd_cluster.core.model import ExitCode


def run(args: argparse.Namespace) -> ExitCode:
    """Print the version."""
    print(json.dumps({"version": __version__}) if args.json else f"skd-cluster {__version__}")
    return ExitCode.OK
