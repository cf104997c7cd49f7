"""A real Alertmanager on a machine of the lab, and our rules with less patience."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from . import webhook
from .machine import SYSTEM_PYTHON, Machine, Process
from .prometheus import FOLDER, RULES, answers

EXAMPLE: Final = RULES.with_name("alertmanager.yaml")

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SQUEEZE: Final = 60
_PATIENCE: Final = (1, 2)
_WINDOW: Final = (8, 12)


def squeezed(rules: str) -> str:
    """Return rules that say the same of a sixtieth of the time: each `for:` of 1 to 2 s, each window of 8 to 12 s.

    A window of less would hold too few scrapes; of more, and a test would wait for something to be forgotten. Thresholds stay.
    """
    document = yaml.safe_load(rules)
    for group in document["groups"]:
        if "interval" in group:
            group["interval"] = "1s"
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = _shorter(rule["for"], _PATIENCE)
            rule["expr"] = re.sub(r"\[(\d+[smhd])\]", lambda found: f"[{_shorter(found[1], _WINDOW)}]", rule["expr"])
    return str(yaml.safe_dump(document, sort_keys=False, width=1000))


def _shorter(span: str, bounds: tuple[int, int]) -> str:
    asked = int(span[:-1]) * _UNITS[span[-1]]
    return f"{min(max(asked // _SQUEEZE, bounds[0]), bounds[1])}s"


def expressions(rules: str) -> dict[str, str]:
    """Return what each alert of a file asks."""
    groups = yaml.safe_load(rules)["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}


@dataclass
class Alertmanager:
    """One that runs on a machine with our example, sped up, beside whoever its webhooks are for."""

    machine: Machine

    def start(self) -> str:
        """Run it and the receiver of its messages; returns where it listens."""
        text = re.sub(r"^( *(?:group_wait|group_interval): ).*", r"\g<1>1s", EXAMPLE.read_text(), flags=re.MULTILINE)
        self.machine.write(f"{FOLDER}/alertmanager.yml", text)
        self.machine.run("mkdir -p /run/alertmanager")
        self._program([SYSTEM_PYTHON, webhook.__file__, "9099", "/var/log/webhook"], "/var/log/webhook.out")
        options = f"--config.file={FOLDER}/alertmanager.yml --storage.path=/run/alertmanager --cluster.listen-address="
        words = ["prometheus-alertmanager", *options.split(" "), "--web.listen-address=127.0.0.1:9093"]
        self._program(words, "/var/log/alertmanager.out")
        answers(self.machine, "http://127.0.0.1:9093/-/ready", "Alertmanager answers")
        answers(self.machine, "http://127.0.0.1:9099/", "the receiver answers")
        return "127.0.0.1:9093"

    def _program(self, words: Sequence[str | Path], output: str) -> Process:
        return self.machine.popen(words, output=output)

    def messages(self) -> list[dict[str, Any]]:
        """Return what it has told so far: the receiver's bodies, each with the path it was sent to."""
        log = self.machine.path("/var/log/webhook")
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def inhibited(self, name: str) -> bool:
        """Whether an alert is there and all of it is held back for a greater one."""
        url = "http://127.0.0.1:9093/api/v2/alerts"
        found = json.loads(self.machine.run(["curl", "-fs", url]).stdout)
        own = [one["status"]["inhibitedBy"] for one in found if one["labels"]["alertname"] == name]
        return bool(own) and all(own)
