"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The default shows each table within minutes; `--full` is for numbers to be believed."""

    runs: int = 2
    """Of what is over in a moment, each with a fresh pair."""
    slow_runs: int = 1
    """Of what one has to look at for seconds."""
    handovers: int = 10
    """Planned ones, within one pair."""
    seconds: float = 5
    """Of listening to advertisements, and of watching the processor."""
    minutes: float = 0.05
    """Of steadiness."""
    edits: int = 50
    """Of one file, each settled before the next."""
    long: bool = False
    """Longer partitions and more intervals."""


FULL = Effort(runs=20, slow_runs=20, handovers=100, seconds=60, minutes=10, edits=200, long=True)
