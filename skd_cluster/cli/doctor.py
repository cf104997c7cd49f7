"""`skd-cluster doctor`: everything that a person would check by hand, on both nodes, with what to type where it is wrong."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace

from skd_cluster.cli.peer import Peer, examine_peer, fresh_nonce
from skd_cluster.config.load import load
from skd_cluster.core.diagnosis import Finding, State, diagnose, worst
from skd_cluster.core.diagnosis_facts import unpack
from skd_cluster.core.diagnosis_rules import RULES
from skd_cluster.core.model import ExitCode
from skd_cluster.processes.examiner import examine

_WORDS = {State.OK: "ok", State.WARNING: "WARNING", State.PROBLEM: "PROBLEM", State.NOT_APPLICABLE: "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("--brief", action="store_true", help="print only what is wrong")
    parser.add_argument("--local", action="store_true", help="look at this node only")
    parser.epilog = "Exit codes: 0 no problem, whatever the warnings; 1 a problem; 78 the configuration is refused."


def run(args: argparse.Namespace) -> ExitCode:
    """Look at both nodes and print what was found."""
    loaded = load(args.config)
    config = loaded.config
    if config is None:
        _refuse(args, "; ".join(str(one) for one in loaded.problems if one.is_error))
        return ExitCode.CONFIG
    if os.geteuid() != 0:
        _refuse(args, "only root may look at everything")
        return ExitCode.FAILED
    nonce = fresh_nonce()
    peer = Peer() if args.local else examine_peer(args.config, nonce)
    ours = unpack(examine(config, loaded, args.config, nonce, back=False))
    ours = replace(ours, there=ours.there if args.local else peer.silence)
    findings = diagnose(RULES, ours, peer.facts)
    if peer.mute:
        findings.append(
            Finding("versions", ours.node, State.WARNING, peer.mute, "install the same version on both nodes")
        )
    _print(args, findings)
    return ExitCode.FAILED if worst(findings) is State.PROBLEM else ExitCode.OK


def _refuse(args: argparse.Namespace, text: str) -> None:
    if args.json:
        print(json.dumps({"ok": False, "text": text, "findings": []}))
    else:
        print(text, file=sys.stderr)


def _print(args: argparse.Namespace, findings: list[Finding]) -> None:
    wrong = (State.WARNING, State.PROBLEM)
    shown = [one for one in findings if not args.brief or one.state in wrong]
    counts = {state.value: sum(one.state is state for one in findings) for state in State}
    if args.json:
        found = {"ok": not counts[State.PROBLEM], "counts": counts, "findings": [asdict(one) for one in shown]}
        print(json.dumps(found, indent=2))
        return
    print("\n".join(_lines(shown)))
    problems, warnings = counts[State.PROBLEM], counts[State.WARNING]
    print(
        f"{problems} problem{'s' * (problems != 1)}, {warnings} warning{'s' * (warnings != 1)}, {counts[State.OK]} ok"
    )


def _lines(findings: list[Finding]) -> Iterator[str]:
    items = max((len(one.item) for one in findings), default=0)
    nodes = max((len(one.node) for one in findings), default=0)
    for one in findings:
        yield f"{_WORDS[one.state]:<7}  {one.item:<{items}}  {one.node:<{nodes}}  {one.evidence}"
        if one.remedy:
            yield f"{'':<7}  on {one.node} type: {one.remedy}"
