"""Writes the flight recorder's files: at each change of role, and again while something follows from it."""

from contextlib import suppress

from skd_cluster.adapters import flight
from skd_cluster.adapters.clock import monotonic, wall
from skd_cluster.adapters.journal import Journal
from skd_cluster.adapters.state import FileWriter
from skd_cluster.config.schema import Config
from skd_cluster.core.flight import ELECTOR_LOST, GONE, RESTARTING
from skd_cluster.core.flightlog import FlightLog, Origin
from skd_cluster.core.messages import ElectorReport, Flight, RoleChange
from skd_cluster.core.model import Nanos
from skd_cluster.core.status import Board


class Recorder:
    """Hears all that the journal and the elector say. A record is not worth a service that does not start."""

    def __init__(self, config: Config, journal: Journal, files: FileWriter, board: Board) -> None:
        self._state_dir = config.state_dir
        self._files = files
        self._board = board
        now = board.now
        self._numbers: list[int] = []
        with suppress(OSError):  # whoever writes a file there will say what is wrong
            flight.folder(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._numbers = flight.numbers(config.state_dir)
        origin = Origin(now.node, now.local_ip, now.remote_ip, now.version)
        self._log = FlightLog(origin, self._numbers[-1] if self._numbers else 0)
        journal.heed = lambda event, text: self._log.note(monotonic(), event, text)

    @property
    def deadline(self) -> Nanos | None:
        """When to write."""
        return self._log.due

    def on_timer(self, _now: Nanos) -> None:
        """Write."""
        self.write()

    def heard(self, flight: Flight, now: Nanos) -> None:
        """Take what the elector had in its ring."""
        self._log.add([(at, kind, one, two) for at, kind, one, two in flight.rows], now)

    def follow(self, report: ElectorReport, now: Nanos) -> None:
        """Take note of what is new in a report."""
        self._log.follow(report, now)

    def restarting(self) -> None:
        """Record that the elector has left for a restart, and no role with it."""
        self._freeze_here(RESTARTING, monotonic())

    def changed(self, change: RoleChange) -> None:
        """Begin the record of a change."""
        self._freeze(change)

    def lost(self, now: Nanos) -> None:
        """Record that the elector has died, which is no change that it could tell."""
        self._freeze_here(ELECTOR_LOST, now, new=GONE)

    def _freeze_here(self, reason: str, now: Nanos, new: str = "") -> None:
        role = self._board.now.role
        self._freeze(RoleChange(now, role, role, reason, self._board.now.epoch), new)

    def _freeze(self, change: RoleChange, new: str = "") -> None:
        self._log.freeze(change, monotonic(), wall(), new=new)  # both clocks at once: the one is told by the other

    def write(self) -> None:
        """Have the record written if there is something new in it, and the oldest removed."""
        record = self._log.record
        if self._log.due is None or record is None:
            return
        self._log.due = None
        path = flight.path_of(self._state_dir, record.number)
        self._files.put(path, flight.content(record), durable=True, mode=0o600)
        if record.number not in self._numbers:
            self._numbers.append(record.number)
        while len(self._numbers) > flight.KEPT:
            self._files.remove(flight.path_of(self._state_dir, self._numbers.pop(0)))
