"""ssh to the peer while it is being paired: with whatever lets root in today, and with the pair's key alone."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.adapters.command import CannotStartError, Finished, attend, run
from skd_cluster.adapters.ssh import Identity, identity_of, option_path, options, port_words
from skd_cluster.config.load import DEFAULT_PATH
from skd_cluster.config.schema import Config
from skd_cluster.core.gate import PROBE, PROBE_BACK
from skd_cluster.core.model import nanos
from skd_cluster.core.pairing import Answer, Echo, PairingError, Request, decode_answer, decode_echo, encode_request
from skd_cluster.core.sshfault import explain

_KEEP = 120
"""Seconds after which the connection ends by itself, should we not be there to end it."""

_LOGIN, _ASK, _PROBE = nanos(30), nanos(90), nanos(20)
_KEYS = ("id_ed25519", "id_rsa", "id_ecdsa")


@dataclass(slots=True)
class Login:
    """An ordinary login of root, kept open: a password is asked for once. `attended`: a person is there to type it."""

    config: Config
    config_path: Path
    attended: bool
    _control: Path | None = None

    @property
    def peer(self) -> str:
        """The peer, for people."""
        return f"the peer {self.config.remote_ip}"

    def open(self) -> None:
        """Log in. Raises PairingError, which says what to do instead."""
        self.config.run_dir.mkdir(parents=True, exist_ok=True)
        self._control = self.config.run_dir / f"pair-{os.getpid()}"
        self._control.unlink(missing_ok=True)
        argv = self._argv("-o", "ControlMaster=yes", "-o", f"ControlPersist={_KEEP}", command="true")
        try:
            done = attend(argv, _pass_on) if self.attended else run(argv, _LOGIN)
        except CannotStartError as error:
            raise PairingError(str(error)) from error
        if not done.ok:
            raise PairingError(self._refused(done))

    def ask(self, request: Request) -> Answer:
        """Have `pair --accept` do something there. Raises PairingError."""
        config = "" if self.config_path == DEFAULT_PATH else f" --config {shlex.quote(str(self.config_path))}"
        argv = self._argv("-o", "ControlMaster=no", "-o", "BatchMode=yes", command=f"skd-cluster pair --accept{config}")
        done = run(argv, _ASK, stdin=encode_request(request))
        answer = decode_answer(done.output)
        if answer is not None:
            return answer
        if done.timed_out:
            raise PairingError(f"skd-cluster pair --accept on {self.peer} did not end within 90 s")
        text = done.output.decode(errors="replace")
        if done.code == 2 or "invalid choice: 'pair'" in text:
            raise PairingError(f"{self.peer} has an older skd-cluster without pair: install the same version there")
        if done.code in (127, 255):
            raise PairingError(explain(done.code, text, self.peer, "").text)
        words = f"{self.peer} did not answer as skd-cluster pair --accept, but ended with {done.code}"
        raise PairingError(f"{words}: {done.last_line[:160]!r}")

    def close(self) -> None:
        """Hang up."""
        if self._control is not None and self._control.exists():
            run(self._argv("-O", "exit"), _LOGIN)
            self._control.unlink(missing_ok=True)

    def _argv(self, *more: str, command: str = "") -> list[str]:
        pins = identity_of(self.config).known_hosts
        words = [f"ControlPath={self._control}", "RequestTTY=no", "EscapeChar=none", "PermitLocalCommand=no"]
        words += ["ClearAllForwardings=yes", f"BatchMode={'no' if self.attended else 'yes'}"]
        # A host key that was pinned once is not to be replaced by one that a person says yes to.
        known = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
        words += [f"GlobalKnownHostsFile={known} {option_path(pins)}"]
        words += self.config.ssh_options
        words += ["ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"]
        plain = [part for word in words for part in ("-o", word)]
        return [
            "ssh",
            *port_words(self.config),
            *more,
            *plain,
            f"root@{self.config.remote_ip}",
            *filter(None, [command]),
        ]

    def _refused(self, done: Finished) -> str:
        """Return why the login did not work, and what to type."""
        said = done.output.decode(errors="replace")
        login = shlex.join([*port_words(self.config), f"root@{self.config.remote_ip}"])
        trouble = explain(None if done.timed_out else done.code, said, self.peer, f"ssh {login} true")
        if trouble.kind == "host_key":
            if "HAS CHANGED" in said:
                return (
                    f"the ssh host key of {self.peer} is not the one known here: only if that node was installed anew, "
                    f"ssh-keygen -R {self.config.remote_ip}, skd-cluster pair --remove, and skd-cluster pair again"
                )
            return (
                f"the ssh host key of {self.peer} is not known here yet: log in once at a terminal and compare its "
                f"fingerprint: ssh {login} true"
            )
        if trouble.kind == "refused_key":
            home = Path("~root").expanduser()
            first = "" if any((home / ".ssh" / name).exists() for name in _KEYS) else "ssh-keygen -t ed25519, then "
            ways = "" if self.attended else "run skd-cluster pair at a terminal and type root's password there, or "
            return (
                f"{self.peer} does not let root in: {ways}{first}ssh-copy-id {login}, then skd-cluster pair again; if "
                "root's password is refused, look at PermitRootLogin, PasswordAuthentication, AllowUsers in "
                "/etc/ssh/sshd_config and sshd_config.d/ there"
            )
        return trouble.text


def probe(config: Config, identity: Identity, *, back: bool = False) -> Echo:
    """Log in with the pair's key alone and have the forced command answer. Raises PairingError with why it did not."""
    word = PROBE_BACK if back else PROBE
    login = f"root@{config.remote_ip}"
    argv = ["ssh", *options(config, None, identity), "-o", "ControlMaster=no", login, f"skd-cluster receive {word}"]
    try:
        done = run(argv, nanos(45) if back else _PROBE)
    except CannotStartError as error:
        raise PairingError(str(error)) from error
    echo = decode_echo(done.output)
    if done.ok and echo is not None:
        return echo
    text = done.output.decode(errors="replace")
    code = None if done.timed_out else done.code
    if code == 0:
        raise PairingError(f"the peer {config.remote_ip} answered something else: {done.last_line[:100]!r}")
    raise PairingError(explain(code, text, f"the peer {config.remote_ip}", "", pinned=True).text)


def _pass_on(said: bytes) -> None:
    sys.stderr.write(said.decode(errors="replace"))
    sys.stderr.flush()
