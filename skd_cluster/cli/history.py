"""`skd-cluster history`: what pushes replaced, on whichever node it was kept, to look at and to put back."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skd_cluster.adapters.conversation import NoAnswerError
from skd_cluster.cli.comparison import Side, show
from skd_cluster.cli.diff import contents
from skd_cluster.cli.nodes import FailedError, Node, Nodes, failed, open_nodes
from skd_cluster.cli.restoring import restore
from skd_cluster.cli.rewinding import rewind_to
from skd_cluster.core.conflict import Conflict
from skd_cluster.core.difference import differences, is_private, printable
from skd_cluster.core.history import ChoiceError, Generation, Place, attributes_only, choose, strangers, within
from skd_cluster.core.manifest import Entry, Kind, unpack_manifest
from skd_cluster.core.model import ExitCode
from skd_cluster.core.session import SMALL_FILE, AskKept, Holds, Put, Recall, Refused
from skd_cluster.core.textdiff import shown

_GENERATION = "its number as listed, NUMBER@NODE if both nodes have one, or the name of a conflict"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with the history; without a word it is listed."""
    parser.set_defaults(act=_list)
    acts = parser.add_subparsers(metavar="WHAT")

    def act(name: str, run_it: Any, about: str, paths: str = "") -> argparse.ArgumentParser:
        one = acts.add_parser(name, help=about, description=about)
        one.set_defaults(act=run_it)
        one.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print facts for programs")
        if name != "list":
            count = "?" if name == "restore" else None
            one.add_argument("generation", metavar="GENERATION", nargs=count, help=_GENERATION)
        if paths:
            one.add_argument("paths", nargs="*", metavar="PATH", help=paths)
        return one

    act("list", _list, "List the generations of both nodes, newest first, and the conflicts among them.")
    looked = act("show", _show, "Show what a generation changed, made and deleted; with a PATH what was in it before.")
    looked.add_argument("path", nargs="?", metavar="PATH", help="print this file as it was before")
    looked.add_argument("--raw", action="store_true", help="print the file byte for byte, with its secrets")
    compared = act("diff", _diff, "Compare what was before a generation with what is there now.",
                   "only these files and folders")  # fmt: skip
    compared.add_argument("--exit-code", action="store_true", help="end with 1 if anything differs, as diff(1) does")
    back = act("restore", _restore, "Put back what was before a generation, on the master, and replicate it.",
               "only these files and folders")  # fmt: skip
    back.add_argument(
        "--to", metavar="GENERATION", help="instead: the whole tree as it was right after this generation"
    )
    back.add_argument("--exact", action="store_true", help="also remove what the generation made")
    back.add_argument("--dry-run", action="store_true", help="only say what would be done")
    act("resolve", _resolve, "Say that a conflict is dealt with.")


def run(args: argparse.Namespace) -> ExitCode:
    """Do what `args.act` says."""
    try:
        if args.act is _restore:
            _check(args)
        with open_nodes(args) as nodes:
            code: ExitCode = args.act(args, nodes)
            return code
    except (FailedError, NoAnswerError, ChoiceError) as error:
        return failed(args, error)


def _list(args: argparse.Namespace, nodes: Nodes) -> ExitCode:
    places = nodes.places()
    if args.json:
        found = [_as_json(one) for one in places]
        print(json.dumps({"generations": found, "silent": nodes.silence or None}, indent=2))
        return ExitCode.OK
    if nodes.there is None:
        print(_silent(nodes, "what it keeps is not listed"), file=sys.stderr)
    for line in _table(places):
        print(line)
    if not places:
        print("nothing was replaced yet")
    return ExitCode.OK


def _silent(nodes: Nodes, so: str) -> str:
    return f"{nodes.config.remote_ip} does not answer, {so}: {nodes.silence}"


def _table(places: Sequence[Place]) -> Iterator[str]:
    names = [one.generation.name for one in places]
    rows = [("GENERATION", "TIME", "EPOCH", "KEPT ON", "BEFORE", "CHANGED", "MADE", "DELETED", "")]
    for place in places:
        one = place.generation
        name = place.label if names.count(one.name) > 1 else one.name
        came = f"{one.came.epoch}.{one.came.generation}"
        counts = (str(len(one.changed)), str(len(one.made)), str(len(one.removed)))
        rows.append((name, _moment(one.at), str(one.epoch), place.keeper.name, came, *counts, _remark(one)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if places:
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _remark(generation: Generation) -> str:
    if generation.conflict is not None:
        return _conflict(generation.conflict)
    return f"restored from {printable(generation.restored)}" if generation.restored else ""


def _conflict(conflict: Conflict) -> str:
    files = "1 file" if len(conflict.keys) == 1 else f"{len(conflict.keys)} files"
    return f"{printable(conflict.name)}: CONFLICT, {files}, {'resolved' if conflict.resolved else 'not resolved'}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "unknown"


def _chosen(args: argparse.Namespace, nodes: Nodes, paths: Sequence[str]) -> tuple[Place, list[str]]:
    """Return the generation that is meant, and the keys: those named, else a conflict's own if that was named."""
    try:
        place = choose(args.generation, nodes.places())
    except ChoiceError as error:
        if nodes.there is None:
            raise ChoiceError(f"{error}; {_silent(nodes, 'what it keeps is not known')}") from error
        raise
    wanted = [nodes.key(one) for one in paths]
    conflict = place.generation.conflict
    if not wanted and conflict is not None and conflict.name == args.generation:
        wanted = list(conflict.keys)
    return place, wanted


def _show(args: argparse.Namespace, nodes: Nodes) -> ExitCode:
    place, wanted = _chosen(args, nodes, [args.path] if args.path else [])
    if args.path:
        return _show_file(args, nodes, place, wanted[0])
    if args.json:
        print(json.dumps(_as_json(place) | {"paths": dict(_paths(place.generation, wanted))}, indent=2))
        return ExitCode.OK
    one = place.generation
    print(f"generation {one.name} of epoch {one.epoch}, kept on {place.keeper.name} since {_moment(one.at)}; "
          f"before it: {one.came.epoch}.{one.came.generation}")  # fmt: skip
    if _remark(one):
        print(_remark(one))
    for word, keys in _paths(one, wanted):
        for key in keys:
            print(f"{word:<8} {printable(key)}")
    return ExitCode.OK


def _paths(generation: Generation, wanted: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    found = (("changed", generation.changed), ("made", generation.made), ("deleted", generation.removed))
    for word, keys in found:
        yield word, [key for key in keys if within(key, wanted)]


def _show_file(args: argparse.Namespace, nodes: Nodes, place: Place, key: str) -> ExitCode:
    keeper, one = nodes.of(place.keeper), place.generation
    entry = _kept(keeper, place).get(key)
    if entry is None:
        raise FailedError(f"{place.label} has no {printable(key)} from before: {_why_not(place.generation, key)}")
    if entry.kind is not Kind.FILE:
        raise FailedError(f"{printable(key)} was {'a folder' if entry.kind is Kind.FOLDER else 'a link'}, not a file")
    if args.raw:
        for at in range(0, max(entry.size, 1), SMALL_FILE):
            sys.stdout.buffer.write(keeper.ask(Recall(one.number, key, at, one.push), Put).body)
        return ExitCode.OK
    lines = None if is_private(key, entry) else shown(_bodies(keeper, place, [key])[0] or b"")
    if args.json:
        facts = {"path": key, "mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid, "size": entry.size}
        print(json.dumps(facts | {"private": is_private(key, entry), "lines": lines}, indent=2))
    elif lines is None:
        what = "its content is private" if is_private(key, entry) else "it is no text to be shown"
        print(f"{printable(key)}: {entry.size} bytes, mode {entry.mode:04o}; {what}: --raw prints it")
    else:
        print("\n".join(lines))
    return ExitCode.OK


def _why_not(generation: Generation, key: str) -> str:
    if key in generation.made:
        return "it was made then"
    if key in generation.before:
        return "only its mode or owner was changed"
    return "it did not touch it"


def _kept(keeper: Node, place: Place) -> dict[str, Entry]:
    return unpack_manifest(keeper.ask(AskKept(place.generation.number, place.generation.push), Holds).entries)


def _bodies(keeper: Node, place: Place, keys: Sequence[str]) -> list[bytes | None]:
    one = place.generation
    found = keeper.try_all([Recall(one.number, key, push=one.push) for key in keys], Put)
    return [None if isinstance(one, Refused) else one.body for one in found]


def _diff(args: argparse.Namespace, nodes: Nodes) -> ExitCode:
    place, wanted = _chosen(args, nodes, args.paths)
    keeper, one = nodes.of(place.keeper), place.generation
    kept = {key: entry for key, entry in _kept(keeper, place).items() if within(key, wanted)}
    now, unknown = nodes.here.holds()
    kept |= attributes_only(one, kept, now, wanted)
    touched = {*kept, *(key for key in one.made if within(key, wanted))}
    missing = strangers(wanted, touched)
    if missing:
        raise FailedError(f"{place.label} has nothing of {', '.join(map(printable, missing))}")
    found = differences(kept, {key: entry for key, entry in now.items() if key in touched}, unknown)
    old = Side(place.label, lambda keys: _bodies(keeper, place, keys))
    compared = show(found, old, Side(f"{nodes.here.name} now", contents(nodes.here)))
    code = ExitCode.FAILED if found and args.exit_code else ExitCode.OK
    if args.json:
        print(json.dumps({"equal": not found, "differences": [each.as_json() for each in compared]}, indent=2))
        return code
    for each in compared:
        print("\n".join((each.headline, *each.diff)))
    if not found:
        print(f"{nodes.here.name} has all of it as it was before {place.label}")
    return code


def _check(args: argparse.Namespace) -> None:
    """Refuse a restore of nothing, and one of two things at once."""
    if (args.generation is None) == (args.to is None):
        words = (
            "the whole tree goes back, without paths"
            if args.to
            else "say which GENERATION to undo, or --to which to go back"
        )
        raise FailedError(f"history restore: {words}", ExitCode.USAGE)


def _restore(args: argparse.Namespace, nodes: Nodes) -> ExitCode:
    if args.to is not None:
        return rewind_to(args, nodes).say(args)
    place, wanted = _chosen(args, nodes, args.paths)
    return restore(args, nodes, place, wanted)


def _resolve(args: argparse.Namespace, nodes: Nodes) -> ExitCode:
    place, _ = _chosen(args, nodes, [])
    conflict = place.generation.conflict
    if conflict is None:
        raise FailedError(f"{place.label} is no conflict: skd-cluster history list names those there are")
    if not conflict.resolved:
        nodes.resolve(place.keeper, conflict.name)
    text = f"the conflict {printable(conflict.name)} {'was resolved before' if conflict.resolved else 'is resolved'}"
    print(json.dumps({"ok": True, "text": text}) if args.json else text)
    return ExitCode.OK


def _as_json(place: Place) -> dict[str, Any]:
    one = place.generation
    conflict = one.conflict
    return {
        "generation": one.number,
        "push": one.push,
        "node": place.keeper.name,
        "time": one.at or None,
        "epoch": one.epoch,
        "from": {"epoch": one.came.epoch, "generation": one.came.generation},
        "changed": len(one.changed),
        "made": len(one.made),
        "deleted": len(one.removed),
        "restored": one.restored or None,
        "conflict": None if conflict is None else {
            "name": conflict.name, "kind": conflict.kind.value, "keys": list(conflict.keys), "resolved": conflict.resolved,
        },
    }  # fmt: skip
