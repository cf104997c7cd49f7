"""Whole histories, kept: `SKD_REWRITE=1 pytest` writes them anew; commit a difference only if you know its cause.

A script is one verb of the world per line, then `---`, then the history it must give.
"""

import os
from pathlib import Path

import pytest

from skd_cluster.simulation.world import World

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


def value(text: str) -> object:
    """Read an argument: a number, a truth, a word."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return float(text)
    except ValueError:
        return text


def play(lines: list[str]) -> list[str]:
    """Do what a script says; return the history."""
    world = World(pair=False, seed=1)
    for line in lines:
        verb, *said = line.split()
        words = [value(word) for word in said if "=" not in word]
        options = {name: value(text) for name, _, text in (word.partition("=") for word in said if "=" in word)}
        getattr(world, verb)(*words, **options)
    world.monitor.settle()
    return world.history


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_history(script: Path) -> None:
    verbs, _, expected = script.read_text().partition("---\n")
    lines = [line for line in verbs.splitlines() if line and not line.startswith("#")]
    history = "".join(f"{line}\n" for line in play(lines))
    if os.environ.get("SKD_REWRITE"):
        script.write_text(f"{verbs}---\n{history}")
        expected = history
    assert history == expected
