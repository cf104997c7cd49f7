"""What `sshd -T` says about logging in as root with a key: what stands in the way, where its files are."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SshdSettings:
    """The settings of one node for a login of root from its peer, by sshd's own names in small letters."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """Return a setting, the first one of several."""
        return next(iter(self.values.get(name, ())), default)


def read_settings(output: str) -> SshdSettings:
    """Read what `sshd -T` printed. What is not there is taken as sshd's default."""
    values: dict[str, list[str]] = {}
    for line in output.splitlines():
        name, _, value = line.strip().partition(" ")
        values.setdefault(name.lower(), []).append(value.strip())
    return SshdSettings(values)


def keys_file(settings: SshdSettings, home: str) -> str:
    """Return the file that sshd reads root's keys from, the first one of several. Empty: it reads none."""
    first = next(iter(settings.get("authorizedkeysfile", ".ssh/authorized_keys").split()), "none")
    if first == "none":
        return ""
    plain = first.replace("%%", "\0").replace("%h", home).replace("%u", "root").replace("%U", "0").replace("\0", "%")
    return plain if plain.startswith("/") else f"{home}/{plain}"


def host_key_files(settings: SshdSettings) -> list[str]:
    """Return the private host keys sshd uses."""
    return [one for one in settings.values.get("hostkey", []) if one.startswith("/")]


def obstacles(settings: SshdSettings) -> list[str]:
    """Return what in sshd's configuration keeps root from logging in with a pair's key, a sentence each."""
    found = []
    if settings.get("permitrootlogin", "yes") == "no":
        found.append("PermitRootLogin no: expected prohibit-password or forced-commands-only")
    if settings.get("pubkeyauthentication", "yes") == "no":
        found.append("PubkeyAuthentication no: expected yes")
    if settings.get("authorizedkeysfile", "?") == "none":
        found.append("AuthorizedKeysFile none: expected .ssh/authorized_keys")
    if settings.get("forcecommand", "none") not in ("none", ""):
        found.append(f"ForceCommand {settings.get('forcecommand')}: it replaces the command of the key")
    accepted = settings.get("pubkeyacceptedalgorithms", "ssh-ed25519")
    if "ssh-ed25519" not in accepted.split(","):
        found.append("PubkeyAcceptedAlgorithms without ssh-ed25519")
    if settings.get("authenticationmethods", "any") not in ("any", "publickey"):
        found.append(
            f"AuthenticationMethods {settings.get('authenticationmethods')}: expected publickey among them alone"
        )
    return found + _lists(settings)


def _lists(settings: SshdSettings) -> list[str]:
    found = []
    allowed = settings.values.get("allowusers", [])
    if allowed and not any(_may_be_root(one) for one in _words(allowed)):
        found.append(f"AllowUsers {' '.join(allowed)}: root is not among them")
    groups = settings.values.get("allowgroups", [])
    if groups and not any(_may_be_root(one) for one in _words(groups)):
        found.append(f"AllowGroups {' '.join(groups)}: root is not among them")
    denied = settings.values.get("denyusers", [])
    if any(one.partition("@")[0] == "root" for one in _words(denied)):
        found.append(f"DenyUsers {' '.join(denied)}: root is among them")
    return found


def _words(lines: Iterable[str]) -> list[str]:
    return [word for line in lines for word in line.split()]


def _may_be_root(pattern: str) -> bool:
    name = pattern.partition("@")[0]
    return name == "root" or "*" in name or "?" in name
