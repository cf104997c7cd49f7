"""`skd-cluster simulate`: this configuration through seeded faults, in virtual time. Nothing is sent, nothing changed."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core.model import MILLISECOND, NEVER, ExitCode, Nanos, Transport, nanos, seconds
from skd_cluster.simulation.invariants import InvariantError
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.trial import Asked, Outcome, Trial

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0}
_LONGEST = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the faults."""
    parser.add_argument("--loss", type=share, default=0.0, metavar="SHARE", help="packets lost, such as 20%% or 0.2")
    parser.add_argument(
        "--delay", type=span, default=MILLISECOND, metavar="SPAN", help="slowest packet, such as 5ms (default 1ms)"
    )
    parser.add_argument("--pause", type=span, default=NEVER, metavar="SPAN", help="freeze the master, such as 4s")
    parser.add_argument("--partition", type=span, default=NEVER, metavar="SPAN", help="cut all cables, such as 5s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same numbers (0)")
    parser.add_argument("--runs", type=runs, default=100, metavar="N", help="times to play it all (100)")


def share(text: str) -> float:
    """Read `20%` or `0.2`."""
    number = text.removesuffix("%")
    try:
        value = float(number) / (100 if number != text else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 20% or 0.2, below 100%")
    return value


def span(text: str) -> Nanos:
    """Read `5ms`, `4s`, `0.5` or `2m`."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) *([a-z]*)", text)
    if match is None or match[2] not in _UNITS or float(match[1]) * _UNITS[match[2]] > _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no span: write 5ms, 4s or 2m, at most a day")
    return nanos(float(match[1]) * _UNITS[match[2]])


def runs(text: str) -> int:
    """Read a number of runs."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs: 1 to 1000000")
    return int(text)


def run(args: argparse.Namespace) -> ExitCode:
    """Play and print; 1 if the election broke its word, which is a fault of this program."""
    loaded = load(args.config)
    config = loaded.config
    if config is None:
        wrong = "; ".join(str(one) for one in loaded.problems if one.is_error)
        return _refuse(args, f"nothing to simulate, the configuration is refused: {wrong}", ExitCode.CONFIG)
    patience = Nanos(config.advert_interval * config.dead_ratio)
    if args.delay * 4 > patience:
        limit = seconds(Nanos(patience // 4))
        words = f"--delay: packets that take so long are never in time; at most {limit:g}s with this configuration"
        return _refuse(args, words, ExitCode.USAGE)
    asked = Asked(args.loss, args.delay, args.pause, args.partition)
    trial = Trial(setup_of(config), asked, paths=1 + len(config.heartbeat_links))
    for seed in range(args.seed, args.seed + args.runs):
        try:
            trial.run(seed)
        except InvariantError as error:
            return _refuse(args, f"seed {seed} breaks the election, please report it: {error}", ExitCode.FAILED)
    if args.json:
        print(json.dumps({"ok": True, **_question(args, config), **trial.outcome.facts()}, indent=1))
    else:
        print("\n".join(table(args, config, trial.outcome)))
    return ExitCode.OK


def setup_of(config: Config) -> Setup:
    """Return what the simulated nodes are asked to be; the peer is taken to have the same."""
    return Setup(
        interval=seconds(config.advert_interval),
        dead_ratio=config.dead_ratio,
        priority=config.priority,
        preempt=config.preempt,
        preempt_delay=seconds(config.preempt_delay),
        probing=config.detection == "probing",
        lease=config.vip_lease,
        transport=Transport.named(config.transport),
    )


def _refuse(args: argparse.Namespace, text: str, code: ExitCode) -> ExitCode:
    if args.json:
        print(json.dumps({"ok": False, "text": text}))
    else:
        print(text, file=sys.stderr)
    return code


def _question(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    return {
        "transport": config.transport,
        "advert_interval": seconds(config.advert_interval),
        "dead_ratio": config.dead_ratio,
        "detection": config.detection,
        "vip_lease": config.vip_lease,
        "paths": 1 + len(config.heartbeat_links),
        "loss": args.loss,
        "delay": seconds(args.delay),
        "pause": seconds(args.pause),
        "partition": seconds(args.partition),
        "seed": args.seed,
        "runs": args.runs,
    }


def table(args: argparse.Namespace, config: Config, outcome: Outcome) -> Iterator[str]:
    """Yield the lines for people."""
    asked = _question(args, config)
    paths = f", {asked['paths']} paths" if asked["paths"] > 1 else ""
    yield (
        f"{Path(args.config)}: {config.transport}, every {_span(asked['advert_interval'])}, dead ratio {config.dead_ratio}, "
        f"{config.detection}, lease {config.vip_lease} s{paths}"
    )
    faults = [f"{name} {_span(asked[name])}" for name in ("pause", "partition") if asked[name]]
    hours = outcome.simulated / 3600
    yield (
        f"{args.runs} runs from seed {args.seed}, {hours:.1f} simulated hours: "
        + ", ".join([f"loss {args.loss:.0%}", f"delay up to {_span(asked['delay'])}", *faults])
    )
    yield ""
    yield f"{'':<34} {'median':>10} {'worst':>10}"
    rows = (("takeover after power loss", outcome.power_loss), ("planned failover", outcome.planned))
    facts = outcome.facts()
    for (name, _), key in zip(rows, ("takeover_after_power_loss", "planned_failover"), strict=True):
        spread: Any = facts[key]
        yield f"{name:<34} {_span(spread['median']):>10} {_span(spread['worst']):>10}"
    yield f"{'longest moment without a master':<34} {'':>10} {_span(outcome.no_master):>10}"
    yield f"{'longest moment with two masters':<34} {'':>10} {_span(outcome.two_masters):>10}"
    yield f"{'longest with the address on both':<34} {'':>10} {_span(outcome.two_holders):>10}"
    yield f"{'needless failovers':<34} {'':>10} {outcome.needless:>10}"
    if outcome.refused:
        yield f"{'failovers that nobody was fit for':<34} {'':>10} {outcome.refused:>10}"


def _span(value: float | None) -> str:
    if value is None:
        return "never"
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.4g} s"
