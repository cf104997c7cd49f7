"""One node's facts for `skd-cluster doctor`: gathered side by side, each within its time, the service running or not."""

import hashlib
import hmac
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import skd_cluster
from skd_cluster.adapters import examine_host, examine_network, examine_ssh
from skd_cluster.adapters.bounded import within
from skd_cluster.adapters.clock import wall
from skd_cluster.config.load import Loaded
from skd_cluster.config.schema import KEYS, Config
from skd_cluster.core.diagnosis_facts import pack, unpack
from skd_cluster.core.diagnosis_pair import EQUAL, SIMILAR
from skd_cluster.core.session import Examined
from skd_cluster.core.wire import derive_key

_DIGEST = 16
_SHOWN = {"local_ip", "remote_ip", "status_file", "state_dir", "checks_dir", *EQUAL, *SIMILAR}


def answer(loaded: Loaded, path: Path, nonce: str) -> Examined:
    """Return the facts as the other node wants them: whether our login to it works is among them."""
    asked = wall()
    facts = examine(loaded.require(), loaded, path, nonce, back=True)
    return Examined(facts, asked, wall())


def examine(config: Config, loaded: Loaded, path: Path, nonce: str, *, back: bool) -> dict[str, Any]:
    """Look at everything; `back`: also log in to the peer."""
    questions: dict[str, tuple[float, Callable[[], dict[str, Any]]]] = {
        "links, addresses and the kernel's settings": (5, lambda: examine_network.look(config)),
        "the route to the peer": (7, lambda: examine_network.route(config)),
        "the firewall": (8, lambda: examine_network.firewall(config)),
        "who else has our addresses": (5, lambda: examine_network.answers(config)),
        "sshd": (12, lambda: examine_ssh.look(config)),
        "the service": (14, lambda: examine_host.service(config)),
        "hooks and leftovers": (5, lambda: examine_host.files(config)),
        "disks and limits": (5, lambda: examine_host.host(config)),
        "the tree": (15, lambda: examine_host.tree(config)),
    }
    if back:
        questions["the login to the peer"] = (20, lambda: examine_ssh.login(config, path))
    found = {**_itself(config, loaded, path, nonce), "late": []}
    with ThreadPoolExecutor(len(questions)) as pool:
        asked = {name: pool.submit(within, patience, question) for name, (patience, question) in questions.items()}
    for name, waiting in asked.items():
        facts = waiting.result()
        if facts is None:
            found["late"].append(name)
        else:
            found |= facts
    return pack(unpack(found))


def _itself(config: Config, loaded: Loaded, path: Path, nonce: str) -> dict[str, Any]:
    about = path.stat()
    # Told apart by id: the digest shall say whether the passwords are the same, and nothing else.
    digest = hmac.new(derive_key(config.password, 0), nonce.encode(), hashlib.sha256).hexdigest()
    listen = config.metrics_listen
    settings = {key: _text(loaded, key) for key in _SHOWN}
    settings |= {"local_ip": str(config.local_ip), "remote_ip": str(config.remote_ip)}
    settings["enable_cluster"] = str(config.enable_cluster).lower()
    settings["metrics_listen"] = "off" if listen is None else f"{listen[0]}:{listen[1]}"
    return {
        "node": socket.gethostname(),
        "software": skd_cluster.__version__,
        "local_ip": str(config.local_ip),
        "remote_ip": str(config.remote_ip),
        "interface": config.interface,
        "config": str(path.absolute()),
        "config_mode": about.st_mode & 0o7777,
        "config_owner": about.st_uid,
        "warnings": [str(one) for one in loaded.problems],
        "settings": settings,
        "password": digest[:_DIGEST],
    }


def _text(loaded: Loaded, key: str) -> str:
    """Return a value so that what means the same is the same."""
    text = " ".join(loaded.values.get(key, KEYS[key].default or "").split())
    try:
        return f"{float(text):g}"
    except ValueError:
        return text
