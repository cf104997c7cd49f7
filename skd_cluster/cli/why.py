"""`skd-cluster why`: why the last change of role happened, from the flight recorders of both nodes, a sentence a step."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from skd_cluster.adapters import flight
from skd_cluster.adapters.clock import wall
from skd_cluster.adapters.conversation import Conversation, NoAnswerError
from skd_cluster.cli.nodes import FailedError, failed
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core.events import why_words
from skd_cluster.core.flight import parse
from skd_cluster.core.model import ExitCode, nanos
from skd_cluster.core.session import AskFlights, Flights
from skd_cluster.core.story import OWN, Half, Incident, Story, choose, tell

_PATIENCE = nanos(20)
_DAY = 86_400
_MOMENTS = ("%H:%M", "%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument("--list", action="store_true", help="list the changes that are on record, the newest last")
    parser.add_argument(
        "--at", type=moment, metavar="TIME", help='the change nearest to TIME: HH:MM[:SS] or "YYYY-MM-DD HH:MM[:SS]"'
    )
    parser.add_argument("--local", action="store_true", help="look at this node's record only")
    parser.epilog = "Exit codes: 0 told, whatever is not known of it; 1 nothing is on record; 78 the configuration."


def moment(text: str) -> float:
    """Return a time as people write it, of the last 24 hours if it has no date. Raises ValueError."""
    for form in _MOMENTS:
        try:
            given = time.strptime(text, form)
        except ValueError:
            continue
        if "%Y" in form:
            return time.mktime(given)
        now = wall()
        today = time.localtime(now)
        at = time.mktime((*today[:3], *given[3:6], 0, 0, -1))
        return at if at <= now else at - _DAY
    raise ValueError(text)


@dataclass(slots=True)
class _Known:
    """Both nodes' records on this node's clock; `silence`: why there are none of the peer's; `clock`: what to say of it."""

    ours: list[Half]
    theirs: list[Half] = field(default_factory=list)
    silence: str = ""
    clock: str = ""
    offset: float | None = None


def run(args: argparse.Namespace) -> ExitCode:
    """Tell the story of one change, or list them all."""
    loaded = load(args.config)
    if loaded.config is None:
        wrong = "; ".join(str(one) for one in loaded.problems if one.is_error)
        return failed(args, FailedError(f"the configuration is refused: {wrong}", ExitCode.CONFIG))
    try:
        ours = [Half(one) for one in flight.read(loaded.config.state_dir)]
    except PermissionError as error:
        return failed(args, FailedError(f"only root may look: {error.filename}: {error.strerror}"))
    known = _Known(ours, silence="--local was given") if args.local else _ask_peer(loaded.config, args, ours)
    incident = choose(known.ours, known.theirs, args.at)
    if incident is None:
        words = f" ({loaded.config.remote_ip} does not answer: {known.silence})" if known.silence else ""
        return failed(args, FailedError(f"no change of role is on record yet{words}"))
    if args.list:
        _print_list(args, known)
    else:
        _print_story(args, known, incident, tell(incident, known.silence))
    return ExitCode.OK


def _ask_peer(config: Config, args: argparse.Namespace, ours: list[Half]) -> _Known:
    with Conversation(config, args.config) as conversation:
        try:
            conversation.hello()  # whose service may be down: its record is there all the same
            sent = wall()
            (said,) = conversation.exchange([AskFlights()], 1, _PATIENCE)
            heard = wall()
        except NoAnswerError as error:
            return _Known(ours, silence=str(error))
    if not isinstance(said, Flights):
        return _Known(ours, silence=getattr(said, "text", "it does not know this question"))
    # As NTP does: what the two ways took is on both sides of the difference.
    offset = ((said.asked - sent) + (said.answered - heard)) / 2
    exact = abs((heard - sent) - (said.answered - said.asked)) / 2
    records = [one for one in map(parse, said.records) if one is not None]
    theirs = [Half(one, -offset) for one in records]
    name = records[-1].node if records else str(config.remote_ip)
    ahead = f"{abs(offset) * 1000:.1f} ms {'ahead of' if offset > 0 else 'behind'}"
    clock = (
        f"{name}'s clock is {ahead} this node's now (to {exact * 1000:.1f} ms), and its times above are put on this node's: "
        "if a clock was set since, they are wrong by as much"
    )
    return _Known(ours, theirs, clock=clock, offset=offset)


def _print_story(args: argparse.Namespace, known: _Known, incident: Incident, story: Story) -> None:
    both = incident.other is not None
    unknown = [*story.unknown, *([known.clock] if both and known.clock else [])]
    if args.json:
        halves = [half for half in (incident.main, incident.other, incident.earlier) if half is not None]
        found = {
            "ok": True,
            "at": incident.main.at,
            "title": story.title,
            "story": [asdict(line) for line in story.lines],
            "unknown": unknown,
            "clock_offset_seconds": known.offset,
            "records": [asdict(half.record) for half in halves],
        }
        print(json.dumps(found, indent=2))
        return
    print("\n".join(_lines(incident, story, unknown)))


def _lines(incident: Incident, story: Story, unknown: list[str]) -> Iterator[str]:
    yield f"{_local(incident.main.at):%Y-%m-%d %H:%M:%S}  epoch {incident.main.record.epoch}"
    yield from story.title
    yield ""
    width = max((len(line.node) for line in story.lines), default=0)
    for line in story.lines:
        yield f"{_clock(line.at)}  {line.node:<{width}}  {line.text}"
    if unknown:
        yield ""
    for words in unknown:
        yield f"not known or not certain: {words}"


def _print_list(args: argparse.Namespace, known: _Known) -> None:
    halves = sorted([*known.ours, *known.theirs], key=lambda half: half.at)
    if args.json:
        rows = [_row(half) for half in halves]
        print(json.dumps({"ok": True, "changes": rows, "silence": known.silence}, indent=2))
        return
    for half in halves:
        record = half.record
        way = f"{record.old} -> {record.new}"
        when = f"{_local(half.at):%Y-%m-%d %H:%M:%S}"
        detail = f" ({record.detail})" if record.detail else ""
        print(f"{when}  {record.node}  {way:<18}  {OWN.get(record.reason) or why_words(record.reason)}{detail}")
    if known.silence:
        print(f"the other node's are missing: {known.silence}", file=sys.stderr)


def _row(half: Half) -> dict[str, str | int | float]:
    one = half.record
    named: dict[str, str | int | float] = {"at": half.at, "node": one.node, "number": one.number, "epoch": one.epoch}
    return named | {"old": one.old, "new": one.new, "reason": one.reason, "detail": one.detail}


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC).astimezone()


def _clock(at: float) -> str:
    return f"{_local(at):%H:%M:%S.%f}"[:-3]
