"""What `skd-cluster doctor` wants to know of this node's ssh: what sshd insists on, and whether the login works."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skd_cluster.adapters import sshd
from skd_cluster.adapters.conversation import Conversation, NoAnswerError
from skd_cluster.adapters.ssh import identity_of, paired
from skd_cluster.config.schema import Config
from skd_cluster.core.sshd import SshdSettings, keys_file, obstacles

_WRITABLE, _READABLE = 0o022, 0o077


def look(config: Config) -> dict[str, Any]:
    """Return what stands in the way of a login here, and of one from here."""
    settings = sshd.settings_for(config)
    return {
        "paired": paired(config) is not None,
        "sshd": obstacles(settings),
        "loose": [*_loose(settings), *_keys(config)],
    }


def login(config: Config, config_path: Path) -> dict[str, Any]:
    """Log in to the peer as the replication does, and say why it did not work."""
    with Conversation(config, config_path) as conversation:
        try:
            conversation.hello()
        except NoAnswerError as error:
            return {"there": str(error)}
    return {"there": ""}


def _loose(settings: SshdSettings) -> Iterator[list[str]]:
    """Yield what sshd does not trust: it then ignores the keys without a word."""
    if settings.get("strictmodes", "yes") == "no":
        return
    home = Path("~root").expanduser()
    keys = Path(keys_file(settings, str(home)))
    for path in dict.fromkeys((home, keys.parent, keys)):
        if not path.exists():
            continue
        about = path.stat()
        if about.st_uid:
            yield [str(path), f"its owner is user {about.st_uid}: sshd ignores the keys in it"]
        elif about.st_mode & _WRITABLE:
            yield [str(path), f"mode {about.st_mode & 0o7777:04o}, others may write: sshd ignores the keys in it"]


def _keys(config: Config) -> Iterator[list[str]]:
    for path in (identity_of(config).key, config.ssh_key):
        if path is not None and path.exists() and path.stat().st_mode & _READABLE:
            yield [str(path), f"mode {path.stat().st_mode & 0o7777:04o}, others may read it: ssh does not use it"]
