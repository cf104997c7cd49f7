"""The addresses that move with the master: `cluster_ip`, and the product's virtual interfaces `if_PARENT:TAG_conf`."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.config.files import failure, read_regular
from skd_cluster.config.network import INTERFACE_NAME, ListedAddress, read_mask, read_node_address
from skd_cluster.config.problems import Kind, Problem, Remark, Severity
from skd_cluster.config.schema import Config
from skd_cluster.config.values import BadValue
from skd_cluster.core.model import IPAddress, Vip

MAX_LABEL = 15
"""IFNAMSIZ without its closing NUL; the kernel refuses a longer label."""

_MAX_FILE = 65_536  # the product's are under 200 bytes
_VIRTUAL = re.compile(r"if_(?P<name>(?P<parent>[^:/]+):(?P<tag>[^:/]+))_conf")
_TAG = re.compile(r"[A-Za-z0-9_.-]+")
_SETTING = re.compile(r"\s*([A-Za-z0-9_]+)\s*=\s*(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Floating:
    """Those of `cluster_ip` first, in its order, then the tree's by name; and which files could not be used."""

    vips: tuple[Vip, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Virtual:
    """One virtual interface of the product."""

    name: str
    parent: str
    address: IPAddress
    mask: int | None
    up: bool


def floating_addresses(config: Config) -> Floating:
    """Find all floating addresses as they are at this moment. Never raises: a broken file is a warning and left out.

    The product truncates a file before it writes it, so that a warning here can be gone a moment later: who holds
    addresses already should not let go of one because of it.
    """
    tree = _Tree(config)
    virtuals = tree.virtuals()
    vips: dict[IPAddress, Vip] = {}
    for one in config.cluster_ip:
        if one.address not in vips:
            vips[one.address] = tree.listed(one, virtuals)
    if config.floating == "tree":
        for virtual in virtuals:
            if virtual.up and virtual.address not in vips:
                vips[virtual.address] = tree.vip(virtual)
    return Floating(tuple(vips.values()), tuple(tree.problems))


def gateways(config: Config) -> tuple[IPAddress, ...]:
    """Return the gateways that the product knows on `interface`; none if its file names none. Never raises."""
    settings = _Tree(config).nic(config.interface)
    try:
        return (read_node_address(settings.get("gateway", "")),)
    except BadValue:
        return ()


class _Tree:
    """The interface files of one product tree, and what was wrong with them."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.problems: list[Problem] = []

    def virtuals(self) -> list[_Virtual]:
        """Return the virtual interfaces that are usable, up or not, sorted by name."""
        try:
            names = sorted(one.name for one in self._config.configdir.iterdir())
        except (OSError, ValueError) as error:
            why = failure(error) if isinstance(error, OSError) else str(error)
            self._warn(self._config.configdir, Kind.UNREADABLE_FILE, "the product's configuration tree", why)
            return []
        return [one for match in map(_VIRTUAL.fullmatch, names) if match for one in self._virtual(match)]

    def nic(self, name: str) -> dict[str, str]:
        """Return what the file of a NIC or VLAN says; nothing if there is none."""
        path = self._config.configdir / f"if_{name}_conf"
        return (self._settings(path) if path.exists() else None) or {}

    def listed(self, one: ListedAddress, virtuals: list[_Virtual]) -> Vip:
        """Complete a word of `cluster_ip` from the tree."""
        own = next((virtual for virtual in virtuals if virtual.address == one.address), None)
        interface = one.interface or (own.parent if own else self._config.interface)
        prefix = one.prefix or (own.mask if own else None)
        prefix = prefix or self._parent_mask(own.parent if own else interface, one.address)
        label = _label(own.name, one.address) if own and own.parent == interface else ""
        return Vip(one.address, prefix or one.address.max_prefixlen, interface, label)

    def vip(self, own: _Virtual) -> Vip:
        """Complete a virtual interface from its parent."""
        prefix = own.mask or self._parent_mask(own.parent, own.address) or own.address.max_prefixlen
        return Vip(own.address, prefix, own.parent, _label(own.name, own.address))

    def _virtual(self, match: re.Match[str]) -> Iterator[_Virtual]:
        """Read one file: one virtual interface, or none and a problem."""
        path = self._config.configdir / match.group()
        settings = self._settings(path)
        if settings is None:
            return
        if not INTERFACE_NAME.fullmatch(match["parent"]) or not _TAG.fullmatch(match["tag"]):
            self._warn(path, Kind.BAD_INTERFACE_FILE, "a name such as eth0:web", match["name"])
            return
        status = settings.get("status", "")
        if status not in {"up", "down"}:
            self._warn(path, Kind.BAD_INTERFACE_FILE, "status=up or status=down", status)
            return
        up = status == "up"
        try:
            address = read_node_address(settings.get("addr", ""))
        except BadValue as bad:
            if up:  # one that is down may be empty
                self._warn(path, Kind.BAD_INTERFACE_FILE, f"addr={bad.remark.expected}", bad.remark.found)
            return
        if address in (self._config.local_ip, self._config.remote_ip):
            self._warn(path, Kind.SAME_ADDRESS, "an address that is not a node's own", str(address))
            return
        text = settings.get("mask", "")
        mask = read_mask(text, address)
        if text and mask is None:
            self._warn(path, Kind.BAD_INTERFACE_FILE, f"a mask of an IPv{address.version} address", text)
        yield _Virtual(match["name"], match["parent"], address, mask, up)

    def _parent_mask(self, parent: str, address: IPAddress) -> int | None:
        """Return the mask of a NIC or VLAN, None if its file has none of the address's family."""
        settings = self.nic(parent)
        try:
            own = read_node_address(settings.get("addr", ""))
        except BadValue:
            return None
        if own.version != address.version:
            return None
        return read_mask(settings.get("mask", ""), address)

    def _settings(self, path: Path) -> dict[str, str] | None:
        """Read the product's INI: one section, key=value. None, and a problem, if it cannot be read."""
        try:
            text = read_regular(path, _MAX_FILE).data.decode("utf-8", "surrogateescape")
        except OSError as error:
            self._warn(path, Kind.UNREADABLE_FILE, "a file that can be read", failure(error))
            return None
        return {match[1]: match[2] for match in map(_SETTING.fullmatch, text.splitlines()) if match}

    def _warn(self, path: Path, kind: Kind, expected: str, found: str) -> None:
        problem = Remark(kind, expected, found, Severity.WARNING).at(os.fspath(path))
        if problem not in self.problems:
            self.problems.append(problem)


def _label(name: str, address: IPAddress) -> str:
    """Return what the product calls an address. IPv6 has no labels."""
    return name if address.version == 4 and len(name) <= MAX_LABEL else ""
