"""`skd-cluster diff`: what the two nodes hold differently at this moment."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from skd_cluster.adapters.conversation import NoAnswerError
from skd_cluster.cli.comparison import Shown, Side, show
from skd_cluster.cli.nodes import FailedError, Node, Nodes, failed, open_nodes
from skd_cluster.core.difference import Difference, differences, printable
from skd_cluster.core.history import within
from skd_cluster.core.manifest import Entry, Kind
from skd_cluster.core.model import ExitCode, Role
from skd_cluster.core.session import Get, Put, Refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these files and folders")
    parser.epilog = "Exit codes: 0 both are equal, 1 they are not or the peer does not answer, 78 configuration."


def run(args: argparse.Namespace) -> ExitCode:
    """Compare the trees now and print what differs."""
    try:
        with open_nodes(args) as nodes:
            return _half(args, nodes) if nodes.there is None else _compare(args, nodes, nodes.there)
    except (FailedError, NoAnswerError) as error:
        return failed(args, error)


def _half(args: argparse.Namespace, nodes: Nodes) -> ExitCode:
    """Say what this node holds: of the other one nothing is known."""
    manifest, _ = nodes.here.holds()
    text = f"{nodes.config.remote_ip} does not answer, what it holds is not known: {nodes.silence}"
    if args.json:
        print(json.dumps({"equal": None, "files": _files(manifest), "text": text}))
    else:
        print(f"{nodes.here.name} holds {_files(manifest)} files; nothing to compare them with")
        print(text, file=sys.stderr)
    return ExitCode.FAILED


def _compare(args: argparse.Namespace, nodes: Nodes, there: Node) -> ExitCode:
    first, second = (there, nodes.here) if nodes.master is there else (nodes.here, there)
    wanted = [nodes.key(one) for one in args.paths]
    ours, theirs = first.holds(), second.holds()
    unknown = {key: f"{node.name}: {words}" for node, (_, found) in ((first, ours), (second, theirs))
               for key, words in found.items() if within(key, wanted)}  # fmt: skip
    found = [one for one in differences(ours[0], theirs[0], unknown) if within(one.key, wanted)]
    files = _files({key: entry for key, entry in ours[0].items() if within(key, wanted)})
    shown = show(found, Side(first.name, contents(first)), Side(second.name, contents(second)))
    if args.json:
        print(json.dumps(_as_json(first, second, list(shown), unknown, files), indent=2))
    else:
        _print(nodes, first, second, found)
        for one in shown:
            print("\n".join((one.headline, *one.diff)))
        for key, words in unknown.items():
            print(f"not known: {printable(key)}: {printable(words)}")
        if not found and not unknown:
            print(f"both nodes are equal: {files} files")
    return ExitCode.FAILED if found or unknown else ExitCode.OK


def _files(manifest: dict[str, Entry]) -> int:
    return sum(entry.kind is Kind.FILE for entry in manifest.values())


def contents(node: Node) -> Any:
    """Return how a node's contents are had: what it refuses is None."""

    def get(keys: Sequence[str]) -> list[bytes | None]:
        found = node.try_all([Get(key) for key in keys], Put)
        return [None if isinstance(one, Refused) else one.body for one in found]

    return get


def _print(nodes: Nodes, first: Node, second: Node, found: Sequence[Difference]) -> None:
    if not found:
        return
    paths = "1 path" if len(found) == 1 else f"{len(found)} paths"
    print(f"{_titled(first)} and {_titled(second)} differ in {paths}")
    if Role.MASTER.word not in (first.role, second.role):
        print("neither says that it is master: what is missing on which side, the next master decides")
    for one in found:
        if one.first is None or one.second is None:
            folder = (one.first or one.second or Entry(Kind.FILE, 0, 0, 0)).kind is Kind.FOLDER
            if not nodes.tree.travels(one.key, folder=folder):
                print(f"{printable(one.key)} matches `exclude` on {nodes.here.name} only: make it the same on both")


def _titled(node: Node) -> str:
    return f"{node.name} ({node.role})" if node.role else f"{node.name} (its service does not run)"


def _as_json(first: Node, second: Node, shown: Sequence[Shown], unknown: dict[str, str], files: int) -> dict[str, Any]:
    return {
        "equal": not shown and not unknown,
        "files": files,
        "first": {"node": first.name, "role": first.role},
        "second": {"node": second.name, "role": second.role},
        "differences": [one.as_json() for one in shown],
        "unknown": unknown,
    }
