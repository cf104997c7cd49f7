"""What it costs to be watched: how long a scrape takes, and whether scrapes make the elector late."""

from typing import Final

from tests.labkit import Node, eventually, scraper
from tests.labkit.machine import SYSTEM_PYTHON

from .effort import Effort
from .peers import Ours, Setup
from .rows import OURS, Limit, Row, Table
from .stage import Stage, leave_alone, settled
from .steadiness import buckets, scrape

RATE: Final = 100
OPEN: Final = 1000
QUICK: Final = (Limit("p99", 10),)


def scraping(effort: Effort) -> Table:
    """Scrape the master from the client's machine: hardly ever, a hundred times a second, and beside a thousand connections."""
    table = Table(
        "Being scraped",
        "The master's metrics, from the client's machine, at intervals of 100 ms. A scrape is timed from connect to the last byte. The "
        "attack is a thousand connections that each say half a request, replaced as they are hung up on, beside one that sends headers "
        "without end; -1 would be a scrape that was not answered. Lateness is what the elector's own histogram says of the time: the "
        "upper bound of the bucket.",
    )
    with settled(Ours, Setup(0.1)) as stage:
        for what, attacked, rate in (
            ("ten scrapes a second", False, 10),
            (f"{RATE} scrapes a second", False, RATE),
            (f"{OPEN} open connections", True, 10),
        ):
            took, late = _watched(stage, rate, max(effort.seconds, 5), attacked=attacked)
            table.rows.append(Row(f"{what}: a scrape", "ms", {OURS: took}, () if attacked else QUICK))
            table.rows.append(Row(f"{what}: answered", "%", {OURS: [100 * sum(one > 0 for one in took) / len(took)]}))
            for share, bound in late.items():
                table.rows.append(Row(f"{what}: elector's lateness, {share}, at most", "ms", {OURS: [bound * 1000]}))
    return table


def _watched(stage: Stage, rate: float, seconds: float, *, attacked: bool) -> tuple[list[float], dict[str, float]]:
    """Return the milliseconds of each scrape, and bounds of the elector's lateness meanwhile."""
    node, client = stage.lb1, stage.client
    program = f"{SYSTEM_PYTHON} {scraper.__file__} {node.address} 9869"
    attacker = (
        client.popen(f"ulimit -n 4096; exec {program} attack {OPEN}", output="/var/log/attack") if attacked else None
    )
    if attacker is not None:
        eventually(lambda: "ready" in client.path("/var/log/attack").read_text(), within=60, what="all are open")
    before = _lateness(node)
    said = client.run(f"{program} scrape {rate:g} {seconds:g}", timeout=seconds * 10 + 60).stdout
    leave_alone(1.1)  # an elector reports once a second
    after = _lateness(node)
    if attacker is not None:
        attacker.kill()
    counts = [(bound, later - earlier) for (bound, later), (_, earlier) in zip(after, before, strict=True)]
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    late = {
        name: next(bound for bound, count in counts if count >= share * counts[-1][1]) for name, share in shares.items()
    }
    return [float(line) for line in said.splitlines()], late


def _lateness(node: Node) -> list[tuple[float, float]]:
    return buckets(scrape(node), "elector_lateness_seconds")
