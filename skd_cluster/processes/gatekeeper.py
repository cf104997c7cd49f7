"""The forced command of a pair's key: does what the key is for, refuses all else in one line, and writes that down."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.adapters.confine import write_only_into
from skd_cluster.adapters.control import hint
from skd_cluster.adapters.staging import staging_parent, targets
from skd_cluster.adapters.synclog import SyncLog
from skd_cluster.adapters.tree import scope_of
from skd_cluster.config.schema import Config
from skd_cluster.core.gate import ForbiddenError, Probe, Rsync, Serve, judge, rsync_argv
from skd_cluster.core.model import ExitCode
from skd_cluster.core.pairing import Echo, encode_echo


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """`connection` is sshd's SSH_CONNECTION: the addresses and ports of both ends, unlike any other one."""

    config: Config
    config_path: Path
    connection: str

    def pass_on(self, command: str | None) -> ExitCode | None:
        """Do what SSH_ORIGINAL_COMMAND asks for and return the exit code; None if it is a session, which is still to be served.

        With rsync this process becomes rsync and does not return.
        """
        try:
            match judge(command):
                case Serve():
                    return None
                case Probe(back):
                    print(encode_echo(self._echo(back=back)))  # noqa: T201 -- the answer
                    return ExitCode.OK
                case Rsync(words):
                    self._become_rsync(words)
        except ForbiddenError as error:
            print(error, file=sys.stderr)  # noqa: T201 -- ssh carries it to whoever asked
            self._tell(str(error))
        except OSError as error:
            print(f"{error.filename or self.config.rsync}: {error.strerror}", file=sys.stderr)  # noqa: T201 -- as above
        return ExitCode.FAILED

    def _tell(self, text: str) -> None:
        """Write a refusal down, and leave it to the service, if it runs, who else is to know."""
        client = " ".join(self.connection.split()[:1]) or "somebody"
        SyncLog(self.config.zeninolog).line(f"refused to {client}: {text}")
        hint(self.config.run_dir, {"verb": "refused", "client": client, "text": text})

    def _become_rsync(self, words: tuple[str, ...]) -> None:
        places = targets(
            staging_parent(self.config.state_dir, self.config.configdir), self.connection, scope_of(self.config).roots()
        )
        argv = rsync_argv(str(self.config.rsync), words, places)
        # Where the kernel has no such wall, what the options leave rsync to do is wall enough.
        write_only_into(places[argv[-1]])
        os.execv(argv[0], argv)  # noqa: S606 -- every word of it was allowed, and there is no shell

    def _echo(self, *, back: bool) -> Echo:
        # Not for a session or an rsync, which should start soon: this brings plumbum along.
        from skd_cluster.processes.pairing import look_back, view_of  # noqa: PLC0415

        return Echo(view_of(self.config, self.config_path), look_back(self.config) if back else None)
