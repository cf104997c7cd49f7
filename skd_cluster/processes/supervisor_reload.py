"""Which changes of the configuration take effect in a running service, and who has to hear of them. Pure."""

from dataclasses import dataclass, fields, replace

from skd_cluster.config.schema import Config

HOOKS = frozenset({"up_script", "down_script", "adver_script", "hook_timeout", "adver_interval"})
CHECKS = frozenset({"checks_dir", "check_interval", "check_timeout", "check_fall", "check_rise"})
FLOATING = frozenset({"floating"})
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

LIVE = HOOKS | CHECKS | FLOATING | REPLICATOR


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
    changes = Changes(different & LIVE, different - LIVE)
    return changes, replace(old, **{name: getattr(new, name) for name in changes.live})
