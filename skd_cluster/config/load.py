"""The configuration file to a `Config`, or to all that is wrong with it at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from skd_cluster.config import rules
from skd_cluster.config.build import Draft, build
from skd_cluster.config.files import Contents, failure, read_regular
from skd_cluster.config.problems import ConfigError, Kind, Problem, Remark, Report, Severity
from skd_cluster.config.schema import PLAIN_AT, Config
from skd_cluster.config.syntax import MAX_BYTES, parse_into
from skd_cluster.core.model import IPAddress

DEFAULT_PATH = Path("/usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf")
"""Where version 2 had it, and users know it."""

_MAX_PASSWORD = 4096
_OTHERS_READ = 0o044


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file. `config` is None exactly if one of the problems is an error."""

    config: Config | None
    problems: tuple[Problem, ...]
    values: dict[str, str] = field(repr=False, default_factory=dict)
    """Text of each value after quotes, escapes and names, before any conversion."""

    @property
    def refused(self) -> bool:
        """Tell whether the file cannot be used."""
        return self.config is None

    @property
    def starts(self) -> bool:
        """Tell whether the service starts with it: it is usable and not switched off."""
        return self.config is not None and self.config.enable_cluster

    def require(self) -> Config:
        """Return the configuration or raise ConfigError with all problems."""
        if self.config is None:
            raise ConfigError(self.problems)
        return self.config


_EXAMPLE = (
    "this pair's configuration; copy /usr/share/doc/skudonet-ce-cluster/examples/skudonet-cluster.conf and change it"
)


def load(
    path: Path, *, interfaces: frozenset[str] | None = None, addresses: Mapping[IPAddress, str] | None = None
) -> Loaded:
    """Read and check a file; with the machine's `interfaces` and `addresses` also what it names of them. Never raises.

    Nothing of the file is executed, nothing is written anywhere.
    """
    try:
        contents = read_regular(path, MAX_BYTES)
    except OSError as error:
        expected = _EXAMPLE if isinstance(error, FileNotFoundError) else "a file that can be read"
        return Loaded(None, (Remark(Kind.UNREADABLE_FILE, expected, failure(error)).at(os.fspath(path)),))
    return interpret(path, contents, interfaces=interfaces, addresses=addresses)


def interpret(
    path: Path,
    contents: Contents,
    *,
    interfaces: frozenset[str] | None = None,
    addresses: Mapping[IPAddress, str] | None = None,
) -> Loaded:
    """Check the contents that a file has, or is to have, as `load` does."""
    report = Report(os.fspath(path))
    statements = parse_into(contents.data, report, plain_at=PLAIN_AT)
    if statements is None:
        return Loaded(None, report.problems())
    draft = build(statements, report)
    _modes(draft, report, contents.mode)
    _password_file(draft, report)
    rules.check(draft, report)
    if interfaces is not None:
        rules.check_interfaces(draft, report, interfaces)
    if addresses is not None:
        rules.check_local_address(draft, report, addresses)
    problems = report.problems()
    if any(one.is_error for one in problems):
        return Loaded(None, problems, draft.texts)
    return Loaded(Config(**cast("dict[str, Any]", draft.typed)), problems, draft.texts)


def _modes(draft: Draft, report: Report, mode: int) -> None:
    for key in ("password", "password_also"):
        if draft.texts.get(key) and mode & _OTHERS_READ:
            report.add(_readable(mode), draft.line(key), key)


def _readable(mode: int) -> Remark:
    return Remark(
        Kind.READABLE_PASSWORD, "0600: others can read a password in it", f"mode {mode:04o}", Severity.WARNING
    )


def _password_file(draft: Draft, report: Report) -> None:
    """Put the contents of `password_file` in the password's place."""
    path = draft.typed.get("password_file")
    if not isinstance(path, Path):
        return
    line = draft.line("password_file")
    draft.typed.pop("password", None)
    try:
        contents = read_regular(path, _MAX_PASSWORD)
    except OSError as error:
        report.add(Remark(Kind.UNREADABLE_FILE, "a file that can be read", failure(error)), line, "password_file")
        return
    password = contents.data.rstrip(b"\r\n")
    if not password or len(contents.data) > _MAX_PASSWORD:
        kind = Kind.TOO_LONG if password else Kind.EMPTY_VALUE
        found = f"more than {_MAX_PASSWORD} bytes" if password else "an empty file"
        report.add(Remark(kind, "a password in the file", found), line, "password_file")
        return
    if contents.mode & _OTHERS_READ:
        report.add(_readable(contents.mode), line, "password_file")
    draft.typed["password"] = password
