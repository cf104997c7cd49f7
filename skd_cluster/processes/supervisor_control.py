"""Answers what people and `receive` ask over the control socket."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from skd_cluster.adapters.clock import wall
from skd_cluster.adapters.control import Client, ControlServer
from skd_cluster.adapters.journal import Journal
from skd_cluster.core.messages import Command, CommandResult, Data, Note
from skd_cluster.core.model import MILLISECOND, Nanos, Role, nanos
from skd_cluster.core.readiness import obstacles, peer_name, readiness
from skd_cluster.core.status import Applied, Board, Snapshot, status
from skd_cluster.processes.loop import Loop
from skd_cluster.processes.supervisor_holdings import Holdings

PATIENCE = nanos(5)
"""How long a change of role may take until the person who asked for it is told that it did not come."""

_SHOWN = 300
"""Characters of what was refused."""

Answer = dict[str, Any]


class Service(Protocol):
    """What the desk needs of the supervisor."""

    def command(self, command: Command) -> bool:
        """Hand a command to the elector; whether it could be."""

    def sync(self, *, allow_delete: bool) -> str:
        """Ask the replicator to compare everything; return what is in the way, or nothing."""

    def reload(self, now: Nanos) -> tuple[bool, str]:
        """Read the configuration again."""

    def note(self, note: Note, now: Nanos) -> None:
        """Write a line into the journal, or count it if its kind comes too often."""

    def set_standby(self, *, standby: bool) -> None:
        """Remember that the administrator took this node out, or put it back."""


@dataclass(slots=True)
class _Wait:
    client: Client
    verb: str
    asked: Nanos
    accepted: bool = False


class Desk:
    """Serves every connection of the control socket; none can keep it busy."""

    def __init__(
        self, loop: Loop, journal: Journal, server: ControlServer, board: Board, service: Service, holdings: Holdings
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._server = server
        self._board = board
        self._service = service
        self._holdings = holdings
        self._clients: list[Client] = []
        self._waits: dict[int, _Wait] = {}
        self._ident = 0
        self._verbs: dict[str, Callable[[Answer, Nanos], Answer]] = {
            "status": self._status,
            "fence": self._fence,
            "applied": self._applied,
            "conflict": self._conflict,
            "refused": self._refused,
            "reload": self._reload,
            "sync": self._sync,
        }

    def start(self) -> None:
        """Begin to serve."""
        self._loop.watch(self._server.fileno(), self._connected)

    @property
    def deadline(self) -> Nanos | None:
        """When somebody has been waited for long enough."""
        ends = [one.deadline for one in self._clients]
        return min(ends, default=None)

    def on_timer(self, now: Nanos) -> None:
        """Hang up on slow clients; tell those who wait for a role that it did not come."""
        for ident, wait in list(self._waits.items()):
            if now - wait.asked >= PATIENCE:
                del self._waits[ident]
                self._answer(wait.client, _failure(_late(wait, self._board.now)), now)
        waiting = {id(one.client) for one in self._waits.values()}
        for client in [one for one in self._clients if one.deadline <= now and id(one) not in waiting]:
            self._hang_up(client)

    def on_result(self, result: CommandResult, now: Nanos) -> None:
        """Hear from the elector what became of a command."""
        wait = self._waits.get(result.ident)
        if wait is None:
            return
        if not result.accepted:
            del self._waits[result.ident]
            self._answer(wait.client, _failure(result.text or "refused"), now)
            return
        wait.accepted = True
        if wait.verb in ("standby", "online"):
            self._service.set_standby(standby=wait.verb == "standby")
        self.on_change(now)

    def on_change(self, now: Nanos) -> None:
        """Look whether somebody's wait is over; call after each news of the elector."""
        for ident, wait in list(self._waits.items()):
            text = _done(wait, self._board.now, now) if wait.accepted else ""
            if text:
                del self._waits[ident]
                self._answer(wait.client, {"ok": True, "text": text}, now)

    def close(self) -> None:
        """Hang up on everybody."""
        self._loop.forget(self._server.fileno())
        for client in list(self._clients):
            self._hang_up(client)
        self._server.close()

    def _connected(self, now: Nanos) -> None:
        client = self._server.accept(now)
        if client is None:
            return
        if not client.allowed or len(self._clients) >= 64:
            client.answer(_failure("only root may ask" if not client.allowed else "too many ask at once"), now)
            client.close()
            return
        self._clients.append(client)
        self._loop.watch(client.fileno(), lambda at: self._readable(client, at))

    def _readable(self, client: Client, now: Nanos) -> None:
        descriptor = client.fileno()
        asked = client.request()
        if client.closed:
            self._gone(client, descriptor)
        elif asked is not None:
            self._loop.forget(descriptor)
            self._handle(client, asked, now)

    def _handle(self, client: Client, asked: Answer, now: Nanos) -> None:
        verb = asked.get("verb")
        if verb in ("failover", "standby", "online"):
            self._command(client, asked, now)
            return
        handler = self._verbs.get(str(verb))
        if handler is None:
            self._answer(client, _failure(f"unknown verb {str(verb)[:40]!r}"), now)
            return
        try:
            answer = handler(asked, now)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            answer = _failure(f"{verb}: wrong request: {error}")
        self._answer(client, answer, now)

    def _command(self, client: Client, asked: Answer, now: Nanos) -> None:
        verb = str(asked["verb"])
        if asked.get("dry_run"):
            self._answer(client, _rehearsed(self._board.now, now), now)
            return
        self._ident += 1
        if not self._service.command(Command(verb, self._ident, force=bool(asked.get("force")))):
            self._answer(client, _failure("the elector takes no commands now"), now)
            return
        client.deadline = Nanos(now + PATIENCE)
        self._waits[self._ident] = _Wait(client, verb, now)

    def _answer(self, client: Client, answer: Answer, now: Nanos) -> None:
        descriptor = client.fileno()
        client.answer(answer, now)
        if client.closed:
            self._gone(client, descriptor)
        else:
            self._loop.watch(descriptor, lambda _at: self._writable(client), writing=True)

    def _writable(self, client: Client) -> None:
        descriptor = client.fileno()
        client.flush()
        if client.closed:
            self._gone(client, descriptor)

    def _hang_up(self, client: Client) -> None:
        descriptor = client.fileno()
        self._loop.forget(descriptor)
        client.close()
        self._gone(client, descriptor)

    def _gone(self, client: Client, descriptor: int) -> None:
        self._loop.forget(descriptor)
        if client in self._clients:
            self._clients.remove(client)
        self._waits = {ident: wait for ident, wait in self._waits.items() if wait.client is not client}

    def _status(self, _asked: Answer, now: Nanos) -> Answer:
        snapshot = self._board.now
        told = {**status(snapshot, now, wall()), "ready": readiness(snapshot, now), "events": self._journal.recent()}
        return {"ok": True, "text": "", "status": told}

    def _fence(self, _asked: Answer, _now: Nanos) -> Answer:
        snapshot = self._board.now
        return {"ok": True, "text": "", "role": snapshot.role.word, "epoch": snapshot.known_epoch}

    def _applied(self, asked: Answer, _now: Nanos) -> Answer:
        data = Data(int(asked["data_epoch"]), int(asked["generation"]), str(asked["digest"]))
        numbers = int(asked.get("files", 0)), int(asked.get("bytes", 0)), float(asked.get("seconds", 0))
        self._holdings.applied(data, Applied(wall(), *numbers))
        return {"ok": True, "text": ""}

    def _conflict(self, asked: Answer, _now: Nanos) -> Answer:
        self._holdings.conflict(str(asked.get("text", "")))
        return {"ok": True, "text": ""}

    def _refused(self, asked: Answer, now: Nanos) -> Answer:
        client, text = str(asked["client"])[:_SHOWN], str(asked["text"])[:_SHOWN]
        self._board.update(refusals=self._board.now.refusals.plus(client, text, now, wall()))
        self._service.note(Note("gate_refused", f"refused to {client}: {text}", "warning", {"client": client}), now)
        return {"ok": True, "text": ""}

    def _reload(self, _asked: Answer, now: Nanos) -> Answer:
        ok, text = self._service.reload(now)
        return {"ok": ok, "text": text}

    def _sync(self, asked: Answer, _now: Nanos) -> Answer:
        obstacle = self._service.sync(allow_delete=bool(asked.get("allow_delete")))
        return _failure(obstacle) if obstacle else {"ok": True, "text": "skdinotify compares everything now"}


def _failure(text: str) -> Answer:
    return {"ok": False, "text": text}


def _rehearsed(snapshot: Snapshot, now: Nanos) -> Answer:
    """Say what a failover would meet."""
    found = [] if snapshot.role is Role.MASTER else [f"{snapshot.node} is {snapshot.role.word}, not master"]
    found += obstacles(snapshot, now)
    text = "; ".join(found) or f"{peer_name(snapshot)} would become master"
    return {"ok": not found, "text": text, "obstacles": found}


def _done(wait: _Wait, snapshot: Snapshot, now: Nanos) -> str:
    """Return what to tell whoever waits, once there is something to tell."""
    role, node = snapshot.role, snapshot.node
    if wait.verb == "failover":
        there = bool(snapshot.peer.get("alive")) and snapshot.peer.get("role") == Role.MASTER
        took = (now - wait.asked) // MILLISECOND
        moved = role is not Role.MASTER and there
        return f"{node} is {role.word} now, {peer_name(snapshot)} is master after {took} ms" if moved else ""
    if wait.verb == "standby":
        return f"{node} is in standby" if role is Role.STANDBY else ""
    return f"{node} is {role.word}" if role not in (Role.STANDBY, Role.INIT) else ""


def _late(wait: _Wait, snapshot: Snapshot) -> str:
    role, node, limit = snapshot.role, snapshot.node, PATIENCE // nanos(1)
    if not wait.accepted:
        return f"the elector did not answer within {limit} s"
    if wait.verb == "failover" and role is not Role.MASTER:
        return f"{node} is {role.word} now, but {peer_name(snapshot)} is not master after {limit} s"
    return f"{node} is still {role.word} after {limit} s"
