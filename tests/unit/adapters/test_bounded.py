"""Questions that hang or fail cost their time and no more."""

import threading
import time

from skd_cluster.adapters.bounded import within


def test_answer_comes_through() -> None:
    assert within(5, lambda: 7) == 7


def test_what_fails_is_not_known() -> None:
    assert within(5, lambda: 1 / 0) is None


def test_what_hangs_is_left_behind() -> None:
    never = threading.Event()
    began = time.monotonic()
    assert within(0.05, never.wait) is None
    assert time.monotonic() - began < 5
    never.set()
