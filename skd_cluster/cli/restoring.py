"""`skd-cluster history restore`: what was kept, back into the master's tree, from where it goes the usual way."""

import argparse
import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.control import NotRunning, request
from skd_cluster.cli.nodes import FailedError, Node, Nodes
from skd_cluster.core.difference import printable
from skd_cluster.core.history import Generation, Place, RestorePlan, plan_restore, settles, strangers
from skd_cluster.core.manifest import Entry, Manifest, pack_manifest, unpack_manifest
from skd_cluster.core.model import ExitCode, nanos
from skd_cluster.core.session import (
    SMALL_FILE,
    AskKept,
    Confirm,
    Holds,
    Open,
    Put,
    Ready,
    Recall,
    Restore,
)

_WAIT = nanos(30)
"""For both nodes to hold what was restored."""

_PATIENCE, _POLL = 3.0, 0.1
"""Seconds: for the service to answer, and between two questions."""


@dataclass(slots=True)
class Report:
    """What became of it. `in_sync` is None where that is not known."""

    restored: list[str]
    deleted: list[str]
    left: list[str]
    lines: list[str] = field(default_factory=list)
    in_sync: bool | None = None

    def say(self, args: argparse.Namespace) -> ExitCode:
        """Print it. That the peer does not have it yet is no failure: nothing is left to be done for it."""
        if args.json:
            facts = {"restored": self.restored, "deleted": self.deleted, "left": self.left, "in_sync": self.in_sync}
            print(json.dumps({"ok": True, "text": "; ".join(self.lines), **facts}))
        else:
            print("\n".join([*_listed(self, dry=args.dry_run), *self.lines]))
        return ExitCode.OK


def _listed(report: Report, *, dry: bool) -> Iterator[str]:
    words = ("would restore", "would delete", "would leave") if dry else ("restored", "deleted", "left")
    for word, keys in zip(words, (report.restored, report.deleted, report.left), strict=True):
        for key in keys:
            yield f"{word:<{13 if dry else 8}}  {printable(key)}"


@dataclass(frozen=True, slots=True)
class Task:
    """What the master has to do. `source` is for its history, `words` for who asked; `sources` where contents are kept."""

    source: str
    words: str
    entries: Manifest
    fetch: Sequence[str]
    delete: Sequence[str]
    sources: Mapping[str, Place]


def master_of(nodes: Nodes) -> Node:
    """Return the master. Raises FailedError if there is none."""
    if nodes.master is None:
        silent = f"; {nodes.config.remote_ip} does not answer: {nodes.silence}" if nodes.there is None else ""
        raise FailedError(f"no node says that it is master, and only the master takes what is restored{silent}")
    return nodes.master


def kept_of(nodes: Nodes, place: Place) -> dict[str, Entry]:
    """Return what can come back of a generation. Raises FailedError."""
    return unpack_manifest(
        nodes.of(place.keeper).ask(AskKept(place.generation.number, place.generation.push), Holds).entries
    )


def restore(args: argparse.Namespace, nodes: Nodes, place: Place, wanted: Sequence[str]) -> ExitCode:
    """Restore the wanted paths of a generation, all if none is named."""
    target, kept = master_of(nodes), kept_of(nodes, place)
    now, _ = target.holds()
    plan = plan_restore(place.generation, kept, now, nodes.tree.scope, wanted, exact=args.exact)
    missing = strangers(wanted, {*plan.chosen, *place.generation.made})
    if missing:
        raise FailedError(f"{place.label} has nothing of {', '.join(map(printable, missing))}")
    report = Report(sorted(plan.entries), list(plan.delete), list(plan.left))
    if plan.left:
        report.lines.append(f"what {place.label} made is left; --exact removes it")
    if args.dry_run:
        report.lines.append(f"a dry run: nothing was changed on {target.name}")
    elif plan.empty:
        report.lines.append(f"all of it is as before {place.label} on {target.name}: nothing to do")
        _settle(nodes, place, plan, now, report)
    else:
        sources = dict.fromkeys(plan.fetch, place)
        task = Task(place.label, f"as before {place.label}", plan.entries, plan.fetch, plan.delete, sources)
        carry_out(nodes, target, task, report)
        _settle(nodes, place, plan, now, report)
    return report.say(args)


def carry_out(nodes: Nodes, target: Node, task: Task, report: Report) -> None:
    """Have the master put it in place, and wait until its peer has it."""
    before = _status(nodes)
    with _undisturbed():
        target.ask(Open(), Ready)
        for key in task.fetch:
            place = task.sources[key]
            for piece in _pieces(nodes.of(place.keeper), place.generation, key):
                target.exchange([piece], 0)
        what = Restore(task.source, pack_manifest(task.entries), list(task.fetch), list(task.delete))
        done = target.ask(what, Confirm)
    report.lines += [printable(words) for words in done.kept]
    report.in_sync, words = _wait(nodes, before, done.digest)
    report.lines.append(f"{task.words} on {target.name}; {words}")


def _pieces(keeper: Node, generation: Generation, key: str) -> Iterator[Put]:
    at, size = 0, SMALL_FILE
    while size == SMALL_FILE:
        body = keeper.ask(Recall(generation.number, key, at, generation.push), Put).body
        yield Put(key, body, at)
        size = len(body)
        at += size


def _settle(nodes: Nodes, place: Place, plan: RestorePlan, now: Manifest, report: Report) -> None:
    """Mark a conflict resolved of which nothing is missing any more."""
    conflict = place.generation.conflict
    if conflict is not None and settles(place.generation, plan, now):
        nodes.resolve(place.keeper, conflict.name)
        report.lines.append(f"the conflict {conflict.name} is resolved")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let what has begun be finished, whatever becomes of the terminal."""
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _status(nodes: Nodes) -> dict[str, Any] | None:
    """Return what the service of this node says, None if it does not run."""
    try:
        found = request(nodes.config.run_dir, {"verb": "status"}, _PATIENCE).get("status")
    except (NotRunning, OSError):
        return None
    return found if isinstance(found, dict) else None


def _wait(nodes: Nodes, before: dict[str, Any] | None, digest: str) -> tuple[bool | None, str]:
    """Wait until both nodes hold it; return whether they do, None if that cannot be seen here, and words."""
    deadline, pause = monotonic() + _WAIT, threading.Event()
    while True:
        found = _status(nodes)
        if found is None or before is None:
            return None, f"the service of {nodes.here.name} does not run: whether both nodes have it is not known"
        newer = found["data"]["digest"] == digest or found["data"]["generation"] > before["data"]["generation"]
        if newer and found["replication"]["in_sync"]:
            return True, "both nodes have it"
        if not found["peer"]["alive"]:
            return False, "its peer is not heard and gets it when it is back: there is nothing left to do"
        if monotonic() >= deadline:
            error = found["replication"]["last_error"] or "see skd-cluster status"
            return (
                False,
                f"its peer does NOT have it after {_WAIT // nanos(1)} s and gets it as soon as it can: {error}",
            )
        pause.wait(_POLL)
