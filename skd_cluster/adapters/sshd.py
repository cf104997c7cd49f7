"""This node's sshd, as far as it decides who may log in as root: asked, never changed."""

from pathlib import Path

from skd_cluster.adapters.command import CannotStartError, run
from skd_cluster.config.schema import Config
from skd_cluster.core.authorized import PublicKey, public_key
from skd_cluster.core.model import nanos
from skd_cluster.core.sshd import SshdSettings, host_key_files, read_settings

_SSHD = "/usr/sbin/sshd"
_PATIENCE = nanos(10)
_ETC = Path("/etc/ssh")


def settings_for(config: Config) -> SshdSettings:
    """Return what sshd would go by when root comes from the peer; nothing if it cannot be asked."""
    circumstances = f"user=root,host={config.remote_ip},addr={config.remote_ip},laddr={config.local_ip},lport=22"
    try:
        found = run([_SSHD, "-T", "-C", circumstances], _PATIENCE)
    except CannotStartError:
        return SshdSettings()
    return read_settings(found.output.decode(errors="replace")) if found.ok else SshdSettings()


def host_keys(settings: SshdSettings) -> list[PublicKey]:
    """Return the public halves of this node's host keys; those that are not there or no keys are left out."""
    files = [Path(f"{one}.pub") for one in host_key_files(settings)] or sorted(_ETC.glob("ssh_host_*_key.pub"))
    found = []
    for file in files:
        try:
            found.append(public_key(file.read_text(errors="replace")))
        except (OSError, ValueError):
            continue
    return found
