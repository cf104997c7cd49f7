"""The other node, asked over the replication's ssh session how it is."""

import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from skd_cluster.adapters.clock import wall
from skd_cluster.adapters.conversation import Conversation, NoAnswerError
from skd_cluster.config.load import load
from skd_cluster.core.diagnosis_facts import NodeFacts, unpack
from skd_cluster.core.model import nanos
from skd_cluster.core.session import Examine, Examined

_PATIENCE = nanos(40)
_NONCE = 16


@dataclass(frozen=True, slots=True)
class Peer:
    """What came of asking: its facts; why there is no login; or why one that let us in does not answer."""

    facts: NodeFacts | None = None
    silence: str = ""
    mute: str = ""


def fresh_nonce() -> str:
    """Return what digests of passwords are keyed with, once."""
    return secrets.token_hex(_NONCE)


def examine_peer(path: Path, nonce: str = "") -> Peer:
    """Ask the peer of a configuration how it is. Never raises."""
    config = load(path).config
    if config is None:
        return Peer(silence="the configuration is refused")
    with Conversation(config, path) as conversation:
        try:
            conversation.hello()  # whose service may be down: it answers all the same
        except NoAnswerError as error:
            return Peer(silence=str(error))
        try:
            sent = wall()
            (said,) = conversation.exchange([Examine(nonce or fresh_nonce())], 1, _PATIENCE)
            heard = wall()
        except NoAnswerError as error:
            return Peer(mute=str(error))
    if not isinstance(said, Examined):
        return Peer(mute=getattr(said, "text", "the peer does not know this question"))
    # As NTP does: what the two ways took is on both sides of the difference.
    offset = ((said.asked - sent) + (said.answered - heard)) / 2
    exact = abs((heard - sent) - (said.answered - said.asked)) / 2
    return Peer(replace(unpack(said.facts), offset=[offset, exact]))
