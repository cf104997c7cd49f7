"""Why a session over ssh ended, in words that say what to do."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """`kind` is a stable word, the same for the same trouble; `text` is for people."""

    kind: str
    text: str


_SSH = (
    ("refused_key", r"Permission denied|Too many authentication failures|no supported authentication",
     "{peer} does not let root in by ssh without a password; this must work: {command} (skd-cluster pair sets it up)"),
    ("host_key", r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
     "the ssh host key of {peer} is not the known one; look at it, then accept it by hand: {command}"),
    ("no_sshd", r"Connection refused", "no sshd answers on {peer}: {last}"),
    ("unreachable",
     (r"timed out|No route to host|Network is unreachable|Connection reset|Broken pipe|not responding|Connection closed|"
     r"closed by remote host|lost connection|kex_exchange_identification"),
     "{peer} cannot be reached by ssh: {last}"),
    ("key_file", r"Load key|bad permissions|UNPROTECTED PRIVATE KEY|no such identity", "ssh cannot use its key: {last}"),
    ("ssh_options", r"Bad configuration option|command-line line 0|unknown option", "ssh does not take `ssh_options`: {last}"),
)  # fmt: skip

_PINNED = {
    "refused_key": "{peer} does not take the key of this pair; to see why and mend it, run: skd-cluster pair",
    "host_key": (
        "the ssh host key of {peer} is not the one that was pinned; if that node was installed anew, run: "
        "skd-cluster pair --remove, then skd-cluster pair"
    ),
}
"""What differs once `skd-cluster pair` was run."""


def explain(code: int | None, errors: str, peer: str, command: str, *, pinned: bool = False) -> Trouble:
    """Say why a session ended: ssh's exit code (None: we ended it), what it wrote, and the command a person may try.

    `pinned`: it used the key and the host keys of a pairing.
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if code == 127 or re.search(r"skd-cluster: (command )?not found", errors):
        return Trouble("not_installed", f"{peer} has no command skd-cluster: install the package there")
    if code == 78:
        return Trouble("peer_config", f"the configuration of {peer} has errors: {last}")
    if code == 255 and not lines:  # of its own failures ssh always says something
        return Trouble("killed", f"the session on {peer} ended without a word: was skd-cluster receive killed there?")
    if code == 255 or code is None:
        for kind, pattern, text in _SSH:
            if re.search(pattern, errors, re.IGNORECASE):
                words = _PINNED.get(kind, text) if pinned else text
                return Trouble(kind, words.format(peer=peer, command=command, last=last))
        return Trouble("ssh", f"ssh to {peer} failed: {last}")
    if code == 0:
        return Trouble("ended", f"the session on {peer} ended")
    return Trouble("receive", f"skd-cluster receive on {peer} ended with {code}: {last}")
