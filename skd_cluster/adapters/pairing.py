"""One node's half of a pairing: its key, the peer's pinned host keys, the line in root's authorized_keys.

Each thing is made only where it is not so already, and is whole or not there. Until the key was tried the pins have another
name, so that a pairing that gets stuck half-way leaves replication with the logins it had.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.adapters.atomic import write_atomic
from skd_cluster.adapters.command import run
from skd_cluster.adapters.ssh import Identity, identity_of
from skd_cluster.config.schema import Config
from skd_cluster.core.authorized import PublicKey, admit, expel, known_hosts, permission, public_key
from skd_cluster.core.model import nanos
from skd_cluster.core.pairing import Done, PairingError, Step

_KEYGEN = "ssh-keygen"
_PATIENCE = nanos(20)
_SECRET = 0o077
_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class Half:
    """`host` is this node's name, `keys_file` root's authorized_keys ("" if sshd reads none), `command` what a key may run.

    Methods raise PairingError; with `dry` they say what they would do and do nothing.
    """

    config: Config
    host: str
    keys_file: str
    command: str
    dry: bool = False

    @property
    def identity(self) -> Identity:
        """Return the files as they are once the pairing is done."""
        return identity_of(self.config)

    @property
    def _staged(self) -> Path:
        return self.identity.known_hosts.with_name(f"{self.identity.known_hosts.name}.new")

    @property
    def trial(self) -> Identity:
        """Return what is to be tried: the key with the pins that are new, or those that are in use already."""
        return Identity(self.identity.key, self._staged if self._staged.exists() else self.identity.known_hosts)

    def check(self) -> None:
        """Refuse what would fail later, before anything was made."""
        if not self.keys_file:
            raise PairingError(f"sshd of {self.host} reads no file of keys: AuthorizedKeysFile none")
        file = Path(self.keys_file)
        if file.is_symlink():
            words = f"{file} on {self.host} is a link to {file.readlink()}: replacing it would cut that link"
            raise PairingError(f"{words}; make it a file, or add the line by hand (docs/pairing.md)")
        with self._mending(file):
            if file.exists():
                os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW))

    # --- the key -------------------------------------------------------------------------

    def make_key(self) -> tuple[PublicKey, Step]:
        """Make this node's key, if it has none; return its public half."""
        key = self.identity.key
        if not key.exists() and self.dry:
            return PublicKey("", ""), self._step(Done.WOULD, f"make a key of the pair's own, {key}")
        done = Done.UNCHANGED if key.exists() else Done.MADE
        with self._mending(key):
            if done is Done.MADE:
                self._folder()
                self._generate(key)
            elif not self.dry and key.stat().st_mode & _SECRET:
                key.chmod(0o600)  # ssh would refuse it
        public = self._public(key)
        return public, self._step(done, f"key {key}, {public.fingerprint}")

    def _folder(self) -> None:
        self.config.state_dir.mkdir(parents=True, exist_ok=True)
        folder = self.identity.key.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)

    def _generate(self, key: Path) -> None:
        new = key.with_name(f".{key.name}.{os.getpid()}")
        argv = [_KEYGEN, "-q", "-t", "ed25519", "-N", "", "-C", f"skd-cluster:{self.host}", "-f", str(new)]
        try:
            made = run(argv, _PATIENCE)
            if not made.ok:
                raise PairingError(f"no key could be made on {self.host}: {made.last_line}")
            Path(f"{new}.pub").replace(f"{key}.pub")
            new.replace(key)
        finally:
            new.unlink(missing_ok=True)
            Path(f"{new}.pub").unlink(missing_ok=True)

    def _public(self, key: Path) -> PublicKey:
        """Return the public half from the key itself: that it can be read is a proof that ssh can use it."""
        found = run([_KEYGEN, "-y", "-P", "", "-f", str(key)], _PATIENCE)
        words = f"{key} on {self.host} is not an ed25519 key that ssh can use: {found.last_line}"
        unusable = PairingError(f"{words}; run skd-cluster pair --remove, then skd-cluster pair")
        if not found.ok:
            raise unusable
        try:
            return public_key(found.output.decode(errors="replace"), login=True)
        except ValueError as error:
            raise unusable from error

    # --- the peer's host keys ------------------------------------------------------------

    def pin(self, keys: Iterable[PublicKey]) -> Step:
        """Write down the peer's host keys, to be tried."""
        found, place = list(keys), self.identity.known_hosts
        content = known_hosts(str(self.config.remote_ip), self.config.ssh_port, found)
        what = f"host keys of {self.config.remote_ip} in {place}, {', '.join(one.fingerprint for one in found)}"
        if not found:
            raise PairingError(f"{self.config.remote_ip} has no host keys in /etc/ssh: run ssh-keygen -A there")
        old = _read(place)
        if self.dry:
            return self._step(*((Done.UNCHANGED, what) if old == content else (Done.WOULD, f"pin {what}")))
        with self._mending(place):
            if old == content:
                self._staged.unlink(missing_ok=True)
                return self._step(Done.UNCHANGED, what)
            self._folder()
            write_atomic(self._staged, content, mode=0o600)
        return self._step(Done.MADE if old is None else Done.REPLACED, what)

    def activate(self) -> None:
        """Let replication use the key and the pins from now on: both were tried."""
        with self._mending(self.identity.known_hosts), suppress(FileNotFoundError):
            self._staged.replace(self.identity.known_hosts)

    # --- authorized_keys -----------------------------------------------------------------

    def admit(self, key: PublicKey, peer: str) -> Step:
        """Let the peer's key in, for replication only and from the peer's address only."""
        file = Path(self.keys_file)
        try:
            line = permission(key, peer, self.command, str(self.config.remote_ip))
        except ValueError as error:
            raise PairingError(str(error)) from error
        what = f"line for the key of {peer} in {file}: only `{self.command}`, only from {self.config.remote_ip}"
        old = _read(file) or b""
        new = admit(old, line)
        if new == old:
            return self._step(Done.UNCHANGED, what)
        if self.dry:
            return self._step(Done.WOULD, f"put a {what}")
        self._replace_keys(file, new)
        return self._step(Done.REPLACED if expel(old) != old else Done.MADE, what)

    def _replace_keys(self, file: Path, content: bytes) -> None:
        with self._mending(file):
            if not file.parent.exists():
                file.parent.mkdir(mode=0o700)
                self._remember(file.parent)
            if file.exists():
                seen = file.stat()
                owner, mode = (seen.st_uid, seen.st_gid), stat.S_IMODE(seen.st_mode)
            else:
                owner, mode = None, 0o600
                self._remember(file)
            write_atomic(file, content, mode=mode, owner=owner)

    # --- the way back --------------------------------------------------------------------

    def remove(self) -> list[Step]:
        """Undo all of it, and only that."""
        steps = [self._remove_line(Path(self.keys_file))] if self.keys_file else []
        folder = self.identity.key.parent
        names = [self.identity.key.name, self.identity.known_hosts.name]
        for name in names:
            place = folder / name
            there = place.exists()
            if there and self.dry:
                steps.append(self._step(Done.WOULD, f"remove {place}"))
                continue
            steps.append(self._step(Done.REMOVED if there else Done.ABSENT, str(place)))
        if not self.dry:
            with self._mending(folder):
                for name in (*names, f"{names[0]}.pub", self._staged.name, "made"):
                    (folder / name).unlink(missing_ok=True)
                with suppress(OSError):  # not ours alone
                    folder.rmdir()
        return steps

    def withdraw_key(self) -> None:
        """Remove a key that nobody has let in yet."""
        for name in (self.identity.key, self.identity.key.with_name(f"{self.identity.key.name}.pub")):
            name.unlink(missing_ok=True)
        with suppress(OSError):
            self.identity.key.parent.rmdir()

    def _remove_line(self, file: Path) -> Step:
        old = _read(file) or b""
        new = expel(old)
        what = f"line of skd-cluster pair in {file}"
        if new == old:
            return self._step(Done.ABSENT, what)
        if self.dry:
            return self._step(Done.WOULD, f"remove the {what}")
        self.check()
        made = (_read(self._made) or b"").decode(errors="replace").splitlines()
        if new or str(file) not in made:
            self._replace_keys(file, new)
        else:
            with self._mending(file):
                file.unlink()
                if str(file.parent) in made:
                    with suppress(OSError):  # there is something else in it now
                        file.parent.rmdir()
        return self._step(Done.REMOVED, what)

    @property
    def _made(self) -> Path:
        """The list of what was not there before: it goes again when nothing else is in it."""
        return self.identity.key.with_name("made")

    def _remember(self, path: Path) -> None:
        self._folder()
        with self._made.open("a") as file:
            file.write(f"{path}\n")

    # --- words ---------------------------------------------------------------------------

    def _step(self, done: Done, what: str) -> Step:
        return Step(self.host, done, what)

    @contextmanager
    def _mending(self, path: Path) -> Iterator[None]:
        """Turn what the disk refuses into a line that says what to look at."""
        try:
            yield
        except OSError as error:
            place = error.filename or path
            words = f"{place} on {self.host} cannot be changed: {error.strerror or error}"
            hint = f"; immutable? look with lsattr {place}, allow with chattr -i" if error.errno == errno.EPERM else ""
            raise PairingError(words + hint) from error


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT)
    except FileNotFoundError:
        return None
