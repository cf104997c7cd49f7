"""Which changes of the configuration take effect in a running service, and who has to hear of them. Pure."""

from dataclasses import dataclass, fields, replace

from skd_cluster.config.schema import Config
from skd_cluster.core.model import nanos

HOOKS = frozenset({"up_script", "down_script", "adver_script", "hook_timeout", "adver_interval", "cluster_ip"})
CHECKS = frozenset({"checks_dir", "check_interval", "check_timeout", "check_fall", "check_rise"})
FLOATING = frozenset({"floating", "cluster_ip"})
METRICS = frozenset({"metrics_listen", "metrics_textfile", "metrics_web_config"})
ELECTION = frozenset(
    {
        "advert_interval",
        "dead_ratio",
        "detection",
        "garp_count",
        "garp_refresh",
        "heartbeat_links",
        "password",
        "password_also",
        "preempt",
        "preempt_delay",
        "priority",
        "track_interfaces",
        "vip_lease",
        "witness",
    }
)
"""The elector takes these as one message, between two rounds of its loop."""

SHORTEST = nanos(0.1)
"""A shorter interval is only taken from a host that was measured to keep it, which stops the elector: at its start."""

REPLICATOR = frozenset(
    {
        "exclude",
        "history_keep",
        "max_delete",
        "reconcile_interval",
        "replicate",
        "rsync",
        "rsync_args",
        "rttables",
        "ssh_key",
        "ssh_options",
        "ssh_port",
        "zeninolog",
    }
)
"""The replicator reads these itself, and is started again; nobody's role changes by that."""

LIVE = HOOKS | CHECKS | FLOATING | METRICS | ELECTION | REPLICATOR
"""All keys but `schema.RESTART`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of keys by what becomes of their new values."""

    live: frozenset[str]
    restart: frozenset[str]

    @property
    def text(self) -> str:
        """One line for people."""
        parts = [f"in force: {' '.join(sorted(self.live))}"] if self.live else []
        parts += [f"needs a restart: {' '.join(sorted(self.restart))}"] if self.restart else []
        return "; ".join(parts) or "nothing changed"


def compare(old: Config, new: Config) -> tuple[Changes, Config]:
    """Return what differs, and the configuration in force afterwards: the old one with what can change live."""
    different = frozenset(one.name for one in fields(Config) if getattr(old, one.name) != getattr(new, one.name))
    # The password's text is what counts, not where it was read from.
    different -= {"password_file"}
    live = LIVE
    if new.advert_interval < min(old.advert_interval, SHORTEST):
        live -= {"advert_interval"}
    changes = Changes(different & live, different - live)
    return changes, replace(old, **{name: getattr(new, name) for name in changes.live})
