"""`skd-cluster migrate`: one step from the old service or from keepalived to this one, or from one transport to another."""

import argparse
import json
import socket
import sys
from pathlib import Path
from typing import Any

from skd_cluster.adapters.atomic import replace_keeping
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.config import keepalived
from skd_cluster.config.files import Contents, failure, read_regular
from skd_cluster.config.migration import MigrationError, Sort, Step, from_keepalived, from_version_2, to_transport
from skd_cluster.config.network import read_node_address
from skd_cluster.config.problems import printable_path
from skd_cluster.config.syntax import MAX_BYTES
from skd_cluster.config.values import BadValue
from skd_cluster.config.vrrpinstance import Known
from skd_cluster.core.model import ExitCode, IPAddress
from skd_cluster.core.textdiff import Version, unified

KEEPALIVED_CONF = Path("/etc/keepalived/keepalived.conf")
KEPT = ".before-migrate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.description = (
        "Make the configuration file ready for one step of a migration, keep the old one beside it, and say what was not "
        "carried over and what to type next. Nothing is started, stopped or changed elsewhere. Without arguments: the file of "
        "version 2 is made to speak with a version 2 node."
    )
    step = parser.add_mutually_exclusive_group()
    step.add_argument(
        "--from",
        dest="source",
        choices=("version2", "keepalived"),
        help="what runs on the other node (default: version2)",
    )
    step.add_argument(
        "--to", choices=("udp", "carp", "vrrp"), help="change the transport of two nodes that both run this service"
    )
    parser.add_argument(
        "--keepalived-conf", type=Path, default=KEEPALIVED_CONF, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument(
        "--remote-ip",
        type=_address,
        metavar="ADDRESS",
        help="the other node's own, which a multicast keepalived.conf lacks",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="the pair's password, the same on both nodes: with keepalived",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the change (no secret), write nothing")
    parser.epilog = (
        "Exit codes: 0 done, or it is so already, 1 it cannot be done, 2 usage, 78 the configuration is refused."
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Make the step, unless the result would not be a configuration that can be used."""
    path: Path = args.config
    try:
        contents = _contents(path)
        step = _step(args, path, contents)
        kept = None if args.dry_run or step.body is None else replace_keeping(path, step.body, KEPT)
    except MigrationError as error:
        return _failed(args, str(error), ExitCode.CONFIG if error.refused else ExitCode.FAILED)
    except OSError as error:
        return _failed(args, f"{printable_path(error.filename or path)}: {failure(error)}", ExitCode.FAILED)
    old = b"" if contents is None else contents.data
    diff = unified(Version(str(path), old), Version(f"{path} (new)", step.body)) if args.dry_run and step.body else []
    _print(args, step, kept, diff)
    return ExitCode.OK


def _address(text: str) -> str:
    try:
        return str(read_node_address(text))
    except BadValue as bad:
        raise argparse.ArgumentTypeError(f"found {text}, expected {bad.remark.expected}") from None


def _contents(path: Path) -> Contents | None:
    """Return what the file has, None if there is none."""
    try:
        return read_regular(path, MAX_BYTES)
    except FileNotFoundError:
        return None


def _step(args: argparse.Namespace, path: Path, contents: Contents | None) -> Step:
    if args.source == "keepalived":
        place: Path = args.keepalived_conf
        try:
            text = read_regular(place, keepalived.MAX_BYTES).data.decode("utf-8", "surrogateescape")
        except OSError as error:
            expected = "keepalived's configuration: --keepalived-conf FILE"
            raise MigrationError(f"{printable_path(place)}: found {failure(error)}, expected {expected}") from None
        known = Known(_addresses(), remote_ip=args.remote_ip)
        return from_keepalived(path, contents, place, text, known, args.password_file)
    if contents is None:
        expected = "version 2's file, or skd-cluster migrate --from keepalived"
        raise MigrationError(f"{printable_path(path)}: found no file, expected {expected}")
    return from_version_2(path, contents) if args.to is None else to_transport(path, contents, args.to)


def _addresses() -> list[tuple[IPAddress, str]]:
    """Return this host's addresses with their interfaces, each interface's own one first."""
    names = dict(socket.if_nameindex())
    try:
        netlink = open_netlink()
    except OSError:
        return []
    try:
        return [(one.address, names.get(one.index, "")) for one in netlink.addresses()]
    except OSError:
        return []
    finally:
        netlink.close()


def _failed(args: argparse.Namespace, text: str, code: ExitCode) -> ExitCode:
    verdict = f"{text}\nnothing was written"
    if args.json:
        print(json.dumps({"ok": False, "changed": False, "text": verdict}))
    else:
        print(verdict, file=sys.stderr)
    return code


def _verdict(args: argparse.Namespace, step: Step, kept: Path | None) -> str:
    name = printable_path(args.config)
    if step.body is None:
        return f"{name} says so already: nothing was written"
    if args.dry_run:
        return f"a dry run: {name} was not changed"
    beside = "" if kept is None else f"; the old one is {printable_path(kept)}"
    return f"{name} was written{beside}"


def _print(args: argparse.Namespace, step: Step, kept: Path | None, diff: list[str] | None) -> None:
    verdict = _verdict(args, step, kept)
    if args.json:
        print(json.dumps(_as_json(step, kept, diff, verdict, changed=not args.dry_run and step.body is not None)))
        return
    for line in ["the change is too large to be shown"] if diff is None else diff:
        print(line)
    for sort in Sort:
        lines = [f"  {one}" for one in step.sayings if one.sort is sort]
        if lines:
            would = "to be " if args.dry_run and sort is Sort.WRITTEN else ""
            print(f"{would}{sort}:", *lines, sep="\n")
    print(verdict)
    if step.then:
        print("next:", *(f"  {one}" for one in step.then), sep="\n")


def _as_json(step: Step, kept: Path | None, diff: list[str] | None, verdict: str, *, changed: bool) -> dict[str, Any]:
    return {
        "ok": True,
        "changed": changed,
        "text": verdict,
        "kept": None if kept is None else str(kept),
        "sayings": [{"sort": one.sort, "text": one.text, "file": one.file, "line": one.line} for one in step.sayings],
        "next": list(step.then),
        "diff": diff,
    }
