"""A web configuration file from the disk, with the certificates it names."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import yaml

from skd_cluster.adapters.passwords import Passwords
from skd_cluster.core.webconfig import Tls, WebConfig, WebConfigError, web_config

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class Protection:
    """What a connection has to go through. `state` changes when one of the files does."""

    config: WebConfig
    passwords: Passwords
    tls: ssl.SSLContext | None
    files: tuple[Path, ...] = ()
    state: tuple[tuple[int, int, int], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether one of the files is another than when they were read."""
        return _state(self.files) != self.state


OPEN = Protection(WebConfig(), Passwords({}), None)
"""Everybody may read the metrics."""


def load(path: Path) -> Protection:
    """Read the file and all it names. Raises WebConfigError, whose text names the file."""
    try:
        config = web_config(yaml.safe_load(path.read_bytes()))
    except OSError as error:
        raise WebConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise WebConfigError(f"{path}{f' line {mark.line + 1}' if mark else ''}: not YAML") from error
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from None
    names = [config.tls.cert_file, config.tls.key_file, config.tls.client_ca_file] if config.tls else []
    files = (path, *(path.parent / name for name in names if name))
    state = _state(files)
    return Protection(config, Passwords(config.users), _context(config.tls, path), files, state)


def _context(tls: Tls | None, path: Path) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[tls.lowest], _VERSIONS[tls.highest]
    certificate, key = path.parent / tls.cert_file, path.parent / tls.key_file
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # never asks at a terminal
        if tls.ciphers:
            context.set_ciphers(tls.ciphers)
        if tls.client_ca_file:
            context.load_verify_locations(path.parent / tls.client_ca_file)
    except OSError as error:  # ssl.SSLError is one
        named = f"{certificate}, {key}" + (f", {path.parent / tls.client_ca_file}" if tls.client_ca_file else "")
        raise WebConfigError(f"{path}: no use of {named}: {error.strerror or error}") from error
    if tls.client_auth != "NoClientCert":
        required = tls.client_auth == "RequireAndVerifyClientCert"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def _state(files: tuple[Path, ...]) -> tuple[tuple[int, int, int], ...]:
    """Return what tells a file from the one that was read; zeros for one that is not there."""
    found = []
    for one in files:
        try:
            about = one.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((about.st_ino, about.st_mtime_ns, about.st_size))
    return tuple(found)
