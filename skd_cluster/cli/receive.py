"""`skd-cluster receive`: what the master's ssh session runs here. Frames on standard input and output, nothing else."""

import argparse
import signal
import sys
from functools import partial

from skd_cluster.adapters.fence import ask_fence, tell_service
from skd_cluster.config.load import load
from skd_cluster.core.model import ExitCode
from skd_cluster.processes.receiver import Receiver, serve


def run(args: argparse.Namespace) -> ExitCode:
    """Serve one session with the configuration `args.config` until the master hangs up."""
    loaded = load(args.config)
    if loaded.config is None:
        for problem in loaded.problems:
            print(problem, file=sys.stderr)
        return ExitCode.CONFIG
    config = loaded.config
    # A batch that has begun is finished, whatever becomes of the connection.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        receiver = Receiver(config, partial(ask_fence, config.run_dir), partial(tell_service, config.run_dir))
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return ExitCode.FAILED
    return serve(receiver, sys.stdin.fileno(), sys.stdout.fileno(), 2 * config.reconcile_interval)
