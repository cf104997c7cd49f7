"""Questions to the host that may hang, on a dead disk or a dead file server: asked beside us, and waited for so long."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, question: Callable[[], T]) -> T | None:
    """Return the answer; None when it does not come in time or fails. What hangs is left behind and ends with us."""
    answers: list[T] = []

    def ask() -> None:
        try:
            answers.append(question())
        except Exception:  # noqa: BLE001 -- whatever is wrong with the host: it is not known then
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None
