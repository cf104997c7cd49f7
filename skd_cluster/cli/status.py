"""`skd-cluster status`: problems first, then who this node is, its addresses, its peer, its replication."""

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from skd_cluster.cli.client import NoAnswer, ask
from skd_cluster.cli.serving import may_serve
from skd_cluster.core.model import ExitCode
from skd_cluster.core.status import UNKNOWN

_INTERVAL = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "--watch",
        action="store_true",
        help="show both nodes and what happens, live, until q or Ctrl-C; in a pipe a block for each change",
    )
    parser.add_argument(
        "--may-serve",
        action="store_true",
        help="only say whether the product may run here: exit 1 on a node of a pair that is not master, for ExecCondition=",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Show the status once, or again and again."""
    if args.may_serve:
        may, why = may_serve(args.config)
        print(why)
        return ExitCode.OK if may else ExitCode.FAILED
    if not args.watch:
        return _show(args)
    try:
        if args.json:
            return _stream(args)
        code: ExitCode = import_module("skd_cluster.cli.watch").watch(args)  # what it needs is slow to import
    except KeyboardInterrupt:
        return ExitCode.OK  # that is how it ends
    return code


def _stream(args: argparse.Namespace) -> ExitCode:
    """Print a line of JSON each second."""
    pause = threading.Event()
    while True:
        code = _show(args)
        if code is ExitCode.FAILED:
            return code
        sys.stdout.flush()
        pause.wait(_INTERVAL)


def _show(args: argparse.Namespace) -> ExitCode:
    try:
        found: dict[str, Any] = ask(args, verb="status")["status"]
    except NoAnswer as none:
        return none.code
    if args.json:
        print(json.dumps(found, indent=None if args.watch else 2))
    else:
        print("\n".join(render(found)))
    return ExitCode.OK


def render(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    for problem in found["problems"]:
        yield f"!          {problem}"
    yield f"node       {found['node']} is {found['role'].upper()} since {moment(found['since'])}: {why_words(found)}"
    yield f"           epoch {found['epoch']}, configuration generation {found['generation']}"
    for index, one in enumerate(found["addresses"]):
        label = "addresses" if index == 0 else ""
        held = "held here" if one["held"] else "not here"
        yield f"{label:<10} {one['address']} on {one['interface']}: {held}"
    yield f"peer       {_peer(found['peer'], found['transport']['speaks'])}"
    if found["transport"] != {"configured": "udp", "speaks": "udp"}:
        yield f"speaking   {_speaking(**found['transport'])}"
    yield f"copying    {copying_words(found)}"
    if found["role"] in ("master", "backup"):
        yield f"takeover   {ready_words(found)}"
    for index, one in enumerate(found["checks"]):
        state = "healthy" if one["healthy"] else f"FAILED: {one['detail']}"
        yield f"{'checks' if index == 0 else '':<10} {one['name']}: {state}"
    yield from (f"timing     {words}" for words in timing_words(found["timing"]))
    realtime = "" if found["elector"]["realtime"] else ", without real-time scheduling"
    yield f"version    {found['version']}{realtime}"


def why_words(found: Mapping[str, Any]) -> str:
    """Return why the node has its role."""
    reason = str(found["reason"]).replace("_", " ") or "not decided yet"
    return f"{reason} ({found['detail']})" if found["detail"] else reason


_LIMITS = {
    "carp": "whole seconds, and a recorded packet may count again after a restart",
    "vrrp": "not authenticated: anybody on this network can take the addresses",
}


def _speaking(configured: str, speaks: str) -> str:
    """Return which language decides, and what is wrong with it."""
    if speaks == "udp":
        return f"the native packets, since the peer is not configured for {configured} as this node is"
    return f'{speaks}: {_LIMITS[speaks]}; if both nodes run skd-cluster, "udp" is better: skd-cluster migrate --to udp'


def _peer(peer: Mapping[str, Any], speaks: str) -> str:
    if speaks != "udp" and not peer["native"] and peer["alive"]:
        return f"{peer['address']} is {str(peer['role']).upper()}, says {speaks}, which tells no more"
    if not peer["alive"]:
        ago = peer["heard_seconds_ago"]
        last = "never heard since this service started" if ago is None else f"silent for {ago:.1f} s"
        return f"{peer['address']} {last}"
    both = "both hear each other" if peer["heard"] else "it does NOT hear this node"
    return f"{peer['address']} is {str(peer['role']).upper()}, version {peer['version']}; {both}"


def ready_words(found: Mapping[str, Any]) -> str:
    """Return whether the one that is not master could be it now."""
    ready = found["ready"]
    who = found["peer"]["address"] if found["role"] == "master" else "this node"
    if ready["obstacles"] and all(one.startswith(UNKNOWN) for one in ready["obstacles"]):
        reasons = "; ".join(one.removeprefix(UNKNOWN) for one in ready["obstacles"])
        return f"whether {who} could take over now is not known: {reasons}"
    if not ready["ok"]:
        return f"{who} could NOT take over: {'; '.join(ready['obstacles'])}"
    times = [
        f"{seconds * 1000:.0f} ms ({why.replace('_', ' ')})" for why, seconds in sorted(ready["takeovers"].items())
    ]
    return f"{who} could take over now" + (f"; the last ones took {', '.join(times)}" if times else "")


def copying_words(found: Mapping[str, Any], said: Callable[[float | None], str] | None = None) -> str:
    """Return how the replication is; `said` puts an instant into words."""
    replication = found["replication"]
    last = replication["last_success"]
    when = f"last {(said or moment)(last)}" if last else "nothing yet since this service started"
    state = "in sync" if replication["in_sync"] else "NOT in sync"
    if found["role"] != "master":
        return f"{state} with the peer; received: {when}"
    running = "" if replication["running"] else "; skdinotify does NOT run"
    pending = replication["pending"]
    waiting = f"; {pending} waiting for {replication['oldest_pending_seconds']:.1f} s" if pending else ""
    lag = f", took {replication['lag_seconds']:.2f} s" if last and replication["lag_seconds"] is not None else ""
    return f"{state}; sent: {when}{lag}{waiting}{running}"


def timing_words(timing: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was late since the service started, if anything was."""
    if timing["late"]:
        yield f"the elector woke up more than 0.1 s late {_times(timing['late'])}"
    if timing["off"]:
        limit = f"lost after {timing['limit_seconds']:.2f} s"
        yield f"packets of the peer were more than {timing['off_seconds']:g} s off their time {_times(timing['off'])}; it counts as {limit}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def moment(instant: float | None) -> str:
    """Return local time for a reader who knows what day it is."""
    if not instant:
        return "never"
    then = datetime.fromtimestamp(instant, tz=UTC).astimezone()
    today = datetime.now(tz=UTC).astimezone().date()  # noqa: TID251 -- for the eye only
    return then.strftime("%H:%M:%S" if then.date() == today else "%Y-%m-%d %H:%M:%S")
