"""A web configuration file of Prometheus' exporters, what we support of it, checked key by key. Pure.

The format: https://prometheus.io/docs/prometheus/latest/configuration/https/. What is not supported is refused, never ignored: a
file that asks for more protection than it gets would be worse than none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
CLIENT_AUTH = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
HEADERS = (
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy",
)
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""The names of the file and those of OpenSSL. The suites of TLS 1.3 cannot be chosen, as in Prometheus' own exporters."""

_HASH = re.compile(r"\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}")


class WebConfigError(ValueError):
    """The file is not to be used; the text says which key, what is expected and what was found."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS. Paths are as written; relative ones are beside the file."""

    cert_file: str
    key_file: str
    client_auth: str = "NoClientCert"
    client_ca_file: str = ""
    lowest: str = "TLS12"
    highest: str = "TLS13"
    ciphers: str = ""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Who may read the metrics, and how. `users` are bcrypt hashes by name; without any, everybody may."""

    tls: Tls | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def web_config(document: object) -> WebConfig:
    """Read what YAML made of the file. Raises WebConfigError."""
    found = _section("", {} if document is None else document)
    _known("", found, "tls_server_config", "http_server_config", "basic_auth_users")
    http = _section("http_server_config", found.get("http_server_config") or {})
    _known("http_server_config.", http, "http2", "headers")
    return WebConfig(
        tls=_tls(_section("tls_server_config", found.get("tls_server_config") or {})),
        users=_users(_section("basic_auth_users", found.get("basic_auth_users") or {})),
        headers=_headers(_section("http_server_config.headers", http.get("headers") or {})),
    )


def _section(name: str, found: object) -> dict[str, Any]:
    if isinstance(found, dict) and all(isinstance(key, str) for key in found):
        return found
    raise WebConfigError(f"{name or 'the file'}: expected keys with values, found {type(found).__name__}")


def _known(place: str, found: Mapping[str, Any], *names: str) -> None:
    for name in found:
        if name not in names:
            raise WebConfigError(f"{place}{name}: not supported here, expected one of {', '.join(names)}")


def _tls(found: Mapping[str, Any]) -> Tls | None:
    if not found:
        return None
    place = "tls_server_config."
    names = ("cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version")
    _known(place, found, *names, "cipher_suites", "prefer_server_cipher_suites")
    for name in ("cert_file", "key_file", "client_ca_file"):
        if not isinstance(found.get(name, ""), str) or (name != "client_ca_file" and not found.get(name)):
            raise WebConfigError(f"{place}{name}: expected the path of a file")
    tls = Tls(
        cert_file=found["cert_file"],
        key_file=found["key_file"],
        client_auth=_word(place, "client_auth_type", found, CLIENT_AUTH, "NoClientCert"),
        client_ca_file=found.get("client_ca_file", ""),
        lowest=_word(place, "min_version", found, VERSIONS, "TLS12"),
        highest=_word(place, "max_version", found, VERSIONS, "TLS13"),
        ciphers=_ciphers(found.get("cipher_suites") or []),
    )
    if (tls.client_auth != "NoClientCert") != bool(tls.client_ca_file):
        raise WebConfigError(f"{place}client_ca_file: goes with a client_auth_type that verifies, and that one with it")
    if VERSIONS.index(tls.lowest) > VERSIONS.index(tls.highest):
        raise WebConfigError(f"{place}min_version: {tls.lowest} is above max_version, {tls.highest}")
    return tls


def _word(place: str, name: str, found: Mapping[str, Any], words: tuple[str, ...], default: str) -> str:
    word = found.get(name, default)
    if word not in words:
        raise WebConfigError(f"{place}{name}: expected one of {', '.join(words)}, found {word}")
    return str(word)


def _ciphers(found: object) -> str:
    for one in found if isinstance(found, list) else [found]:
        if one not in CIPHERS:
            raise WebConfigError(
                f"tls_server_config.cipher_suites: expected a list of {', '.join(CIPHERS)}; found {one}"
            )
    return ":".join(CIPHERS[one] for one in found) if isinstance(found, list) else ""


def _users(found: Mapping[str, Any]) -> Mapping[str, str]:
    for user, value in found.items():
        if not user or ":" in user or not isinstance(value, str) or not _HASH.fullmatch(value):  # not shown: a secret
            raise WebConfigError(
                f"basic_auth_users: {user!r}: expected a bcrypt hash, as `htpasswd -nBC 10 {user}` makes it"
            )
    return found


def _headers(found: Mapping[str, Any]) -> Mapping[str, str]:
    _known("http_server_config.headers.", found, *HEADERS)
    for name, value in found.items():
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise WebConfigError(f"http_server_config.headers.{name}: expected one line of plain text")
    return found
