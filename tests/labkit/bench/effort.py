"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The default shows each table within minutes; `--full` is for numbers to be believed."""

    runs: int = 3
    """Of everything that ends a service, each with a fresh pair."""
    handovers: int = 10
    """Planned ones, within one pair."""
    seconds: float = 6
    """Of listening to advertisements, and of watching the processor."""
    minutes: float = 0.1
    """Of steadiness."""
    long: bool = False
    """Longer partitions and more intervals."""


FULL = Effort(runs=20, handovers=100, seconds=60, minutes=10, long=True)
