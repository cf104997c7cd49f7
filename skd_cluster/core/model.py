"""The nouns of the program: time, roles, addresses, reasons. Everything else is made of these."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique
from ipaddress import IPv4Address, IPv6Address
from typing import NewType, TypeAlias

Nanos = NewType("Nanos", int)
"""An instant of the monotonic clock, or a span between two of them, in nanoseconds."""

IPAddress: TypeAlias = IPv4Address | IPv6Address

SECOND = Nanos(1_000_000_000)
MILLISECOND = Nanos(1_000_000)
CENTISECOND = Nanos(10_000_000)
"""VRRP version 3's unit of time (RFC 9568 section 5.2.7)."""
NEVER = Nanos(0)
"""The instant before every other: what has not happened yet, happened then."""


def nanos(seconds: float) -> Nanos:
    """Return a span given in seconds as nanoseconds."""
    return Nanos(round(seconds * SECOND))


def seconds(span: Nanos) -> float:
    """Return a span in seconds, for people and metrics; decisions stay in nanoseconds."""
    return span / SECOND


@unique
class Role(IntEnum):
    """What a node is. The numbers travel in packets, metrics and JSON: never renumber."""

    INIT = 0
    BACKUP = 1
    MASTER = 2
    FAULT = 3
    STANDBY = 4

    @property
    def word(self) -> str:
        """The word of the status file. A node that has not decided yet is a backup to everybody who reads it."""
        return "backup" if self is Role.INIT else self.name.lower()


@unique
class Transport(IntEnum):
    """In which language a node is configured to hold the election. The numbers travel in packets: never renumber."""

    UDP = 0
    CARP = 1
    VRRP = 2

    @property
    def word(self) -> str:
        """The word of the configuration."""
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> "Transport":
        """Return the one of which this is the word."""
        return cls[word.upper()]


@unique
class Reason(StrEnum):
    """Why a role changed. A label of metrics and a journal field: a contract, add but never rename."""

    START = "start"  # first decision after the service started
    ADDRESS_PRESENT = "address_present"  # first start: the cluster address was already up here
    FRESHER = "fresher"  # this node's configuration is the newer one
    ELECTED = "elected"  # priority, then the lower address
    PEER_SILENT = "peer_silent"  # the master was not heard for its whole patience
    PEER_RESIGNED = "peer_resigned"  # the master said priority 0
    PEER_MASTER = "peer_master"  # there is a master already
    RIVAL_WON = "rival_won"  # two masters met, the other one stays
    NOT_HEARD = "not_heard"  # two masters met, the other one cannot hear us: it cannot yield, so we do
    PAUSED = "paused"  # this node did not run for longer than the peer's patience
    COMMAND = "command"  # an administrator said so
    STANDBY = "standby"  # taken out by the administrator
    FAULT = "fault"  # something tracked is down
    RECOVERED = "recovered"  # nothing tracked is down any more
    SHUTDOWN = "shutdown"  # the service stops
    RESTARTED = "restarted"  # was master until it was started anew, and its peer has waited
    NO_WITNESS = "no_witness"  # neither the peer nor a witness is heard: this node is cut off
    YIELD_FRESHER = "yield_fresher"  # promoted alone at start, and the peer came back with newer configuration


@unique
class Fault(StrEnum):
    """What keeps a node from being master. Checks and tracked interfaces carry their name in `FaultNote.detail`."""

    INTERFACE = "interface"  # no carrier, or not there
    LOCAL_ADDRESS = "local_address"  # local_ip is not on this host
    SOCKET = "socket"  # port in use, no permission
    KEY = "key"  # the peer uses another key
    ADDRESS_REFUSED = "address_refused"  # the kernel did not take the floating address
    ADDRESS_FOUGHT = "address_fought"  # somebody removes it again and again
    CHECK = "check"  # a health check


@dataclass(frozen=True, slots=True, order=True)
class FaultNote:
    """One fault with what exactly is wrong, in words a person can act on."""

    fault: Fault
    detail: str = ""


@unique
class DropReason(StrEnum):
    """Why a packet was not believed. A label of `advertisements_dropped_total`."""

    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    VERSION = "version"
    CHECKSUM = "checksum"  # damaged on its way, or summed over something else
    HOPS = "hops"  # came over a router: its TTL or hop limit is not 255
    FOREIGN_CLUSTER = "foreign_cluster"
    FOREIGN_SENDER = "foreign_sender"
    BAD_KEY = "bad_key"
    REFLECTED = "reflected"
    REPLAYED = "replayed"
    UNPROVEN = "unproven"
    DUPLICATE = "duplicate"  # heard on another path already; no cause for alarm


@unique
class ExitCode(IntEnum):
    """Exit codes of every command; 78 is sysexits' EX_CONFIG, on which the unit does not restart."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIG = 78


@dataclass(frozen=True, slots=True)
class Vip:
    """A floating address: where it lives, how wide it is, what it is called there.

    `label` is the IPv4 alias the product shows (`eth0:vip`); empty means none. Two of the same address are one and the
    same to the election, whatever their label.
    """

    address: IPAddress
    prefix: int
    interface: str
    label: str = ""

    def __str__(self) -> str:
        """Return `ADDR/PREFIX@IFACE`, as in the configuration."""
        return f"{self.address}/{self.prefix}@{self.interface}"


@dataclass(frozen=True, slots=True, order=True)
class DataVersion:
    """Which configuration a node holds: the epoch in which it was last changed, and a number that only rises.

    Ordered: the greater one is the newer configuration.
    """

    epoch: int = 0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class DataState:
    """What a node has recorded of its tree: a version, the digest that goes with it, and the version both nodes last held."""

    version: DataVersion = field(default_factory=DataVersion)
    digest: str = ""
    agreed: DataVersion = field(default_factory=DataVersion)

    @property
    def unshared(self) -> bool:
        """Whether there is something in it that the peer has not confirmed."""
        return self.version != self.agreed
