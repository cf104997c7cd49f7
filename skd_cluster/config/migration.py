"""One step of a migration: what the configuration file becomes, and all that a person has to know about it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path

from skd_cluster.config import vrrpinstance
from skd_cluster.config.build import as_version_2_read
from skd_cluster.config.edit import CannotEditError, assign
from skd_cluster.config.files import Contents
from skd_cluster.config.load import Loaded, interpret
from skd_cluster.config.problems import Kind, Problem, is_secret, printable, printable_path
from skd_cluster.config.schema import Config
from skd_cluster.config.syntax import Statement, parse
from skd_cluster.core.carp import PASSWORD_LIMIT

_UNIT = "skudonet-ce-cluster"
_START = (
    f"systemctl enable --now {_UNIT}",
    "skd-cluster status",
    "once both nodes run it: skd-cluster pair, then on the backup, and after it on the master: skd-cluster migrate --to udp",
)
_RESTART = (f"systemctl restart {_UNIT}", "skd-cluster status", "then the same on the other node")


@unique
class Sort(StrEnum):
    """What a sentence is about. Part of `migrate --json`: a contract, add but never rename."""

    WRITTEN = "written"
    LEFT = "not carried over"
    CAREFUL = "careful"


@dataclass(frozen=True, slots=True)
class Saying:
    """One sentence, and the place it is about."""

    sort: Sort
    text: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return `FILE:LINE: text`, as much of the place as there is."""
        line = "" if self.line is None else f":{self.line}"
        return self.text if self.file is None else f"{printable_path(self.file)}{line}: {self.text}"


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """What the file becomes (None: it is so already), what is to be said, and what to type next. No repr: a password."""

    body: bytes | None
    sayings: tuple[Saying, ...]
    then: tuple[str, ...]


class MigrationError(Exception):
    """The step cannot be made; each line says why. `refused`: it is the configuration that is."""

    def __init__(self, *lines: str, refused: bool = False) -> None:
        super().__init__("\n".join(lines))
        self.refused = refused


def from_version_2(path: Path, contents: Contents) -> Step:
    """Let the file of version 2 speak CARP, with the password that version 2 really used. Raises MigrationError."""
    before = _usable(path, contents)
    written = before.values.get("transport")
    if written not in (None, "carp"):
        raise MigrationError(
            f'{printable_path(path)}: found $transport="{printable(written or "")}", expected a file of version 2; '
            "for another transport: skd-cluster migrate --to carp"
        )
    statements = parse(contents.data, "").statements
    values = {"transport": "carp"}
    sayings: list[Saying] = []
    old = as_version_2_read(statements)
    for key, statement in {one.key: one for one in statements}.items():
        if statement.value is None or old[key] == statement.value:
            continue
        if key == "password":
            sayings.append(_password(path, statement, old[key]))
            values |= {key: old[key] or ""} if old[key] else {}
        elif not is_secret(key):
            sayings.append(_read_otherwise(path, statement, old[key]))
    sayings += _of_version_2(before)
    return _step(path, contents, values, sayings, _START)


def to_transport(path: Path, contents: Contents, transport: str) -> Step:
    """Change how two nodes that both run this service speak. Raises MigrationError."""
    before = _usable(path, contents)
    if before.require().transport == transport:
        return Step(None, (), ())
    text = (
        "node by node, the backup first: meanwhile the native packets decide, by UDP, so `skd-cluster status` must say now "
        "that both hear each other"
    )
    return _step(path, contents, {"transport": transport}, [Saying(Sort.CAREFUL, text)], _RESTART)


def from_keepalived(
    path: Path, contents: Contents | None, place: Path, text: str, known: vrrpinstance.Known, password_file: Path | None
) -> Step:
    """Make the file say what a keepalived.conf says; keys that this has no word for stay. Raises MigrationError."""
    values = {} if contents is None else _texts(path, contents)
    known = vrrpinstance.Known(known.addresses, values, known.remote_ip)
    reading = vrrpinstance.read(text, known)
    file = printable_path(place)
    if reading.troubles:
        lines = [f"{file}:{one.line}: {one.text}" if one.line else f"{file}: {one.text}" for one in reading.troubles]
        raise MigrationError(*lines)
    wanted = dict(reading.values)
    if password_file is not None:
        wanted["password_file"] = str(password_file.absolute())
    elif not values.get("password") and not values.get("password_file"):
        raise MigrationError(
            f"{file}: found no password (VRRPv3 has none), expected one for our own packets, the same on both nodes: "
            "(umask 077; openssl rand -hex 24 > /etc/skudonet-cluster.password), copy that file to the other node, and say "
            "--password-file /etc/skudonet-cluster.password on both"
        )
    changed = {key: value for key, value in wanted.items() if values.get(key) != value}
    sayings = [Saying(Sort.LEFT, f"{one.name}: {one.why}", str(place), one.line) for one in reading.left]
    sayings += [Saying(Sort.CAREFUL, one) for one in _PEER_OF_KEEPALIVED]
    then = ("skd-cluster check", "systemctl disable --now keepalived", *_START)

    def there(problem: Problem) -> str:
        line = reading.lines.get(problem.key or "")
        found = f"${problem.key}: found {problem.shown}, expected {problem.expected}"
        return f"{file}:{line}: {found}" if line else f"{file}: {found}"

    return _step(path, contents or Contents(b"", 0o600), changed, sayings, then, there)


_PEER_OF_KEEPALIVED = (
    "keepalived drops what lists other addresses than its own: cluster_ip must be virtual_ipaddress as long as it runs",
    "the password is used from the step to udp on; it must be the same on both nodes",
)


def _usable(path: Path, contents: Contents, place: Callable[[Problem], str] = str) -> Loaded:
    """Return what the contents are read as, unless they are refused; `place` says where an error is."""
    loaded = interpret(path, contents)
    if loaded.refused:
        raise MigrationError(*(place(one) for one in loaded.problems if one.is_error), refused=True)
    return loaded


def _texts(path: Path, contents: Contents) -> Mapping[str, str]:
    """Return the values of a file that need not be complete, as one that was only begun."""
    problems = parse(contents.data, str(path)).problems
    if any(one.is_error for one in problems):
        raise MigrationError(*(str(one) for one in problems if one.is_error), refused=True)
    return interpret(path, contents).values


def _step(
    path: Path,
    contents: Contents,
    values: Mapping[str, str],
    sayings: list[Saying],
    then: tuple[str, ...],
    place: Callable[[Problem], str] = str,
) -> Step:
    """Set the keys; whatever is wrong with the result is a reason not to write it."""
    try:
        body = assign(contents.data, values)
    except CannotEditError as error:
        raise MigrationError(
            f"{printable_path(path)}: {error}: add by hand what follows from docs/migration.md"
        ) from None
    after = _usable(path, Contents(body, contents.mode), place)
    if body == contents.data:
        return Step(None, tuple(sayings), then)
    shown = [f"${key}={'a value (not shown)' if is_secret(key) else printable(value)}" for key, value in values.items()]
    written = [Saying(Sort.WRITTEN, one) for one in shown]
    limits = [Saying(Sort.CAREFUL, one) for one in _limits(after.require())]
    limits += _new(after, interpret(path, contents))
    return Step(body, (*written, *sayings, *limits), then)


def _limits(config: Config) -> Iterator[str]:
    """Say what the peer's protocol cannot do; the rest `check` says."""
    if not config.enable_cluster:
        yield 'the service does not start as long as enable_cluster="false"'
    if config.transport == "carp":
        yield "CARP has no protection against replay: a recorded packet can change who is master"
        yield (
            f"CARP counts in whole seconds: the backup takes over after {config.dead_ratio} of them and more, as with version 2"
        )
        yield f"a password has at most {PASSWORD_LIMIT} bytes: ucarp does not start with more"
        yield (
            f"CARP's digest covers one address, the first of cluster_ip: {config.cluster_ip[0].address} must be the other "
            "node's cluster_ip too"
        )
    elif config.transport == "vrrp":
        yield "VRRP has no authentication: anybody on the link can take the addresses"


def _new(after: Loaded, before: Loaded) -> Iterator[Saying]:
    """Say what `check` has to say now and had not before; the weakness of the transport is said already."""
    known = {(one.kind, one.key) for one in before.problems}
    for one in after.problems:
        if (one.kind, one.key) not in known and one.kind is not Kind.WEAK_TRANSPORT:
            text = f"${one.key}: found {one.shown}, expected {one.expected}"
            yield Saying(Sort.CAREFUL, text, one.file, one.line)


def _password(path: Path, statement: Statement, old: str | None) -> Saying:
    """Say loudly that version 2 had another password than its file seems to have."""
    if old:
        text = (
            "ANOTHER PASSWORD: Perl put variables into this one, so version 2 uses another value than is written here. "
            "That value was written, in its place: it is what the other node uses as long as it runs version 2. Make the "
            "same step there; once both run this service, change it with password_also"
        )
        return Saying(Sort.CAREFUL, text, str(path), statement.line)
    text = (
        "ANOTHER PASSWORD: Perl put variables into this one, and what version 2 made of it is not known here. Before you go "
        "on, give both nodes the same password in 'single quotes' and restart version 2 on the other one"
    )
    return Saying(Sort.CAREFUL, text, str(path), statement.line)


def _read_otherwise(path: Path, statement: Statement, old: str | None) -> Saying:
    seen = "something else" if old is None else f'"{printable(old)}"'
    text = f"${printable(statement.key)}: version 2 read {seen} here; it is taken as it is written"
    return Saying(Sort.LEFT, text, str(path), statement.line)


def _of_version_2(loaded: Loaded) -> Iterator[Saying]:
    """Say which words of version 2 have no effect any more."""
    for one in loaded.problems:
        if one.kind is Kind.IGNORED_KEY and one.key == "ucarp":
            yield Saying(Sort.LEFT, "$ucarp: this service needs no such program", one.file, one.line)
        elif one.kind is Kind.DROPPED_ARGUMENT:
            text = f"${one.key}: {one.shown} is left out, it loses changes"
            yield Saying(Sort.LEFT, text, one.file, one.line)
