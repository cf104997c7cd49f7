"""`skd-cluster history restore --to`: the whole tree as it was right after a generation, as a new generation."""

import argparse

from skd_cluster.cli.nodes import FailedError, Nodes
from skd_cluster.cli.restoring import Report, Task, carry_out, kept_of, master_of
from skd_cluster.core.difference import printable
from skd_cluster.core.history import ChoiceError
from skd_cluster.core.manifest import compare, unpack_manifest
from skd_cluster.core.model import DataVersion
from skd_cluster.core.rewind import Rewind, aim, beyond, pushes
from skd_cluster.core.scope import LOOSE
from skd_cluster.core.session import Ask, Holds

_SHOWN = 5


def rewind_to(args: argparse.Namespace, nodes: Nodes) -> Report:
    """Bring the master's tree back to what it was after generation `args.to`. Raises FailedError, ChoiceError."""
    target = master_of(nodes)
    held = target.ask(Ask(), Holds)
    if held.unknown:
        raise FailedError(f"{target.name} cannot read {', '.join(map(printable, held.unknown))}: try again")
    now = unpack_manifest(held.entries)
    places = nodes.places()
    rewind = Rewind(pushes(places), dict(now), DataVersion(held.data_epoch, held.generation))
    if rewind.exact() is False:
        raise FailedError(
            f"{target.name} has changes that its peer does not have yet: wait until skd-cluster status says in sync"
        )
    try:
        version, label = aim(args.to, places)
        _go_back(nodes, rewind, version)
    except ChoiceError as error:
        silent = f"; {nodes.config.remote_ip} does not answer: {nodes.silence}" if nodes.there is None else ""
        raise ChoiceError(f"{error}{silent}") from error
    plan = compare(rewind.tree, now)
    report = Report(sorted(plan.entries), list(plan.delete), [])
    report.lines += _doubts(rewind, label)
    if plan.empty:
        report.lines.append(f"the tree of {target.name} is as after {label}: nothing to do")
    elif args.dry_run:
        report.lines.append(f"a dry run: nothing was changed on {target.name}")
    else:
        words = f"the tree is as after {label}"
        task = Task(f"the tree after {label}", words, plan.entries, plan.fetch, plan.delete, rewind.sources)
        carry_out(nodes, target, task, report)
    return report


def _go_back(nodes: Nodes, rewind: Rewind, version: DataVersion) -> None:
    while rewind.version > version:
        rewind.undo([(one, kept_of(nodes, one)) for one in rewind.steps()])
    if rewind.version != version:
        raise beyond(rewind.version, version)


def _doubts(rewind: Rewind, label: str) -> list[str]:
    """Return what there is to say of how true it is."""
    exact = rewind.exact()
    if exact:
        return [f"to the last bit the tree after {label}, by its digest"]
    if exact is None:
        words = "whether that is to the last bit the tree of then is not known: no digest of it was written down"
    else:
        words = f"NOT to the last bit the tree after {label}: not all of it was kept"
    doubtful = sorted(rewind.doubtful - LOOSE)
    if not doubtful:
        return [words]
    few = ", ".join(map(printable, doubtful[:_SHOWN])) + (", …" if len(doubtful) > _SHOWN else "")
    return [words, f"changed by hand on the backup in between, and left as they are: {few}"]
