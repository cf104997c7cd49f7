"""`skd-cluster receive`: what the master's ssh session runs here. Frames on standard input and output, nothing else."""

import argparse
import os
import signal
import sys
from functools import partial
from pathlib import Path

from skd_cluster.adapters.fence import ask_fence, tell_service
from skd_cluster.config.load import Loaded, load
from skd_cluster.core.model import ExitCode
from skd_cluster.core.session import Examined
from skd_cluster.processes.gatekeeper import Gatekeeper
from skd_cluster.processes.receiver import Receiver, serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "--restricted",
        action="store_true",
        help="as the command of a key in authorized_keys: do what the replication of the peer asks sshd for, refuse all else",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Serve one session with the configuration `args.config` until the master hangs up."""
    loaded = load(args.config)
    if loaded.config is None:
        for problem in loaded.problems:
            print(problem, file=sys.stderr)
        return ExitCode.CONFIG
    config = loaded.config
    connection = os.environ.get("SSH_CONNECTION", "")
    command = os.environ.get("SSH_ORIGINAL_COMMAND")
    if args.restricted or command is not None:
        done = Gatekeeper(config, args.config, connection).pass_on(command)
        if done is not None:
            return done
    # A batch that has begun is finished, whatever becomes of the connection.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        fence, tell = partial(ask_fence, config.run_dir), partial(tell_service, config.run_dir)
        receiver = Receiver(config, fence, tell, connection, partial(_examine, loaded, args.config))
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return ExitCode.FAILED
    return serve(receiver, sys.stdin.fileno(), sys.stdout.fileno(), 2 * config.reconcile_interval)


def _examine(loaded: Loaded, path: Path, nonce: str) -> Examined:
    # Not for a session of the replicator, which should start soon: this brings much along.
    from skd_cluster.processes.examiner import answer  # noqa: PLC0415

    return answer(loaded, path, nonce)
