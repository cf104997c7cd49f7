"""Passwords against bcrypt hashes: slow on purpose, so one at a time, and each answer is remembered."""

import hmac
import os
import threading
from collections.abc import Mapping

import bcrypt

_MOST = 100
"""Answers that are remembered, as Prometheus' own exporters do."""

_NOBODY = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8Jt8wnX1QBdzRLwTkFOGzRnTQ0pJLe"
"""Stands in for the hash of an unknown user: asking for one takes as long as asking for a known one."""


class Passwords:
    """Who may come in. Threads may ask at the same time."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = dict(users)
        self._secret = os.urandom(32)
        self._known: dict[bytes, bool] = {}
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether anybody has to say who he is."""
        return bool(self._users)

    def right(self, user: str, password: bytes) -> bool:
        """Return whether this is the user's password."""
        key = hmac.digest(self._secret, len(user.encode()).to_bytes(4, "big") + user.encode() + password, "sha256")
        with self._lock:  # one core at most, whoever guesses how fast
            if key not in self._known:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key] = _matches(password, self._users.get(user, _NOBODY)) and user in self._users
            return self._known[key]


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:72], hashed.encode())  # bcrypt itself looks at 72 bytes, newer ones refuse more
    except ValueError:
        return False
