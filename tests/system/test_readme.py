"""README's "Set up a pair", typed word for word at the terminals of two fresh nodes."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labkit import CLUSTER_CONF, eventually
from tests.labkit.appliance import LB1, LB2, Appliances, dependencies
from tests.labkit.booted import BootedLab, BootedNode
from tests.labkit.image import ROOT_PASSWORD
from tests.labkit.machine import REPOSITORY
from tests.labkit.terminal import Terminal

TYPED = re.compile(r"(?:\[\w+\] )?root@(?P<node>lb[12]) ?> (?P<command>.*)")
ANSWERS = {
    "(yes/no": "yes",
    "assword:": ROOT_PASSWORD,
    "[Y/n]": "",
    "Enter file in which to save the key": "",
    "Enter passphrase": "",
    "Enter same passphrase": "",
}


def blocks() -> list[list[str]]:
    """Return the indented examples of the section, each as its lines."""
    text = (REPOSITORY / "README.md").read_text()
    section = text.partition("## Set up a pair\n")[2].partition("\n### ")[0]
    found: list[list[str]] = [[]]
    for line in section.splitlines():
        if line.startswith("       "):
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def typed(block: list[str]) -> list[tuple[str, str]]:
    matches = [TYPED.fullmatch(line) for line in block]
    return [(match["node"], without_remark(match["command"]).rstrip()) for match in matches if match]


def without_remark(command: str) -> str:
    return command.partition("  #")[0]


def type_and_answer(node: BootedNode, command: str) -> str:
    """Type a command into a new login, give the expected answers, and return what appeared; it has to end well."""
    with Terminal(node) as terminal:
        terminal.expect(f"root@{node.name}")
        terminal.type(f"{without_remark(command)}; echo ended=$?")
        ends = [f"ended={number}" for number in range(10)]
        while (found := terminal.expect_one_of([*ANSWERS, *ends], within=90)) in ANSWERS:
            terminal.type(ANSWERS[found])
        assert found == "ended=0", terminal.screen
        return terminal.screen


@pytest.fixture
def nodes(package: Path) -> Iterator[Appliances]:
    with BootedLab(dependencies(package)) as lab:
        pair = Appliances(lab)
        pair.lb1.run("systemctl start skudonet")  # it is the one with the floating addresses
        for node in pair.nodes:
            shutil.copyfile(package, node.path(f"/root/{package.name}"))
        yield pair


@pytest.mark.parametrize("way", ["skd-cluster pair", "ssh-copy-id"])
def test_the_page_leads_to_a_pair(nodes: Appliances, way: str) -> None:
    by_name = {node.name: node for node in nodes.nodes}
    for block in blocks():
        if block[0].startswith("$"):
            write_configuration(by_name["lb1"], block)
            swapped = [line.replace(LB1, "?").replace(LB2, LB1).replace("?", LB2) for line in block]
            write_configuration(by_name["lb2"], swapped)
        elif block[0].startswith("ssh-keygen") and way == "ssh-copy-id":
            for line in block:
                type_and_answer(by_name["lb1"], line)
                type_and_answer(by_name["lb2"], line.replace(LB2, LB1))
        for name, command in typed(block):
            if command == "skd-cluster pair" and way != command:
                continue
            said = type_and_answer(by_name[name], command)
            if "grep skdinotify" in command:
                assert said.count("skdinotify") >= 2 + 1, said  # typed, found by itself, and the replicator
            if command.startswith("systemctl enable"):
                node = by_name[name]
                eventually(lambda: node.role() in {"master", "backup"}, within=10, what=f"{name} knows its role")  # noqa: B023
    nodes.settled("master", "backup")
    assert nodes.differences() == []


def write_configuration(node: BootedNode, lines: list[str]) -> None:
    node.write(CLUSTER_CONF, "\n".join(lines) + "\n", 0o600)


def test_the_page_has_what_is_looked_for() -> None:
    commands = [command for block in blocks() for _, command in typed(block)]
    assert {command.split()[0] for command in commands} >= {"apt", "skd-cluster", "systemctl", "ps"}
    assert [block[0].split()[0] for block in blocks() if block[0].startswith("script/")] == ["script/deb"]
    prompts = [line for block in blocks() for line in block if line.startswith("[")]
    assert prompts, "the role in the prompt is on the page"
