"""What the supervisor does by the clock: feed systemd's watchdog, notice a silent elector."""

from skd_cluster.adapters import notify
from skd_cluster.adapters.journal import Journal
from skd_cluster.core.events import Repeats
from skd_cluster.core.messages import Note
from skd_cluster.core.model import Nanos, Role, nanos
from skd_cluster.core.status import Board, Snapshot, problems
from skd_cluster.core.supervision import Liveness
from skd_cluster.processes.supervisor_role import StatusFile

_TICK = nanos(0.5)


class Feeder:
    """Feeds the watchdog as `Liveness` allows."""

    def __init__(self, liveness: Liveness) -> None:
        self._liveness = liveness

    @property
    def deadline(self) -> Nanos | None:
        """When to feed next."""
        return self._liveness.deadline

    def on_timer(self, now: Nanos) -> None:
        """Feed, if the elector lives."""
        if self._liveness.on_timer(now):
            notify.alive()


class NoteLog:
    """Writes what children have to say; a kind that comes too often is counted instead."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._repeats = Repeats()

    @property
    def deadline(self) -> Nanos | None:
        """When a count is to be told."""
        return self._repeats.deadline

    def on_timer(self, now: Nanos) -> None:
        """Tell how many lines were left out."""
        for event, held in self._repeats.on_timer(now):
            self._journal.log("repeated", f"{event}: {held} more lines like the last one", of=event, count=held)

    def write(self, note: Note, now: Nanos) -> None:
        """Write a note, or count it."""
        if self._repeats.allow(note.event, now):
            fields = {name: value for name, value in note.fields.items() if name not in ("event", "text", "severity")}
            self._journal.log(note.event, note.text, note.severity, **fields)


class Watch:
    """Looks twice a second whether the elector is still there, and keeps `systemctl status` true."""

    def __init__(self, journal: Journal, board: Board, liveness: Liveness, status_file: StatusFile) -> None:
        self._journal = journal
        self._board = board
        self._liveness = liveness
        self._status_file = status_file
        self._silent = False
        self._said = ""
        self._at = Nanos(0)

    @property
    def deadline(self) -> Nanos:
        """When to look again."""
        return self._at

    def on_timer(self, now: Nanos) -> None:
        """Look."""
        self._at = Nanos(now + _TICK)
        if self._journal.dropped != self._board.now.log_dropped:
            self._board.update(log_dropped=self._journal.dropped)
        if self._board.now.elector is not None and not self._board.now.stopping:
            self.look(now)

    def look(self, now: Nanos) -> None:
        """Bring the status file and systemd's sentence in line with what is known."""
        snapshot = self._board.now
        silent = not self._liveness.fresh(now)
        if silent and not self._silent:
            text = "the elector does not report any more: its addresses expire, the peer takes over"
            self._journal.log("elector_silent", text, "err")
        elif self._silent and not silent:
            self._journal.log("elector_back", "the elector reports again", "notice")
        self._silent = silent
        # Its addresses are gone by now, whatever it last said.
        self._status_file.show(Role.FAULT.word if silent else snapshot.role.word)
        sentence = self.sentence(now)
        if sentence != self._said:
            self._said = sentence
            notify.status(sentence)

    def sentence(self, now: Nanos) -> str:
        """Return what `systemctl status` shows."""
        snapshot = self._board.now
        if not self._liveness.fresh(now):
            return "the elector does not report"
        return sentence(snapshot, now)


def sentence(snapshot: Snapshot, now: Nanos) -> str:
    """Return the state of this node in one line."""
    report, peer = snapshot.elector, snapshot.peer
    if report is None:
        return "starting"
    about = f"{snapshot.role.word} (epoch {snapshot.epoch}, {report.reason})"
    known = bool(peer.get("alive")) and "role" in peer
    about += f", peer {snapshot.remote_ip} {Role(peer['role']).word}" if known else f", no peer {snapshot.remote_ip}"
    about += ", configuration in sync" if snapshot.in_sync else ", configuration not in sync"
    found = [one for one in problems(snapshot, now) if "is not heard" not in one]
    return f"{about}; {found[0]}" if found else about
