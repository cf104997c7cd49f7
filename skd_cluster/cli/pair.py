"""`skd-cluster pair`: what was made on which node, line by line, and whether it works."""

import argparse
import json
import os
import sys
from dataclasses import asdict

from skd_cluster.config.load import Loaded, load
from skd_cluster.core.model import ExitCode
from skd_cluster.core.pairing import Answer, Outcome, PairingError, Step, decode_request, encode_answer
from skd_cluster.processes.pairing import Pairing, accept

_REQUEST_LIMIT = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.description = (
        "Make a key on each node that is good for the replication only, let the other node take it, pin the host keys, and "
        "try both directions. Needs one login of root to the other node, now: with root's key, or ssh asks for the password. "
        "A second run changes nothing."
    )
    parser.add_argument("--remove", action="store_true", help="undo it on both nodes")
    parser.add_argument("--dry-run", action="store_true", help="say what would be made, change nothing")
    parser.add_argument("--batch", action="store_true", help="never ask a question: fail if root cannot log in without")
    parser.add_argument("--accept", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> ExitCode:
    """Pair this node with its peer, or undo that; or be the other end of it."""
    if os.geteuid() != 0:
        _print(Outcome(ok=False, text="only root can pair two nodes", steps=[]), as_json=args.json)
        return ExitCode.FAILED
    loaded = load(args.config)
    if args.accept:
        return _accept(args, loaded)
    if loaded.config is None:
        _print(Outcome(ok=False, text=_errors(loaded), steps=[]), as_json=args.json)
        return ExitCode.CONFIG
    attended = sys.stdin.isatty() and not args.batch
    pairing = Pairing(loaded.config, args.config, attended, args.dry_run)
    outcome = pairing.remove() if args.remove else pairing.pair()
    _print(outcome, as_json=args.json)
    return ExitCode.OK if outcome.ok else ExitCode.FAILED


def _errors(loaded: Loaded) -> str:
    return "; ".join(str(one) for one in loaded.problems if one.is_error)


def _accept(args: argparse.Namespace, loaded: Loaded) -> ExitCode:
    """Answer one request; whatever is wrong is said in the answer."""
    try:
        request = decode_request(sys.stdin.buffer.read(_REQUEST_LIMIT))
        if loaded.config is None:
            answer = Answer(ok=False, text=f"the configuration of the peer is refused: {_errors(loaded)}")
        else:
            answer = accept(loaded.config, args.config, request)
    except PairingError as error:
        answer = Answer(ok=False, text=str(error))
    print(encode_answer(answer))
    return ExitCode.OK if answer.ok else ExitCode.FAILED


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(outcome)))
        return
    nodes = max((len(step.node) for step in outcome.steps), default=0)
    for step in outcome.steps:
        print(_line(step, nodes))
    print(outcome.text, file=sys.stdout if outcome.ok else sys.stderr)


def _line(step: Step, width: int) -> str:
    return f"{step.node:<{width}}  {step.done.value:<9}  {step.what}"
