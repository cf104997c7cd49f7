"""Pairing two nodes: from the one on which it was typed, and from the other one, which `pair --accept` runs on."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import skd_cluster
from skd_cluster.adapters import sshd
from skd_cluster.adapters.command import CannotStartError
from skd_cluster.adapters.login import Login, probe
from skd_cluster.adapters.netlink import open_netlink
from skd_cluster.adapters.pairing import Half
from skd_cluster.adapters.ssh import paired
from skd_cluster.config.load import DEFAULT_PATH
from skd_cluster.config.schema import Config
from skd_cluster.core.authorized import PublicKey, plain_name, public_key
from skd_cluster.core.pairing import Answer, Done, Outcome, PairingError, Request, Stage, Step, View, mismatches
from skd_cluster.core.sshd import SshdSettings, keys_file, obstacles

_NAME = "skd-cluster"
_NO_KEY = PublicKey("", "")


def view_of(config: Config, config_path: Path) -> View:
    """Return this node as its configuration has it."""
    return View(
        plain_name(os.uname().nodename),
        skd_cluster.__version__,
        str(config_path),
        str(config.local_ip),
        str(config.remote_ip),
        config.cluster_id,
        str(config.ssh_key or ""),
    )


def look_back(config: Config) -> str:
    """Return "" if this node's own key works towards the peer, else why not."""
    identity = paired(config)
    if identity is None:
        return "that node has no pairing of its own"
    try:
        probe(config, identity)
    except PairingError as error:
        return str(error)
    return ""


def _program() -> str:
    """Return the installed program as it was called: a link in /usr/bin outlives what it leads to."""
    called = Path(sys.argv[0])
    if called.name == _NAME and called.is_absolute():
        return str(called)
    found = shutil.which(_NAME)
    if found is None:
        raise PairingError("skd-cluster is not among the commands: link it into /usr/bin")
    return found


def _half(config: Config, config_path: Path, settings: SshdSettings, *, dry: bool) -> Half:
    words = [_program(), "receive", "--restricted"]
    if config_path != DEFAULT_PATH:
        words += ["--config", str(config_path.absolute())]
    file = keys_file(settings, str(Path("~root").expanduser()))
    return Half(config, plain_name(os.uname().nodename), file, shlex.join(words), dry)


def _address(config: Config, host: str) -> list[Step]:
    """Return a warning if this node has not the address its peer lets in."""
    netlink = open_netlink()
    try:
        here = any(seen.address == config.local_ip for seen in netlink.addresses())
    finally:
        netlink.close()
    words = f"$local_ip={config.local_ip} is not on this host: it cannot log in from there"
    return [] if here else [Step(host, Done.WARNING, words)]


def _try(half: Half, peer: str) -> Step:
    """Log in with the pair's key alone; if that works, replication does so from now on."""
    way = f"{half.host} -> {peer}"
    try:
        probe(half.config, half.trial)
    except PairingError as error:
        return Step(way, Done.FAILED, str(error))
    half.activate()
    return Step(way, Done.WORKS, "login with the pair's key alone, host key as pinned")


# --- the node on which it was typed --------------------------------------------------------


@dataclass(slots=True)
class Pairing:
    """One run of `skd-cluster pair`. `attended`: a person sits at the terminal; `dry`: change nothing."""

    config: Config
    config_path: Path
    attended: bool = False
    dry: bool = False
    _steps: list[Step] = field(default_factory=list)
    _settings: SshdSettings = field(default_factory=SshdSettings)

    def pair(self) -> Outcome:
        """Make both halves, or find them made; try both directions."""
        return self._told(self._pair)

    def remove(self) -> Outcome:
        """Undo both halves; if the peer cannot be asked, this one, and say what is left."""
        return self._told(self._remove)

    def _told(self, work: Callable[[Half, Login], Outcome]) -> Outcome:
        login = Login(self.config, self.config_path, self.attended)
        try:
            self._settings = sshd.settings_for(self.config)
            half = _half(self.config, self.config_path, self._settings, dry=self.dry)
            self._steps += _address(self.config, half.host)
            return work(half, login)
        except (PairingError, ValueError, CannotStartError) as error:
            return Outcome(ok=False, text=str(error), steps=self._steps)
        finally:
            login.close()

    def _request(self, stage: Stage, key: PublicKey = _NO_KEY) -> Request:
        host_keys = [str(one) for one in sshd.host_keys(self._settings)]
        return Request(stage, view_of(self.config, self.config_path), str(key).strip(), host_keys, self.dry)

    def _pair(self, half: Half, login: Login) -> Outcome:
        if self.config.ssh_key is not None:
            ours = view_of(self.config, self.config_path)
            raise PairingError(mismatches(ours, ours)[-1])
        half.check()
        if self._already(half):
            return Outcome(ok=True, text="paired already: nothing was changed", steps=self._steps)
        login.open()
        answer = self._offer(half, login)
        peer = str(self.config.remote_ip) if answer.view is None else answer.view.host
        self._steps += answer.steps
        self._steps.append(half.pin(public_key(one) for one in answer.host_keys))
        self._steps.append(half.admit(public_key(answer.key, login=True) if answer.key else _NO_KEY, peer))
        if self.dry:
            return Outcome(ok=True, text="nothing was changed", steps=self._steps)
        there = _try(half, peer)
        back = login.ask(self._request(Stage.FINISH))
        self._steps += [there, *back.steps]
        found = [] if there.done is Done.WORKS else [f"sshd of {peer} has {one}" for one in answer.obstacles]
        found += [] if back.ok else [f"sshd of {half.host} has {one}" for one in obstacles(self._settings)]
        self._steps += [Step(half.host, Done.WARNING, one) for one in found]
        ok = back.ok and there.done is Done.WORKS
        text = f"paired: {half.host} and {peer} replicate with keys of their own"
        failed = "not every direction works: mend what is said above, then run skd-cluster pair again"
        return Outcome(ok, text if ok else failed, self._steps)

    def _already(self, half: Half) -> bool:
        """Find out without any other login whether all is done; then report it."""
        identity = paired(self.config)
        if identity is None:
            return False
        try:
            echo = probe(self.config, identity, back=True)
        except PairingError:
            return False
        if echo.back != "" or mismatches(view_of(self.config, self.config_path), echo.view):
            return False
        _, step = half.make_key()
        self._steps += [
            step,
            Step(half.host, Done.UNCHANGED, f"host keys of {self.config.remote_ip} in {identity.known_hosts}"),
            Step(f"{half.host} -> {echo.view.host}", Done.WORKS, "login with the pair's key alone, host key as pinned"),
            Step(f"{echo.view.host} -> {half.host}", Done.WORKS, "login with the pair's key alone, host key as pinned"),
        ]
        return True

    def _offer(self, half: Half, login: Login) -> Answer:
        """Give the peer our key; return its answer. Nothing is left here if it does not want it."""
        new = not half.identity.key.exists()
        key, step = half.make_key()
        answer = Answer(ok=False)
        try:
            answer = login.ask(self._request(Stage.OFFER, key))
        finally:
            if new and not answer.ok and not self.dry:
                half.withdraw_key()
        if not answer.ok:
            raise PairingError(answer.text)
        self._steps.append(step)
        return answer

    def _remove(self, half: Half, login: Login) -> Outcome:
        trouble = ""
        try:
            login.open()
            answer = login.ask(self._request(Stage.REMOVE))
            self._steps += answer.steps
            trouble = "" if answer.ok else answer.text
        except PairingError as error:
            trouble = str(error)
        self._steps += half.remove()
        if not trouble:
            done = any(one.done is Done.REMOVED for one in self._steps)
            text = "the pairing was removed from both nodes" if done else "nothing was removed: nothing was there"
            return Outcome(ok=True, text="nothing was changed" if self.dry else text, steps=self._steps)
        left = f"the line that ends in skd-cluster:{half.host} in root's authorized_keys, and state_dir/ssh"
        self._steps.append(Step(str(self.config.remote_ip), Done.LEFT, left))
        text = f"removed on this node only; run skd-cluster pair --remove on {self.config.remote_ip} too: {trouble}"
        return Outcome(ok=False, text=text, steps=self._steps)


# --- the other node ------------------------------------------------------------------------


def accept(config: Config, config_path: Path, request: Request) -> Answer:
    """Do one stage here for the node that was let in as root."""
    ours, settings = view_of(config, config_path), sshd.settings_for(config)
    steps: list[Step] = []
    try:
        half = _half(config, config_path, settings, dry=request.dry)
        match request.stage:
            case Stage.OFFER:
                return _accept_offer(half, ours, request, settings, steps)
            case Stage.FINISH:
                found = _try(half, request.view.host)
                return Answer(found.done is Done.WORKS, found.what, ours, steps=[found])
            case Stage.REMOVE:
                return Answer(ok=True, view=ours, steps=half.remove())
    except (PairingError, ValueError, CannotStartError) as error:
        return Answer(ok=False, text=str(error), view=ours, steps=steps)


def _accept_offer(half: Half, ours: View, request: Request, settings: SshdSettings, steps: list[Step]) -> Answer:
    """Let their key in, make ours, pin their host keys; nothing of it if the two are no pair."""
    found = mismatches(request.view, ours)
    if found:
        raise PairingError("the configurations are not those of a pair: " + "; ".join(found))
    half.check()
    theirs = _NO_KEY if request.dry and not request.key else public_key(request.key, login=True)
    pins = [public_key(one) for one in request.host_keys]
    steps += _address(half.config, half.host)
    steps.append(half.admit(theirs, request.view.host))
    key, step = half.make_key()
    steps += [step, half.pin(pins)]
    host_keys = [str(one) for one in sshd.host_keys(settings)]
    return Answer(True, "", ours, str(key).strip(), host_keys, steps, obstacles(settings))
