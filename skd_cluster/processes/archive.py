"""Answers what `skd-cluster diff`, `history` and `why` ask of a node, whatever its role: what is there, and what was kept."""

import os
import stat

from skd_cluster.adapters import flight
from skd_cluster.adapters.apply import RefusedError, refusal
from skd_cluster.adapters.clock import wall
from skd_cluster.adapters.past import Past, within
from skd_cluster.adapters.tree import ChangingError, Tree, read_file
from skd_cluster.config.schema import Config
from skd_cluster.core.flight import facts
from skd_cluster.core.manifest import pack_manifest
from skd_cluster.core.scope import sound
from skd_cluster.core.session import (
    SMALL_FILE,
    About,
    AskFlights,
    AskKept,
    Facts,
    Flights,
    Generations,
    Get,
    Holds,
    ListKept,
    Message,
    Put,
    Recall,
    Refusal,
    Refused,
    Resolve,
)

Question = Get | ListKept | About | AskKept | Recall | Resolve | AskFlights


class Archive:
    """One node's, its own or the peer's."""

    def __init__(self, config: Config, tree: Tree) -> None:
        self._tree = tree
        self._state_dir = config.state_dir
        self._past = Past(config.state_dir / "history")

    def answer(self, question: Question) -> Message:
        """Answer; what cannot be answered is refused in words. Never raises, and logs nothing."""
        try:
            return self._answer(question)
        except RefusedError as error:
            return Refused(error.reason.value, error.text)
        except LookupError as error:
            return Refused(Refusal.ABSENT.value, f"there is no {error.args[0]}")
        except (FileNotFoundError, NotADirectoryError) as error:
            return Refused(Refusal.ABSENT.value, f"there is no {error.filename}")
        except ChangingError as error:
            return Refused(Refusal.CHANGED.value, f"{error} is being changed")
        except OSError as error:
            failed = refusal(error, "the history")
            return Refused(failed.reason.value, failed.text)

    def _answer(self, question: Question) -> Message:
        match question:
            case Get():
                return Put(question.key, self._content(question.key))
            case ListKept():
                pushes = self._past.pushes()
                return Generations([number for number, _ in pushes], [push for _, push in pushes])
            case About():
                number, push = question.generation, question.push
                return Facts(number, self._past.about(number, push), push)
            case AskKept():
                return Holds(pack_manifest(self._past.kept(question.generation, question.push)))
            case Recall():
                place = (question.generation, question.push)
                body = self._past.read(place, question.key, max(0, question.at), SMALL_FILE)
                return Put(question.key, body, question.at)
            case Resolve():
                number, push = self._past.resolve(question.name)
                return Facts(number, self._past.about(number, push), push)
            case AskFlights():
                asked = wall()
                return Flights([facts(one) for one in flight.read(self._state_dir)], asked, wall())

    def _content(self, key: str) -> bytes:
        """Return a file of the tree: only what is replicated, never through a link."""
        if not sound(self._tree.scope, key) or not self._tree.travels(key, folder=False):
            raise RefusedError(Refusal.SCOPE, f"{key}: not replicated")
        root = str(self._tree.scope.root_of(key))
        path = self._tree.path(key) if key == root else within(self._tree.roots[root], key[len(root) + 1 :])
        state = os.lstat(path)
        if not stat.S_ISREG(state.st_mode):
            raise RefusedError(Refusal.ABSENT, f"{key}: not a file")
        if state.st_size > SMALL_FILE:
            raise RefusedError(Refusal.TOO_LARGE, f"{key}: {state.st_size} bytes, more than {SMALL_FILE}")
        return read_file(path)
