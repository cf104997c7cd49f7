"""`skd-cluster run`."""

import argparse

from skd_cluster.config.load import load
from skd_cluster.core.model import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only the unit file uses."""
    parser.add_argument(
        "--condition",
        action="store_true",
        help="start nothing; exit 3 if enable_cluster switches the service off, for ExecCondition=",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Be the service, or say whether it is switched on."""
    if args.condition:
        loaded = load(args.config)
        if loaded.config is not None and not loaded.starts:
            print(f'the cluster is switched off: enable_cluster="false" in {args.config}')
            return ExitCode.NOT_RUNNING
        return ExitCode.OK  # also for a refused file: the service itself says what is wrong with it
    from skd_cluster.processes import supervisor  # noqa: PLC0415 -- the condition needs none of it

    return supervisor.run(args.config)
