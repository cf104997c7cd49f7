"""The running service of this node: what its role is, so who may write into the tree; and what it is told was done."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skd_cluster.adapters.control import NotRunning, request
from skd_cluster.core.model import Role

PATIENCE = 3.0
"""Seconds for the service to answer."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Its role, and the highest epoch it knows of."""

    role: Role
    epoch: int


class ServiceDownError(Exception):
    """The cluster service does not run on this node."""


def ask_fence(run_dir: Path) -> Fence:
    """Ask the service. Raises ServiceDownError."""
    try:
        found = request(run_dir, {"verb": "fence"}, PATIENCE)
    except (NotRunning, OSError) as error:
        raise ServiceDownError(str(error)) from error
    if not found.get("ok"):
        raise ServiceDownError(str(found.get("text")))
    return Fence(_role(found.get("role")), int(found.get("epoch", 0)))


def tell_service(run_dir: Path, facts: dict[str, Any]) -> None:
    """Tell the service what was done. One that does not run reads what was recorded when it starts."""
    with suppress(NotRunning, OSError):
        request(run_dir, facts, PATIENCE)


def _role(word: object) -> Role:
    """Read a role's word; one we do not know counts as master: nothing may be written then."""
    return next((role for role in Role if role.word == word and role is not Role.INIT), Role.MASTER)
