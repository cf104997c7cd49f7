"""The elector's voice and ears in a standard: CARP's or VRRP's advertisements out, judged ones in."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from skd_cluster.adapters.protocol112 import CARP, VRRP, Protocol112, open_multicast, open_unicast
from skd_cluster.core.actions import Action, Identity
from skd_cluster.core.dialect import Bid
from skd_cluster.core.flight import Kind
from skd_cluster.core.messages import Note, Settings
from skd_cluster.core.model import NEVER, DropReason, IPAddress, Nanos, Role, Transport, seconds
from skd_cluster.core.speech import CarpSpeech, Speech, speech
from skd_cluster.core.standard import StandardElection
from skd_cluster.processes.advertiser import BATCH, Advertiser, Path

_HEARD, _SENT = int(Kind.HEARD), int(Kind.SENT)

_OLD = (
    "the peer speaks VRRP version 2, this node version 3: neither hears the other; in keepalived set "
    "vrrp_version 3 in global_defs, on every node"
)

_OTHERS = (
    "the peer advertises other addresses than $cluster_ip; keepalived takes no notice of who does, so both may be master: "
    "make virtual_ipaddress and $cluster_ip the same"
)


@dataclass(slots=True)
class StandardVoice:
    """What the machine says and hears in its standard. It counts with the native voice, whose packets go on beside it."""

    machine: StandardElection
    speech: Speech
    path: Path[Protocol112]
    native: Advertiser
    drained: bool = True
    pestered: bool = False
    _heard_at: Nanos = NEVER
    _said: bool | None = None
    """Whether people were told last that the standard decides."""
    _differs: bool = False

    def tell(self) -> Iterator[Note]:
        """Yield what people should know and were not told yet."""
        if self.machine.standard is not self._said:
            self._said = self.machine.standard
            word = self.machine.dialect.transport.word
            text = (
                f"{word} decides" if self._said else f"the native packets decide: the peer is not configured for {word}"
            )
            yield Note("transport_changed", text)
        if self.speech.old_version:
            self.speech.old_version = False
            yield Note("peer_version", _OLD, "warning")
        if self.speech.other_addresses is not self._differs:
            self._differs = self.speech.other_addresses
            if self._differs:
                yield Note("peer_addresses", _OTHERS, "warning")

    def retune(self, settings: Settings) -> None:
        """Use another password or other addresses from now on."""
        asked = speech_of(settings)
        if isinstance(asked, CarpSpeech) and isinstance(self.speech, CarpSpeech):
            asked.seen = self.speech.seen
        if asked is not None:
            self.speech, self.machine.dialect = asked, asked.dialect

    def attach(self, index: int) -> None:
        """Speak on this interface and no other of its name."""
        sock = self.path.sock
        if sock is not None and sock.index != index:
            self.path.close()
            self.path.retry_at = NEVER

    def hear(self, now: Nanos) -> list[Action]:
        """Take what has arrived; return what the machine wants."""
        self.drained, self.pestered = True, False
        actions: list[Action] = []
        taken = 0
        for packet in self.path.sock.receive(BATCH) if self.path.sock is not None else ():
            taken += 1
            found = self.speech.judge(packet.body, packet.source, packet.destination, packet.hops)
            if isinstance(found, Bid):
                self._count(found, now)
                actions += self.machine.on_bid(found, now)
                continue
            self.native.counters[f"dropped.{found.reason}"] += 1
            self.pestered = True
            if found.reason is DropReason.BAD_KEY and self.speech.may_be_peer(packet.source):
                actions += self.machine.on_bad_key(now)
        self.drained = taken < BATCH
        return actions

    def _count(self, bid: Bid, now: Nanos) -> None:
        native, gap = self.native, now - self._heard_at
        native.counters["received"] += 1
        native.flight.note(now, _HEARD, Role.MASTER, 0 if bid.resigns else 1)
        self.path.heard_at = self._heard_at = now
        if not self.machine.peer.alive(now):  # whose native packets say it better
            native.heartbeat.heard(now, bid.interval, paced=True)
        if bid.interval // 2 < gap < bid.interval * 3 // 2:  # neither an answer nor the one after a lost one
            native.jitter.observe(abs(seconds(Nanos(gap - bid.interval))))

    def send(self, now: Nanos, *, resigns: bool) -> None:
        """Advertise."""
        sock = self.path.sock
        sent = sock is not None and sock.send(message(self.speech, self.machine.me, sock, resigns=resigns))
        self.native.counters["sent" if sent else "send_errors"] += 1
        self.native.flight.note(now, _SENT, Role.MASTER, 0 if resigns else self.machine.me.priority)


def message(said: Speech, me: Identity, sock: Protocol112, *, resigns: bool) -> bytes:
    """Return an advertisement as this path carries it."""
    return said.say(me, sock.source, sock.destination, secrets.randbits(64), resigns=resigns)


def speech_of(settings: Settings) -> Speech | None:
    """Return what the settings say is spoken beside the native packets."""
    if settings.transport == Transport.UDP.word:
        return None
    return speech(
        Transport.named(settings.transport),
        ip_address(settings.local_ip),
        ip_address(settings.remote_ip),
        settings.cluster_id,
        tuple(bytes.fromhex(one) for one in settings.passwords),
        tuple(ip_address(row[0]) for row in settings.vips[: settings.clustered]),
    )


def path_of(settings: Settings) -> Path[Protocol112]:
    """Return the way to the peer in the standard."""
    local = ip_address(settings.local_ip)
    transport = Transport.named(settings.transport)
    to = ip_address(settings.standard_group or settings.remote_ip)
    opener = opener_of(transport, local, to, settings.interface)
    return Path(f"{transport.name} on {settings.interface}", opener, settings.remote_ip)


def opener_of(transport: Transport, local: IPAddress, to: IPAddress, interface: str) -> Callable[[], Protocol112]:
    """Return what opens a path to a group or to one address."""
    opens = open_multicast if to.is_multicast else open_unicast
    return lambda: opens(local, to, interface, CARP if transport is Transport.CARP else VRRP)
