"""Rules between keys: what is right alone and wrong together. Each is checked whatever else is wrong."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import cast

from skd_cluster.config.build import Draft
from skd_cluster.config.network import ListedAddress
from skd_cluster.config.problems import Kind, Remark, Report, Severity
from skd_cluster.config.transports import check_transport
from skd_cluster.core.model import IPAddress

_MULTICAST_IPV6 = ip_address("ff02::12")  # RFC 9568 section 5.1.2.2, as 224.0.0.18 is for IPv4


def check(draft: Draft, report: Report) -> None:
    """Note every broken rule, and put in the defaults that depend on other keys."""
    _addresses_differ(draft, report)
    _one_family(draft, report)
    _multicast(draft, report)
    _one_password(draft, report)
    check_transport(draft, report)
    _listen(draft)


def check_interfaces(draft: Draft, report: Report, present: frozenset[str]) -> None:
    """Note every interface that the file names and the machine lacks."""
    named = [("interface", cast("str | None", draft.typed.get("interface")))]
    named += [("track_interfaces", one) for one in cast("tuple[str, ...]", draft.typed.get("track_interfaces", ()))]
    named += [("cluster_ip", one.interface) for one in _listed(draft)]
    for key, name in named:
        if name is not None and name not in present:
            expected = f"one of {', '.join(sorted(present)) or 'none'}"
            report.add(Remark(Kind.NO_SUCH_INTERFACE, expected, name), draft.line(key), key)


def check_local_address(draft: Draft, report: Report, present: Mapping[IPAddress, str]) -> None:
    """Note a local_ip that this machine has not, or has on another interface than it says. It may come later: a warning."""
    local, interface = _address(draft, "local_ip"), draft.typed.get("interface")
    if local is None or present.get(local) == interface:
        return
    of_it = [str(one) for one, name in present.items() if name == interface and one.version == local.version]
    expected = (
        f"an address of {interface}: {', '.join(of_it)}" if of_it else f"an address of {interface}, which has none"
    )
    found = f"{local}, which is on {present[local]}" if local in present else f"{local}, which is not on this host"
    report.add(Remark(Kind.NOT_OUR_ADDRESS, expected, found, Severity.WARNING), draft.line("local_ip"), "local_ip")


def _address(draft: Draft, key: str) -> IPAddress | None:
    return cast("IPAddress | None", draft.typed.get(key))


def _listed(draft: Draft) -> tuple[ListedAddress, ...]:
    return cast("tuple[ListedAddress, ...]", draft.typed.get("cluster_ip", ()))


def _addresses_differ(draft: Draft, report: Report) -> None:
    """local_ip, remote_ip and each of cluster_ip are different addresses, however they are spelled."""
    used = [(draft.line(key) or 0, key, _address(draft, key)) for key in ("local_ip", "remote_ip")]
    used += [(draft.line("cluster_ip") or 0, "cluster_ip", one.address) for one in _listed(draft)]
    seen: dict[IPAddress, str] = {}
    for line, key, address in sorted(used, key=lambda one: one[0]):
        if address is None:
            continue
        other = seen.setdefault(address, key)
        if other != key:
            remark = Remark(Kind.SAME_ADDRESS, f"another address than ${other}", str(address), other=other)
            report.add(remark, line, key)
    twice = len(_listed(draft)) - len({one.address for one in _listed(draft)})
    if twice:
        remark = Remark(Kind.SAME_ADDRESS, "each address once", "one twice", Severity.WARNING, other="cluster_ip")
        report.add(remark, draft.line("cluster_ip"), "cluster_ip")


def _one_family(draft: Draft, report: Report) -> None:
    local, remote = _address(draft, "local_ip"), _address(draft, "remote_ip")
    if local is not None and remote is not None and local.version != remote.version:
        expected = f"an IPv{local.version} address as $local_ip is one"
        report.add(Remark(Kind.OTHER_FAMILY, expected, str(remote)), draft.line("remote_ip"), "remote_ip")


def _multicast(draft: Draft, report: Report) -> None:
    local, group = _address(draft, "local_ip"), _address(draft, "multicast_group")
    if local is None or group is None or local.version == group.version:
        return
    if "multicast_group" in draft.texts:
        expected = f"an IPv{local.version} group as $local_ip is of that family"
        report.add(Remark(Kind.OTHER_FAMILY, expected, str(group)), draft.line("multicast_group"), "multicast_group")
    else:
        draft.typed["multicast_group"] = _MULTICAST_IPV6


def _one_password(draft: Draft, report: Report) -> None:
    """Warn of a password that a password_file overrules."""
    if draft.typed.get("password_file") is not None and draft.texts.get("password"):
        expected = "either it or $password_file (which counts)"
        report.add(Remark(Kind.IGNORED_KEY, expected, "both", Severity.WARNING), draft.line("password"), "password")


def _listen(draft: Draft) -> None:
    """Put local_ip where `metrics_listen` says LOCAL_IP."""
    listen = cast("tuple[IPAddress | None, int] | None", draft.typed.get("metrics_listen"))
    if listen is not None and listen[0] is None:
        draft.typed["metrics_listen"] = (_address(draft, "local_ip"), listen[1])
