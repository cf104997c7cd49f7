"""`skd-cluster status --watch`: both nodes live on a terminal; elsewhere a block of plain lines for each change."""

import argparse
import os
import select
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skd_cluster.adapters.clock import wall
from skd_cluster.adapters.control import NotRunning, request
from skd_cluster.adapters.screen import News, Screen, shows_unicode, usable
from skd_cluster.cli.client import run_dir_of
from skd_cluster.cli.status import moment, render
from skd_cluster.cli.watchview import ASCII, UNICODE, Canvas, Seen, Tone, draw, gist
from skd_cluster.core.model import ExitCode

_EVERY = 0.5
"""Seconds between two looks."""

_PATIENCE = 2.0
"""Seconds for an answer. A service that takes longer is in trouble, and that is shown."""

STYLES: Mapping[str, str] = {
    Tone.TITLE: "reverse",
    Tone.GOOD: "green",
    Tone.DOUBTFUL: "yellow",
    Tone.BAD: "bold red",
    Tone.FAINT: "dim",
}
"""How each tone looks, in rich's words."""


def watch(args: argparse.Namespace) -> ExitCode:
    """Show it until told to end."""
    looker = Looker(args.config)
    try:
        looker.look()
    except PermissionError:
        print("only root may ask the service", file=sys.stderr)
        return ExitCode.FAILED
    if usable(os.environ):
        _live(looker)
    else:
        _plain(looker)
    return ExitCode.OK


class Looker:
    """Asks the service again and again. `seen` is replaced as a whole, so any thread may read it."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._run_dir = run_dir_of(config)
        self._ended = threading.Event()
        self.seen = Seen(None)

    def look(self) -> None:
        """Ask once. Raises PermissionError."""
        status, trouble = self.seen.status, ""
        try:
            answer = request(self._run_dir, {"verb": "status"}, _PATIENCE)
            found: dict[str, Any] | None = answer.get("status")
            if found is None:
                trouble = str(answer.get("text", "the service gave no answer"))
            else:
                status = found
        except NotRunning:
            trouble = "the service is NOT RUNNING here: systemctl start skudonet-ce-cluster"
            self._run_dir = run_dir_of(self._config)  # the next one may be started with another
        except TimeoutError:
            trouble = f"the service does NOT ANSWER within {_PATIENCE:.0f} s"
        self.seen = Seen(status, trouble)

    def look_on(self, screen: Screen) -> None:
        """Ask until `end`, for a thread of its own: the terminal must not wait for a service that hangs."""
        while not self._ended.wait(_EVERY):
            try:
                self.look()
            except OSError as error:
                self.seen = Seen(self.seen.status, f"the service cannot be asked: {error.strerror or error}")
            if not self._ended.is_set():
                screen.bell()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()


def _live(looker: Looker) -> None:
    signs = UNICODE if shows_unicode(os.environ) else ASCII
    with Screen(STYLES) as screen:
        thread = threading.Thread(target=looker.look_on, args=(screen,), name="looker", daemon=True)
        thread.start()
        try:
            news = News.REDRAW
            while news is News.REDRAW:
                canvas = Canvas(*screen.size, moment, signs)
                screen.show(draw(looker.seen, canvas, wall()))
                news = screen.wait()
        finally:
            looker.end()
            thread.join(_EVERY)


def _plain(looker: Looker) -> None:
    """Print what is new. Raises BrokenPipeError when nobody reads it any more."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    last = None
    while True:
        now = gist(looker.seen)
        if now != last:
            print("\n".join((f"--- {moment(wall())}", *_block(looker.seen))), flush=True)
            last = now
        if any(state & (select.POLLERR | select.POLLNVAL) for _, state in reader.poll(_EVERY * 1000)):
            raise BrokenPipeError
        looker.look()


def _block(seen: Seen) -> list[str]:
    if seen.trouble or seen.status is None:
        return [f"!          {seen.trouble}"]
    return list(render(seen.status))
