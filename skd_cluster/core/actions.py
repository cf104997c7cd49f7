"""What the election is asked to be, what it says, and what it wants done."""

from dataclasses import dataclass
from typing import TypeAlias

from skd_cluster.core.model import NEVER, DataVersion, Nanos, Reason, Role
from skd_cluster.core.wire import Flag


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node is asked to be. `lower` says whether its own address is the lower one of the two."""

    interval: Nanos
    dead_ratio: int
    priority: int
    lower: bool
    preempt: bool = False
    preempt_delay: Nanos = NEVER
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send an advertisement now, made by `ElectionMachine.word`."""

    paced: bool = False
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Advertise:
    """Send an advertisement of the standard that is spoken now; `resigns`: the last one."""

    resigns: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold the floating addresses and announce them, all of them again if they are held already."""


@dataclass(frozen=True, slots=True)
class Release:
    """Hold no floating address, and keep others from putting one here."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The role or, with equal roles, the epoch changed. `silent`: for how long the master had not been heard."""

    old: Role
    new: Role
    reason: Reason
    detail: str = ""
    silent: Nanos = NEVER


Action: TypeAlias = Send | Advertise | Claim | Release | Changed


@dataclass(frozen=True, slots=True)
class Word:
    """What an advertisement of this moment says; the process adds session, counter and signature."""

    priority: int
    role: Role
    flags: Flag
    epoch: int
    data: DataVersion
    interval: Nanos
    dead_ratio: int
