"""A peer whose `skd-cluster receive` is killed where the test wants it, and what must hold there afterwards.

No ssh: frames go over pipes, so that a run takes a fraction of a second and hundreds of them are possible. The kill is
strace's: SIGKILL at the entry of a system call, which is then not done.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skd_cluster.adapters.tree import Tree, read_file
from skd_cluster.core.manifest import compare, digest, pack_manifest, unpack_manifest
from skd_cluster.core.scope import Scope
from skd_cluster.core.session import PROTOCOL, Ask, Begin, Commit, Confirm, Decoder, Hello, Message, encode, packs
from tests.labkit import CLUSTER_CONF, CONFIG_TREE, Node, eventually
from tests.labkit.machine import CLEAN_ENVIRONMENT, NAMESPACES

DRIVER = Path(__file__).with_name("replication_driver.py")
FACTS = "/run/facts.json"
MASTER = "/usr/local/skudonet/master"

CHANGING = (
    "openat,creat,write,pwrite64,writev,sendfile,copy_file_range,truncate,ftruncate,fallocate,rename,renameat,renameat2,"
    "link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,"
    "lchown,fchownat,utimensat,setxattr,fsetxattr,lsetxattr,fsync,syncfs"
)
"""System calls after which a disk is not as before. Between two of them nothing happens that a kill could spoil."""

_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)")


@dataclass(frozen=True)
class Shape:
    """One path as it is found: `what` is a file's content or a link's target."""

    kind: str
    what: bytes
    mode: int
    uid: int
    gid: int


def shapes(root: Path) -> dict[str, Shape]:
    """Return all below a folder, and the folder itself as an empty name; what is no folder is itself only."""
    found = {"": shape(root)}
    for folder, folders, files in os.walk(root):
        for path in (Path(folder) / name for name in (*folders, *files)):
            found[str(path.relative_to(root))] = shape(path)
    return found


def shape(path: Path) -> Shape:
    seen = path.lstat()
    kind, what = stat.filemode(seen.st_mode)[0], b""
    if kind == "l":
        what = os.fsencode(path.readlink())
    elif kind == "-":
        what = path.read_bytes()
    return Shape(kind, what, 0 if kind == "l" else stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)


class Site:
    """The peer. `before` and `after` are its tree and routing tables without and with the batch."""

    def __init__(self, node: Node, *, state: str, tables: str) -> None:
        self.node, self.state, self.tables = node, state, tables
        node.write_config(state_dir=state, rttables=tables, remote_ip="10.77.0.9")
        node.write(FACTS, json.dumps({"ok": True, "role": "backup", "epoch": 1}))
        self.service = node.popen(["/usr/bin/python3", DRIVER, "peer", "/run/skd-cluster", FACTS], output="/run/said")
        eventually(lambda: "listening" in node.path("/run/said").read_text(), what="the service answers")
        roots = {"config": f"{node.path(MASTER)}/config", "rt_tables": f"{node.path(MASTER)}/rt_tables"}
        self.master = Tree(roots, Scope.of(["if_eth0_conf"]))
        self.before: dict[str, Shape] = {}
        self.after: dict[str, Shape] = {}
        self.died = False

    # --- the trees -----------------------------------------------------------------------

    @property
    def places(self) -> dict[str, Path]:
        return {"config": self.node.path(CONFIG_TREE), "rt_tables": self.node.path(self.tables)}

    def seen(self) -> dict[str, Shape]:
        """Return what is there now, by key; temporary names aside."""
        found = {}
        for key, place in self.places.items():
            found |= {f"{key}/{name}".rstrip("/"): one for name, one in shapes(place).items() if ".skd-" not in name}
        return found

    def temporary(self) -> list[str]:
        """Return the names the receiver made for a moment that still are in the tree, or beside its single files."""
        folders = [self.places["config"], self.places["rt_tables"].parent]
        return [str(one) for folder in folders for one in folder.rglob(".skd-*") if one.name != ".skd-staging"]

    def keep(self) -> None:
        """Take the tree as it is now for the one before the batch."""
        self.node.run(f"rm -rf /run/before && mkdir /run/before && cp -a {CONFIG_TREE} /run/before/config")
        self.node.run(f"cp -a {self.tables} /run/before/rt_tables")
        self.before = self.seen()

    def restore(self) -> None:
        """Undo everything."""
        wipe = f"rm -rf {self.state} {CONFIG_TREE} {self.tables} /usr/local/skudonet/.skd-staging"
        beside = f"find {Path(self.tables).parent} -maxdepth 1 -name '.skd-*' -delete"
        back = f"cp -a /run/before/config {CONFIG_TREE} && cp -a /run/before/rt_tables {self.tables}"
        self.node.run(f"{wipe} && {beside} && {back}")

    # --- a session -----------------------------------------------------------------------

    def push(self, prefix: tuple[str, ...] = ()) -> tuple[Message | None, list[str]]:
        """Send the batch; return the last answer (None: it died) and the temporary names after the hello."""
        session = Session(self.node, prefix)
        try:
            return self._push(session)
        finally:
            self.died = session.close() != 0

    def _push(self, session: "Session") -> tuple[Message | None, list[str]]:
        if session.ask(Hello(PROTOCOL, "3.0.0", 1)) is None:
            return None, []
        left = self.temporary()
        held = session.ask(Ask())
        if held is None:
            return None, left
        ours = self.master.scan().manifest
        theirs = unpack_manifest(held.entries)
        plan = compare(ours, theirs)
        contents = [(key, plan.entries[key].packed(), read_file(self.master.path(key))) for key in plan.fetch]
        session.say(Begin(1), *packs(contents))
        rest = {key: entry for key, entry in plan.entries.items() if key not in plan.fetch}
        found = digest(plan.applied(theirs))
        commit = Commit(1, 1, 1, found, pack_manifest(rest), [], list(plan.delete))
        answer = session.ask(commit, skip=1)
        if isinstance(answer, Confirm):
            assert answer.digest == found
        return answer, left

    def calls(self) -> list[tuple[str, int, str]]:
        """Run the batch to its end, and return the system calls that change something, each with its number."""
        log = self.node.path("/run/strace")
        answer, _ = self.push(("strace", "-f", "-qq", "-o", "/run/strace", "-e", f"trace={CHANGING}"))
        assert isinstance(answer, Confirm), answer
        self.after = self.seen()
        return list(_changing(log.read_text(errors="replace").splitlines()))

    def kill_at(self, call: str, number: int) -> bool:
        """Send the batch to a receiver that is killed at the entry of its so-manieth call of this name; False if not."""
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        filters = ("-e", f"trace={call}", "-e", inject)
        self.push(("strace", "-f", "-qq", "-o", "/dev/null", *filters))
        return self.died

    # --- what must hold ------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """Return what is neither old nor new, or more open than both, or lost."""
        now = self.seen()
        found = [f"{key!r} came from nowhere" for key in now.keys() - self.before.keys() - self.after.keys()]
        for key in self.before.keys() | self.after.keys():
            old, new, is_now = self.before.get(key), self.after.get(key), now.get(key)
            if not _either(key, old, new, is_now, self.after):
                found.append(f"{key!r} is {is_now}, was {old}, becomes {new}")
        return found + self._lost(now) + self._illegible()

    def _lost(self, now: dict[str, Shape]) -> list[str]:
        """Return the old files that are neither in the tree nor in the history."""
        kept = list(self.node.path(self.state).glob("history/*/tree"))
        found = []
        for key, old in self.before.items():
            if old.kind == "d" or (key in now and (now[key].kind, now[key].what) == (old.kind, old.what)):
                continue
            copies = [shape(one / key) for one in kept if os.path.lexists(one / key)]
            if not any((one.kind, one.what) == (old.kind, old.what) for one in copies):
                found.append(f"{key!r} is gone; the history has {copies}")
        return found

    def _illegible(self) -> list[str]:
        found = []
        for path in self.node.path(self.state).glob("history/*/about.json"):
            try:
                json.loads(path.read_text())
            except ValueError as error:
                found.append(f"{path}: {error}")
        return found

    def untold(self) -> list[str]:
        """Return what the history does not tell of the state before the batch, now that it is through."""
        told: dict[str, list[int]] = {}
        made: set[str] = set()
        for path in sorted(self.node.path(self.state).glob("history/*/about.json")):
            about = json.loads(path.read_text())
            told = about["before"] | told
            made |= set(about["made"])
        found = []
        for key in self.before.keys() | self.after.keys():
            old, new = self.before.get(key), self.after.get(key)
            if old is None and key not in made:
                found.append(f"{key!r} was made, and the history does not say so")
            if old is not None and old != new and _named(key, self.after):
                mode, *owner = told.get(key, [0])
                if [stat.S_IMODE(mode) if old.kind != "l" else 0, *owner] != [old.mode, old.uid, old.gid]:
                    found.append(f"{key!r} was {old}, and the history says {told.get(key)}")
        return found


def _named(key: str, after: dict[str, Shape]) -> bool:
    """Return whether a path is told of by itself, and not by the folder it went with."""
    above = key.rpartition("/")[0]
    return not above or ((above not in after or after[above].kind == "d") and _named(above, after))


def _either(key: str, old: Shape | None, new: Shape | None, now: Shape | None, after: dict[str, Shape]) -> bool:
    """Return whether a path may be like this in the middle of a batch."""
    if now in (old, new):
        return True
    if now is None:  # not at one stroke: a folder where a file was, and what was in a folder that is a file now
        return old is not None and (new is None or old.kind != new.kind)
    if now.kind == "d" and new is not None and new.kind == "d":
        return now.mode in (0o700, *(one.mode for one in (old, new) if one))
    if old is None or new is None or (old.kind, old.what) != (new.kind, new.what):
        return False  # a content comes and goes with all its attributes
    if (now.kind, now.what) != (old.kind, old.what) or now.mode not in (old.mode, new.mode, old.mode & new.mode):
        return False  # the content is the same: only attributes change, one after the other
    # Whoever owns it may do no more with it than when it was, or will be, his.
    return any((now.uid, now.gid) == (one.uid, one.gid) and now.mode & ~one.mode == 0 for one in (old, new))


def _changing(lines: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yield the receiver's own; strace counts those of a child (ctypes asks ldconfig for the C library) apart."""
    counts: dict[str, int] = {}
    receiver = lines[0].split()[0]
    for line in lines:
        match = _CALL.match(line)
        if match is None or line.split()[0] != receiver:
            continue
        name, rest = match.groups()
        counts[name] = counts.get(name, 0) + 1
        if name != "openat" or "O_CREAT" in rest or "O_TRUNC" in rest:
            yield name, counts[name], line


class Session:
    """`skd-cluster receive` on a node, behind pipes."""

    def __init__(self, node: Node, prefix: tuple[str, ...] = ()) -> None:
        into = ["nsenter", "--target", str(node.pid), *(f"--{name}" for name in NAMESPACES), "--wd=/", "--"]
        program = ["/usr/local/bin/skd-cluster", "receive", "--config", CLUSTER_CONF]
        self._process = subprocess.Popen(
            [*into, *prefix, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=CLEAN_ENVIRONMENT,
            start_new_session=True,
        )
        self._decoder = Decoder()
        self._heard: list[Message] = []

    def close(self) -> int:
        """Hang up and return how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return self._process.wait(20)

    def say(self, *messages: Message) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"".join(map(encode, messages)))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def ask(self, message: Message, skip: int = 0) -> Message | None:
        """Say something and return the answer, or the one after so many; None if it is dead."""
        assert self._process.stdout is not None
        self.say(message)
        while len(self._heard) <= skip:
            data = os.read(self._process.stdout.fileno(), 1 << 18)
            if not data:
                return None
            self._heard += self._decoder.feed(data)
        answer = self._heard[skip]
        del self._heard[: skip + 1]
        return answer


def fill(node: Node, tables: str) -> None:
    """Make the two trees of the torture: every kind of change is between them."""
    for root, which in ((node.path(MASTER) / "config", 1), (node.path(CONFIG_TREE), 0)):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        for name, texts in _FILES.items():
            if texts[which] is None:
                continue
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if texts[which].startswith("-> "):
                path.symlink_to(texts[which].removeprefix("-> "))
            else:
                path.write_text(texts[which])
                path.chmod(0o644)
        for name, attributes in _ATTRIBUTES.items():
            if (root / name).exists():
                mode, owner = attributes[which]
                os.chown(root / name, owner, owner)
                (root / name).chmod(mode)
    node.write(tables, "255 local\n100\tuplink\n")
    node.write(f"{MASTER}/rt_tables", "255 local\n100\tuplink\n150\tbackup-uplink\n")


_FILES: dict[str, tuple[str | None, str | None]] = {
    "farm.cfg": ("old farm", "new farm, longer than the old one"),
    "same.cfg": ("same", "same"),
    "new.cfg": (None, "entirely new"),
    "gone.cfg": ("to be deleted", None),
    "gone.d/one": ("one", None),
    "gone.d/two": ("two", None),
    "gone.d/sub/three": ("three", None),
    "fresh/one": (None, "1"),
    "fresh/sub/two": (None, "2"),
    "certificates/site.key": ("old secret", "new secret"),
    "certificates/tighter.key": ("secret", "secret"),
    "certificates/given.key": ("secret of one", "secret of one"),
    "certificates/new.key": (None, "new secret of its own"),
    "looser.txt": ("text", "text"),
    "run.sh": ("#!/bin/sh\n", "#!/bin/sh\n# new\n"),
    "link": ("-> farm.cfg", "-> new.cfg"),
    "tied": ("a file that becomes a link", "-> nowhere"),
    "untied": ("-> nowhere", "a link that becomes a file"),
    "flip": ("a file that becomes a folder", None),
    "flip/inside": (None, "in the folder"),
    "flop": (None, "a folder that becomes a file"),
    "flop/inside": ("in the folder", None),
    "flop/deep/inside": ("deep in the folder", None),
    "global.conf": ('$a="1";\n$defaultgw="10.0.0.1";\n', '$a="2";\n$defaultgw="10.0.0.9";\n'),
    "if_eth0_conf": ("of the peer", "of the master"),
}
"""By name: what the peer has before, what the master has."""

_ATTRIBUTES = {
    "certificates/site.key": ((0o600, 0), (0o400, 0)),
    "certificates/tighter.key": ((0o644, 0), (0o600, 0)),
    "certificates/given.key": ((0o640, 0), (0o440, 33)),
    "certificates/new.key": ((0, 0), (0o600, 0)),
    "looser.txt": ((0o600, 0), (0o644, 0)),
    "run.sh": ((0o700, 33), (0o755, 0)),
    "fresh/sub": ((0, 0), (0o750, 33)),
    "certificates": ((0o700, 0), (0o750, 33)),
}
"""Mode and owner, before and after."""
