"""What is replicated, by name: the product's rules and the administrator's `exclude`.

A key names a path the same way on both nodes: a root's name, then the path below it. The roots are `config` (the
product's tree), `rt_tables` (one file), and `extra` followed by an absolute path for what `replicate` adds. Names that
are not UTF-8 carry surrogate escapes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, unique

from skd_cluster.core.patterns import Pattern, Patterns

CONFIG = "config"
RT_TABLES = "rt_tables"
EXTRA = "extra"

TEMPORARY = ".skd-"
"""How names begin that this program makes for a moment next to a file."""

_NODE_LOCAL = re.compile(r"[.#]*if_[^:/]*_conf[^:/]*")
"""A NIC or a VLAN, and copies of its file (`if_eth0_conf.bak`): the product reads whatever contains `if_…_conf`."""

_NODE_LOCAL_FOLDER = "local"

_UNSOUND = re.compile(r"\0|/\.{0,2}(?:/|\Z)")

LOOSE = frozenset({RT_TABLES, f"{CONFIG}/{_NODE_LOCAL_FOLDER}"})
"""Made where it is missing, never deleted, and not part of what both nodes must have alike."""

_LEFTOVERS = tuple(
    Pattern(text)
    for text in (
        "*~",
        "#*#",
        ".#*",
        ".*.sw[a-p]",
        ".*.swx",
        "4913",  # vim tries with this name whether it may write
        "waf_rulesets.build",  # the product assembles rules here and leaves it behind
        f"{TEMPORARY}*",
    )
)
_SCRATCH = Patterns(_LEFTOVERS)


@unique
class Verdict(Enum):
    """Whether a path travels, and if not, why."""

    REPLICATED = "replicated"
    NODE_LOCAL = "belongs to one node"
    SCRATCH = "left by an editor or by the product"
    EXCLUDED = "matches `exclude`"


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules of one node. `extras` are the absolute paths of `replicate`."""

    exclude: tuple[Pattern, ...] = ()
    extras: tuple[str, ...] = ()
    _patterns: Patterns = field(init=False, repr=False, compare=False)
    _left_out: Patterns = field(init=False, repr=False, compare=False)
    _below: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what is asked for each path."""
        object.__setattr__(self, "_patterns", Patterns(self.exclude))
        object.__setattr__(self, "_left_out", Patterns((*_LEFTOVERS, *self.exclude)))
        roots = (CONFIG, RT_TABLES, *(f"{EXTRA}{path}" for path in self.extras))
        object.__setattr__(self, "_below", tuple((root, f"{root}/") for root in roots))

    @classmethod
    def of(cls, exclude: Iterable[str], extras: Iterable[str] = ()) -> "Scope":
        """Make the rules from the configured patterns and paths."""
        return cls(tuple(Pattern(one) for one in exclude), tuple(extras))

    def verdict(self, key: str, *, folder: bool, led: bool = False) -> Verdict:
        """Judge a key that is below a known root, or a root itself. A folder that stays takes all in it along.

        `led`: the folder it is in is known to travel. That changes no verdict, only how soon it is there.
        """
        path = below_root(self, key)
        if not path:
            return Verdict.REPLICATED
        top, _, rest = path.partition("/")
        if key.startswith(f"{CONFIG}/") and ((top == _NODE_LOCAL_FOLDER and rest) or _NODE_LOCAL.fullmatch(top)):
            return Verdict.NODE_LOCAL
        if led and not self._left_out.take_last(path, folder=folder):
            return Verdict.REPLICATED
        if _SCRATCH.take(path, folder=folder):
            return Verdict.SCRATCH
        if self._patterns.take(path, folder=folder):
            return Verdict.EXCLUDED
        return Verdict.REPLICATED

    def root_of(self, key: str) -> str | None:
        """Return the root a key lies below or is, None if this node has no such root."""
        for root, below in self._below:
            if key.startswith(below) or key == root:
                return root
        return None

    def roots(self) -> tuple[str, ...]:
        """Return the roots of this node."""
        return tuple(root for root, _ in self._below)


def below_root(scope: Scope, key: str) -> str:
    """Return the path of a key below its root, empty for the root itself."""
    return key[len(scope.root_of(key) or "") :].removeprefix("/")


def sound(scope: Scope, key: str) -> bool:
    """Return whether a key that came from outside is one: a known root, no empty name, no `.` or `..`, no NUL."""
    root = scope.root_of(key)
    return root is not None and not _UNSOUND.search(key, len(root))
