"""Rules for the transports of others: what CARP and VRRP cannot say or protect, and which keys do nothing with them."""

from typing import cast

from skd_cluster.config.build import Draft
from skd_cluster.config.network import ListedAddress
from skd_cluster.config.problems import Kind, Remark, Report, Severity
from skd_cluster.core.carp import PASSWORD_LIMIT
from skd_cluster.core.dialect import UNSKEWED, advskew
from skd_cluster.core.model import CENTISECOND, SECOND, IPAddress

_WEAK = {
    "carp": "CARP has no protection against replay: a recorded packet can change who is master",
    "vrrp": "VRRP has no authentication: anybody on the link can take the addresses",
}


def check_transport(draft: Draft, report: Report) -> None:
    """Note what the transport of others cannot do with this configuration, and put in what depends on it."""
    transport = draft.typed.get("transport")
    if transport not in _WEAK:
        return
    expected = f"udp as soon as both nodes run skd-cluster: {_WEAK[transport]}"
    _warn(draft, report, "transport", Remark(Kind.WEAK_TRANSPORT, expected, transport, Severity.WARNING))
    _without_effect(draft, report, transport)
    if transport == "carp":
        _carp(draft, report)
    else:
        _vrrp(draft, report)


def _warn(draft: Draft, report: Report, key: str, remark: Remark) -> None:
    report.add(remark, draft.line(key), key)


def _written(draft: Draft, key: str) -> bool:
    return bool(draft.texts.get(key, "").strip()) and key in draft.typed


def _without_effect(draft: Draft, report: Report, transport: str) -> None:
    if draft.typed.get("detection") == "probing":
        expected = f"patient: nobody can be asked with transport {transport} (no effect)"
        _warn(draft, report, "detection", Remark(Kind.NO_EFFECT, expected, "probing", Severity.NOTE))
    if not _written(draft, "udp_mode"):
        draft.typed["udp_mode"] = "multicast"
    elif transport == "carp" and draft.typed.get("udp_mode") == "unicast":
        expected = "multicast, as ucarp sends (no effect)"
        _warn(draft, report, "udp_mode", Remark(Kind.NO_EFFECT, expected, "unicast", Severity.NOTE))


def _carp(draft: Draft, report: Report) -> None:
    local, listed = cast("IPAddress | None", draft.typed.get("local_ip")), _listed(draft)
    if local is not None and local.version != 4:
        expected = "an IPv4 address with transport carp, as ucarp speaks it"
        _warn(draft, report, "local_ip", Remark(Kind.OTHER_FAMILY, expected, str(local)))
    if listed and listed[0].address.version != 4:
        expected = "an IPv4 address first with transport carp: its digest covers that one, as the old node's does"
        _warn(draft, report, "cluster_ip", Remark(Kind.OTHER_FAMILY, expected, str(listed[0].address)))
    _rounded(draft, report, SECOND, "whole seconds with transport carp")
    _carp_passwords(draft, report)
    priority = draft.typed.get("priority")
    if isinstance(priority, int) and priority != UNSKEWED:
        expected = f"CARP's advskew in its place: spoken as {advskew(priority)}"
        _warn(draft, report, "priority", Remark(Kind.ROUNDED, expected, str(priority), Severity.NOTE))


def _carp_passwords(draft: Draft, report: Report) -> None:
    password = cast("bytes | None", draft.typed.get("password"))
    if password is not None and len(password) > PASSWORD_LIMIT:
        expected = f"at most {PASSWORD_LIMIT} bytes with transport carp: ucarp does not start with more"
        found = f"{len(password)} bytes"
        _warn(draft, report, "password", Remark(Kind.LONG_PASSWORD, expected, found, Severity.WARNING))
    if draft.typed.get("password_file") is None and draft.texts.get("password") != draft.version2.get("password"):
        expected = (
            "the one that version 2 uses, which read another from the same text: they do not hear each other "
            "(skd-cluster migrate writes it)"
        )
        _warn(draft, report, "password", Remark(Kind.OTHER_PASSWORD, expected, "a password", Severity.WARNING))


def _vrrp(draft: Draft, report: Report) -> None:
    _rounded(draft, report, CENTISECOND, "whole hundredths of a second with transport vrrp")
    local, listed = cast("IPAddress | None", draft.typed.get("local_ip")), _listed(draft)
    if local is None or not listed:
        return
    ours = [one.address for one in listed if one.address.version == local.version]
    others = [str(one.address) for one in listed if one.address.version != local.version]
    if not ours:
        expected = (
            f"an IPv{local.version} address among them with transport vrrp: it advertises those of local_ip's family"
        )
        _warn(draft, report, "cluster_ip", Remark(Kind.OTHER_FAMILY, expected, " ".join(others)))
        return
    if others:
        expected = f"IPv{local.version} addresses with transport vrrp: it moves with the others and is not advertised"
        _warn(draft, report, "cluster_ip", Remark(Kind.OTHER_FAMILY, expected, " ".join(others), Severity.NOTE))
    if local.version == 6 and not ours[0].is_link_local:
        expected = "a link-local address first, ADDR@IFACE, with transport vrrp over IPv6 (RFC 9568)"
        _warn(draft, report, "cluster_ip", Remark(Kind.BAD_ADDRESS, expected, str(ours[0]), Severity.WARNING))


def _listed(draft: Draft) -> tuple[ListedAddress, ...]:
    return cast("tuple[ListedAddress, ...]", draft.typed.get("cluster_ip", ()))


def _rounded(draft: Draft, report: Report, unit: int, words: str) -> None:
    """Note an interval that was written and that the packet cannot say: it says the next longer one."""
    interval = draft.typed.get("advert_interval")
    if not isinstance(interval, int) or not _written(draft, "advert_interval") or interval % unit == 0:
        return
    spoken = -(-interval // unit) * unit / SECOND
    expected = f"{words} (spoken as {spoken:g} s)"
    found = draft.texts["advert_interval"].strip()
    _warn(draft, report, "advert_interval", Remark(Kind.ROUNDED, expected, found, Severity.NOTE))
