"""The journal, or plain lines on stderr without it. Nobody waits: lines queue for a thread, and what is too much is counted."""

import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from systemd import journal

from skd_cluster.adapters.clock import wall
from skd_cluster.core.events import PASSING, message_id

SEVERITIES = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}

_SOCKET = Path("/run/systemd/journal/socket")
_DEPTH = 1000
_RECENT, _SHOWN = 20, 300
"""So many lines are remembered, and of each so many characters."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what kind, how bad, the sentence, and fields for machines."""

    event: str
    text: str
    severity: str = "info"
    fields: Mapping[str, Any] = field(default_factory=dict)


class Sink(Protocol):
    """Where lines end."""

    def __call__(self, line: Line) -> None:
        """Write one line; may block, may raise OSError."""


def to_journal(line: Line) -> None:
    """Write to journald with all fields."""
    fields = {f"SKD_{name.upper().removeprefix('SKD_')}": str(value) for name, value in line.fields.items()}
    priority = SEVERITIES.get(line.severity, 6)
    journal.send(
        line.text,
        MESSAGE_ID=message_id(line.event),
        PRIORITY=priority,
        SYSLOG_IDENTIFIER="skd-cluster",
        SKD_EVENT=line.event,
        **fields,
    )


def to_stderr(line: Line) -> None:
    """Write `LEVEL event text key=value`."""
    fields = "".join(f" {name}={_quoted(value)}" for name, value in line.fields.items())
    text = line.text.replace("\n", " ")
    sys.stderr.write(f"{line.severity.upper()} {line.event} {text}{fields}\n")
    sys.stderr.flush()


def choose_sink(environment: Mapping[str, str]) -> Sink:
    """Return journald when stderr leads there, which is what systemd says with JOURNAL_STREAM."""
    try:
        here = os.fstat(2)
    except OSError:
        return to_stderr
    ours = environment.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"
    return to_journal if ours and _SOCKET.exists() else to_stderr


class Journal:
    """A bounded queue and the thread that empties it."""

    def __init__(self, sink: Sink, depth: int = _DEPTH) -> None:
        self.dropped = 0
        self.heed: Callable[[str, str], None] = _nobody
        """Is told the word and the sentence of each line as well, at once and by whichever thread logs it."""
        self._recent: deque[tuple[float, Line]] = deque(maxlen=_RECENT)
        self._sink = sink
        self._queue: queue.Queue[Line | None] = queue.Queue(depth)
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def log(self, event: str, text: str, severity: str = "info", **fields: Any) -> None:
        """Queue a line; never waits. Any thread may call this."""
        self.heed(event, text)
        line = Line(event, text, severity, fields)
        if event not in PASSING:
            self._recent.append((wall(), line))
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def recent(self) -> list[dict[str, Any]]:
        """Return the last lines that matter, the newest last, for `status --json`."""
        return [
            {"at": round(at, 3), "event": line.event, "severity": line.severity, "text": line.text[:_SHOWN]}
            for at, line in tuple(self._recent)
        ]

    def close(self, patience: float = 1.0) -> None:
        """Write what is queued, but wait no longer than `patience` seconds for it."""
        try:
            self._queue.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(patience)

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                self._sink(line)
            except (OSError, ValueError):
                self.dropped += 1


def _nobody(_event: str, _text: str) -> None:
    pass


def _quoted(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return f'"{text}"' if not text or " " in text else text
