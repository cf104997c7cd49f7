"""The user of a floating address, and how long he had to do without."""

import itertools
import mmap
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from .machine import SYSTEM_PYTHON, Machine, Process
from .waiting import eventually

PROBE: Final = Path(__file__).with_name("probe.py")
LATE: Final = 100_000_000  # nanoseconds; an answer later than this helped nobody


class Gap(NamedTuple):
    """A stretch without an answer: between the sending of two consecutive probes that were answered."""

    seconds: float
    start: float  # monotonic
    lost: int  # probes without an answer in it; none: the prober itself was held up
    sure: float  # seconds from the first of these to the last: the address was gone for this long at least

    @property
    def ms(self) -> float:
        return self.seconds * 1000

    def __str__(self) -> str:
        return f"{self.ms:.1f} ms"


def longest_gap(probes: Iterator[tuple[int, int]], since: int = 0) -> Gap:
    """Return the longest gap among probes (sent, answered or 0; in nanoseconds) that ended after `since`.

    A gap in which probes were lost outranks every stretch in which the prober itself was held up and sent none.

    The stretch from the last answer to the newest probe counts too: an outage that is not over is seen.
    """
    worst = Gap(0.0, since / 1e9, 0, 0.0)
    begin = sent = 0
    lost: list[int] = []
    for sent, answered in probes:
        begin = begin or max(sent, since)
        if not answered or answered - sent > LATE:
            lost.append(sent)
            continue
        if sent > since:
            worst = max(worst, _gap(begin, sent, lost), key=_rank)
        begin, lost = sent, []
    return max(worst, _gap(begin, sent, lost), key=_rank) if sent > since else worst


def _rank(gap: Gap) -> tuple[bool, float]:
    return bool(gap.lost), gap.seconds


def _gap(begin: int, end: int, lost: list[int]) -> Gap:
    sure = (lost[-1] - lost[0]) / 1e9 if lost else 0.0
    return Gap((end - begin) / 1e9, begin / 1e9, len(lost), sure)


class Prober:
    """Probes one address every `interval` seconds, in a `with` block; the record can be read at any time.

    It has room for `seconds`.
    """

    def __init__(self, machine: Machine, address: str, *, interval: float = 0.001, seconds: float = 3600) -> None:
        self._machine = machine
        self._address = address
        self._interval = interval
        self._capacity = round(seconds / interval)
        self._process: Process | None = None
        self._slots: memoryview[int] = memoryview(b"").cast("Q")

    def __enter__(self) -> Self:
        inside = f"/run/probe-{time.monotonic_ns()}"
        with self._machine.path(inside).open("w+b") as file:
            file.truncate(8 + 16 * self._capacity)
            self._slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        arguments = [self._address, inside, str(round(self._interval * 1_000_000)), str(self._capacity)]
        self._process = self._machine.popen(
            [SYSTEM_PYTHON, "-I", "-S", PROBE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said == "probing\n", f"the prober said: {said}{self._process.stdout.read()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.send(signal.SIGKILL)
        self._process.wait()
        self._process.close()

    def mark(self) -> int:
        """Return this instant, for `gap_since`."""
        return time.monotonic_ns()

    def gap_since(self, mark: int) -> Gap:
        """Return the longest gap that ended after the mark, or goes on."""
        return longest_gap(self._probes(), mark)

    def longest_gap(self) -> Gap:
        return longest_gap(self._probes())

    def wait_answer(self, within: float = 3.0) -> None:
        """Return when a probe sent after this call was answered: a gap that was open is over."""
        first = self.sent
        eventually(
            lambda: any(self._slots[2 + 2 * index] for index in range(first, self.sent)),
            within=within,
            what=f"{self._address} answers",
        )

    def worst_stall(self, since: int = 0) -> float:
        """Return the longest time, in seconds, between two probes: how far the prober itself can be trusted."""
        sent = [at for at, _ in self._probes() if at > since]
        return max((b - a for a, b in itertools.pairwise(sent)), default=0) / 1e9

    @property
    def sent(self) -> int:
        return self._slots[0]

    @property
    def answered(self) -> int:
        return sum(1 for _, answer in self._probes() if answer)

    def _probes(self) -> Iterator[tuple[int, int]]:
        numbers = self._slots[1 : 1 + 2 * self.sent].tolist()
        return zip(numbers[::2], numbers[1::2], strict=True)


class Client(Machine):
    """A machine that only uses the floating addresses."""

    def prepare(self) -> None:
        """Have the kernel drop what it cannot send yet, so that no probe waits for ARP and is counted as in time."""
        for version in (4, 6):
            self.path(f"/proc/sys/net/ipv{version}/neigh/eth0/unres_qlen_bytes").write_text("0")

    def probe(self, address: str) -> Prober:
        """Return a prober for a `with` block."""
        return Prober(self, address)
