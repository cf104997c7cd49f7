"""Records what two pairs do in six minutes of trouble: each panel's answers of a real Prometheus, and what `status` says.

`script/dashboards --record` runs it; the pictures in docs/pictures are drawn from what it writes.
"""

import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from tests.fixtures.skudonet_tree import make_tree, rt_tables_text

from .bench.stage import leave_alone
from .client import Client
from .lab import Lab
from .node import CONFIG_TREE, DAEMON_OUTPUT, HOOKS, RT_TABLES, Node
from .prometheus import Prometheus, filled_in, queries
from .screen import Screen
from .waiting import eventually

STEP: Final = 2
"""Seconds between two points of a line."""

_DIGITS: Final = 5
_CHECKS: Final = "/usr/local/skudonet/app/ucarp/checks.d"
_CHECK: Final = "#!/bin/sh\n[ ! -e /run/farm-down ] || { echo no answer on port 80; exit 1; }\n"
_EDITOR: Final = """\
number=0
while :; do
  if grep -q master /etc/skudonet-ce-cluster.status 2> /dev/null; then
    number=$((number + 1))
    echo "$number" > {tree}/edited.cfg
  fi
  sleep 0.5
done
"""


# What the journal would say of each line: when it came.
_SCRIBE: Final = 'tail -n +1 -F {log} 2> /dev/null | while IFS= read -r line; do echo "$EPOCHREALTIME $line"; done'
_SCRIPT: Final = "/var/log/film.out"
_SPOKEN: Final = re.compile(r"(?P<at>\d+[.,]\d+) [A-Z]+ (?P<event>\w+) (?P<sentence>.*?)(?: \w+=.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Set:
    """The two pairs: `web` has the trouble, `mail` stands beside it on the page of all pairs."""

    lab: Lab
    web: tuple[Node, Node]
    mail: tuple[Node, Node]
    client: Client
    statuses: dict[str, Any] = field(default_factory=dict)
    screens: dict[str, str] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Keep what both nodes of the pair say of themselves now, and when that is."""
        at = float(self.client.run(["date", "+%s.%N"]).stdout)
        self.statuses[name] = {node.name: {"at": at, "status": node.status()} for node in self.web}


def build(lab: Lab) -> Set:
    """Start two pairs, each in sync, the first node of each master."""
    web = lab.node("lb1", "10.77.0.1"), lab.node("lb2", "10.77.0.2")
    mail = lab.node("mail1", "10.77.0.3"), lab.node("mail2", "10.77.0.4")
    mail[0].peer, mail[1].peer = mail[1], mail[0]
    client = lab.client("10.77.0.50")
    lab.trust()
    for pair, address, number in ((web, "10.77.0.100/24", "1"), (mail, "10.77.0.101/24", "2")):
        for node, name in zip(pair, ("lb1", "lb2"), strict=True):
            _make_tree(node, name)
            node.write(f"{_CHECKS}/farm", _CHECK, 0o755)
            node.write_config(
                floating="listed",
                advert_interval="0.1",
                check_interval="1",
                check_rise="1",
                cluster_id=number,
                cluster_ip=address,
                exclude=None,
            )
        pair[0].add_address(address)
        for node in pair:
            node.start_daemon()
        _roles(pair, "master", "backup")
        _in_sync(pair[0])
    for node in web:
        node.popen(_SCRIBE.format(log=DAEMON_OUTPUT), output=_SCRIPT)
        node.popen(_EDITOR.format(tree=CONFIG_TREE))
    return Set(lab, web, mail, client)


def _in_sync(master: Node) -> None:
    eventually(lambda: master.status()["replication"]["in_sync"], within=30, what="in sync")


def _make_tree(node: Node, name: str) -> None:
    """Put the product's files in place; the fixture knows nodes of two names only."""
    node.path(CONFIG_TREE).parent.mkdir(parents=True, exist_ok=True)
    make_tree(node.path(CONFIG_TREE), node=name, farms=5)
    node.write(RT_TABLES, rt_tables_text(name))


def _roles(pair: tuple[Node, Node], *wanted: str) -> None:
    eventually(lambda: tuple(node.role() for node in pair) == wanted, within=20, what=f"roles {wanted}")


def _failover(scene: Set) -> None:
    scene.take("normal")
    scene.web[0].run(["skd-cluster", "failover"])
    _roles(scene.web, "backup", "master")


def _check_fails(scene: Set) -> None:
    scene.web[1].write("/run/farm-down", "")
    _roles(scene.web, "master", "fault")
    leave_alone(4)
    scene.take("fault")


def _check_mends(scene: Set) -> None:
    scene.web[1].path("/run/farm-down").unlink()
    _roles(scene.web, "master", "backup")


def _loss(scene: Set) -> None:
    scene.lab.lose(3)


def _no_loss(scene: Set) -> None:
    scene.lab.heal()


def _kill(scene: Set) -> None:
    with Screen(scene.web[1]) as screen:
        screen.type("skd-cluster status --watch")
        screen.await_text("takeover")
        leave_alone(6)
        scene.web[0].kill_daemon()
        screen.await_text("lb2 MASTER since")
        leave_alone(3)
        scene.screens["takeover"] = screen.coloured


def _return(scene: Set) -> None:
    scene.web[0].start_daemon()
    _roles(scene.web, "backup", "master")


def _partition(scene: Set) -> None:
    scene.lab.partition(*scene.web)
    _roles(scene.web, "master", "master")
    for node in scene.web:
        node.write(f"{CONFIG_TREE}/by-hand.cfg", f"typed on {node.name}\n")


def _strangers(scene: Set) -> None:
    for node in scene.web:
        for _ in range(5):
            scene.client.run(f"echo garbage > /dev/udp/{node.address}/10112")
    # Somebody else who claims the address for a moment.
    scene.client.run(
        "ip address add 10.77.0.100/32 dev eth0; arping -U -c 3 -I eth0 10.77.0.100;"
        " ip address del 10.77.0.100/32 dev eth0"
    )


def _resolve(scene: Set) -> None:
    (name, *_) = next(found for node in scene.web if (found := [one["name"] for one in node.status()["conflicts"]]))
    scene.web[0].run(["skd-cluster", "history", "resolve", name])


def _hook_fails(scene: Set) -> None:
    backup = next(node for node in scene.web if node.role() == "backup")
    master = next(node for node in scene.web if node.role() == "master")
    backup.write(HOOKS.format("start"), "#!/bin/sh\necho the load balancer does not start; exit 1\n", 0o755)
    master.run(["skd-cluster", "failover"])
    eventually(lambda: backup.role() == "master", within=10, what="the failover")


def _cable(scene: Set) -> None:
    scene.lab.cut(next(node for node in scene.web if node.role() == "master"))


def _mail_has_none(scene: Set) -> None:
    for node in scene.mail:
        node.kill_daemon()


def _mail_is_back(scene: Set) -> None:
    for node in scene.mail:
        node.start_daemon()


def _mended(scene: Set) -> None:
    for node in scene.web:
        scene.lab.mend(node)
        node.write_hooks()
    scene.mail[1].run(["skd-cluster", "standby"])


SCENES: Final[tuple[tuple[int, Callable[[Set], None]], ...]] = (
    (25, _failover),
    (40, _check_fails),
    (25, _check_mends),
    (20, _loss),
    (35, _no_loss),
    (10, _kill),
    (20, _return),
    (35, _partition),
    (12, _no_loss),
    (20, _strangers),
    (15, _resolve),
    (15, _hook_fails),
    (25, _mail_has_none),
    (12, _mail_is_back),
    (15, _cable),
    (15, _mended),
)
"""Seconds to wait, and what happens then."""


def shoot() -> dict[str, Any]:
    """Play it all and return what was recorded."""
    with Lab() as lab:
        scene = build(lab)
        machines = [*scene.web, *scene.mail]
        prometheus = Prometheus(scene.client, [one.address for one in machines])
        prometheus.start()
        start = prometheus.now() + 5
        for seconds, happen in SCENES:
            leave_alone(seconds)
            print(f"{prometheus.now() - start:5.0f} s  {happen.__name__.strip('_').replace('_', ' ')}", flush=True)
            happen(scene)
        leave_alone(30)
        end = prometheus.now()
        assert not any("Traceback" in node.output() for node in machines)
        answers = dict(_answers(prometheus, ",".join(one.address for one in scene.web), start, end))
        journal = sorted(line for node in scene.web for line in _journal(node, start))
    times = {"start": int(start), "end": int(end), "step": STEP}
    return {**times, "answers": answers, "journal": journal, "statuses": scene.statuses, "screens": scene.screens}


def _journal(node: Node, start: float) -> Iterator[tuple[float, str, str, str]]:
    """Yield what a node's service said since then: when, the node, the event, the sentence."""
    for found in _SPOKEN.finditer(node.path(_SCRIPT).read_text(errors="replace")):
        at = float(found["at"].replace(",", "."))
        if at >= start:
            yield round(at, 3), node.name, found["event"], found["sentence"]


def _answers(prometheus: Prometheus, pair: str, start: float, end: float) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield every panel's query and its lines: the labels, and a number or none for each point."""
    for _, target in chain(queries("pair.json"), queries("fleet.json")):
        query = filled_in(target["expr"], pair)
        if target.get("instant"):
            found = [{**one, "values": [one["value"]]} for one in prometheus.ask(query, end)]
            moments = [end]
        else:
            found = prometheus.between(query, start, end, STEP)
            moments = [start + STEP * number for number in range(int((end - start) // STEP) + 1)]
        lines = [{"labels": _labels(one["metric"]), "values": _numbers(one["values"], moments)} for one in found]
        yield target["expr"], sorted(lines, key=lambda one: sorted(one["labels"].items()))


def _labels(metric: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metric.items() if name not in ("__name__", "instance", "job")}


def _numbers(values: list[list[Any]], moments: list[float]) -> list[float | None]:
    found = {round(at): float(value) for at, value in values if value not in ("NaN", "+Inf", "-Inf")}
    rounded = {at: float(f"{value:.{_DIGITS}g}") for at, value in found.items()}
    return [rounded.get(round(at)) for at in moments]


def main() -> None:
    """Write the record into the file that is named."""
    text = json.dumps(shoot(), sort_keys=True, separators=(",", ":"))
    Path(sys.argv[1]).write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
