"""A real Prometheus on a machine of the lab, and what it answers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import yaml

from .machine import REPOSITORY, Machine
from .waiting import eventually

DASHBOARDS = REPOSITORY / "dashboards"
RULES = DASHBOARDS / "alerts" / "skd-cluster.rules.yaml"
RATE_INTERVAL = "10s"
"""What Grafana would put in for `$__rate_interval`, or a little more: a scrape is each second."""

RANGE = "15m"
"""What it would put in for `$__range`: more than any of our stories takes."""

FOLDER = "/etc/prometheus-lab"


def panels(name: str) -> list[dict[str, Any]]:
    """Return the panels of a dashboard's file, those that only are a heading too."""
    found: list[dict[str, Any]] = json.loads((DASHBOARDS / name).read_text())["panels"]
    return found


def queries(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a dashboard's file asks of Prometheus: each panel's title with each of its queries, and its marks."""
    for panel in panels(name):
        for target in panel.get("targets", ()):
            if target["datasource"]["type"] == "prometheus":
                yield panel["title"], target
    for marks in json.loads((DASHBOARDS / name).read_text())["annotations"].get("list", ()):
        yield marks["name"], {"expr": marks["expr"], "legendFormat": marks["titleFormat"] + marks["textFormat"]}


def filled_in(expr: str, pair: str) -> str:
    """Return a panel's query as Grafana would send it, for all nodes of the pair."""
    found = expr.replace("$__rate_interval", RATE_INTERVAL).replace("$__range", RANGE)
    return found.replace("$pair", pair).replace("$node", ".+")


@dataclass
class Prometheus:
    """One that runs on a machine and scrapes a pair, or these nodes; ask it after `start`."""

    machine: Machine
    addresses: Sequence[str] = ("10.77.0.1", "10.77.0.2")

    def start(self, rules: str = "", *, every: str = "1s", alertmanager: str = "") -> None:
        """Run it with these rules, else with ours; returns when it answers."""
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [f"{FOLDER}/rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []},
            "scrape_configs": [
                {"job_name": "skd-cluster", "static_configs": [{"targets": [f"{one}:9869" for one in self.addresses]}]}
            ],
        }
        self.machine.write(f"{FOLDER}/prometheus.yml", yaml.safe_dump(config))
        self.machine.write(f"{FOLDER}/rules.yaml", rules or RULES.read_text())
        self.machine.run("mkdir -p /run/prometheus")
        options = f"--config.file={FOLDER}/prometheus.yml --storage.tsdb.path=/run/prometheus"
        self.machine.popen(
            f"exec prometheus {options} --web.listen-address=127.0.0.1:9090", output="/var/log/prometheus.out"
        )
        answers(self.machine, "http://127.0.0.1:9090/-/ready", "Prometheus answers")

    def ask(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query. AssertionError when it is refused."""
        return self._ask("query", query=query, **({} if at is None else {"time": at}))

    def over_time(self, query: str, seconds: int) -> list[dict[str, Any]]:
        """Return the result of a range query up to now."""
        now = self.now()
        return self.between(query, now - seconds, now, 1)

    def between(self, query: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the result of a range query."""
        return self._ask("query_range", query=query, start=start, end=end, step=step)

    def now(self) -> float:
        """Return the time as the machine has it."""
        return float(self.machine.run(["date", "+%s"]).stdout)

    def _ask(self, how: str, **words: Any) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:9090/api/v1/{how}?{urlencode(words)}"
        answer = json.loads(self.machine.run(["curl", "-s", url]).stdout or "{}")
        assert answer.get("status") == "success", f"{words['query']}: {answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire, or wait to."""
        return {one["metric"]["alertname"] for one in self.ask("ALERTS")}


def answers(machine: Machine, url: str, what: str) -> None:
    """Wait until a server answers on this machine."""
    eventually(lambda: machine.run(["curl", "-fs", url], check=False).returncode == 0, within=20, what=what)
