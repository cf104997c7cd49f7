"""Waiting for real processes: the only place of the tests with a clock that is polled."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.005


def eventually(check: Callable[[], T], *, within: float = 3.0, what: str = "") -> T:
    """Call `check` until it returns something true, and return that.

    An AssertionError or OSError out of `check` means "not yet". After `within` seconds an AssertionError says what was
    waited for and what was seen last.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | OSError | None = None
        seen: T | None = None
        try:
            seen = check()
        except (AssertionError, OSError) as error:
            failure = error
        if seen:
            return seen
        if time.monotonic() > deadline:
            last = f"{type(failure).__name__}: {failure}" if failure else repr(seen)
            raise AssertionError(f"not within {within} s: {what or check.__name__}; last seen: {last}") from failure
        time.sleep(POLL_SECONDS)  # noqa: TID251 -- real processes on real time; nothing tells us when all of them did it
