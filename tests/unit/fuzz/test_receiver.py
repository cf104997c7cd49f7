"""A peer that says anything at all: the receiver answers in words, and nothing beside its own places is touched."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.adapters.fence import Fence
from skd_cluster.config.load import load
from skd_cluster.config.schema import Config
from skd_cluster.core import session
from skd_cluster.core.manifest import Entry, Kind, pack_manifest
from skd_cluster.core.model import Role
from skd_cluster.processes.receiver import Receiver
from tests.unit.fuzz.test_decoders import SESSION

OUTSIDE = "outside the tree"
MADE = {
    "config/a": Entry(Kind.FILE, 0o644, 0, 0, hashlib.sha256(b"new").hexdigest(), 3, 1_700_000_000_000_000_000),
    "config/folder": Entry(Kind.FOLDER, 0o750, 0, 0),
    "config/folder/link": Entry(Kind.LINK, 0o777, 0, 0, "../a"),
}
"""What can be applied as it is: recorded commits are of contents that were recorded in part only."""

BATCH = (
    session.Put("config/a", b"new"),
    session.Commit(9, 9, 9, "0" * 64, pack_manifest(MADE), ["config/a"], ["config/b", "config/gone"]),
    session.Restore("1@lb2", pack_manifest(MADE), ["config/a"], ["config/b"]),
)
QUESTIONS = (session.Recall(1, "config/b"), session.AskKept(1), session.About(1), session.Get("config/b"))
SEEDS = [
    json.loads(frame[8 : 8 + int.from_bytes(frame[:4])])
    for frame in (*SESSION, *(session.encode(one) for one in (*BATCH, *QUESTIONS)))
]
TEXTS = (
    *(
        "",
        ".",
        "..",
        "/",
        "config",
        "config/",
        "config//a",
        "config/a/b",
        "config/folder",
        "config/local/x",
        "rt_tables",
    ),
    *("config/../../outside", "config/link/x", "../outside", "/etc/passwd", "config/\0", "config/\ud800", "x" * 300),
    *("f", "d", "l", "..\n", "config/" + "d/" * 3000),
)
NUMBERS = (0, 1, -1, 7, 0o4755, 1 << 16, (1 << 32) - 1, 1 << 32, 1 << 63, -(1 << 63) - 1, 1 << 64, 1e308, float("inf"))
ODD = (None, True, [], {}, [[]], {"": 0}, float("nan"), *TEXTS, *NUMBERS)


@st.composite
def bent(draw: st.DrawFn, found: Any) -> Any:
    """The same value with something else at one place in it."""
    deeper = bool(found) and isinstance(found, dict | list) and draw(st.integers(0, 5)) > 0
    if not deeper:
        return draw(st.sampled_from(ODD))
    if isinstance(found, list):
        at = draw(st.integers(0, len(found) - 1))
        return [*found[:at], draw(bent(found[at])), *found[at + 1 :]]
    key = draw(st.sampled_from(sorted(found)))
    if draw(st.integers(0, 5)) == 0:  # under another name
        return {draw(st.sampled_from(TEXTS)) if name == key else name: one for name, one in found.items()}
    return {**found, key: draw(bent(found[key]))}


@st.composite
def said(draw: st.DrawFn) -> bytes:
    """A frame that decodes more often than not."""
    found = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(found)))
        found = {**found, name: draw(bent(found[name]))} if name != "kind" else found
    header = json.dumps(found).encode()
    body = draw(st.sampled_from((b"", b"new", b"x" * 5000)))
    return len(header).to_bytes(4) + len(body).to_bytes(4) + header + body


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


def fresh(folder: Path) -> Config:
    """Make a node with a small tree, and beside it what is none of its business."""
    shutil.rmtree(folder)
    (folder / "config/folder").mkdir(parents=True)
    for name in ("a", "b", "folder/c"):
        (folder / "config" / name).write_text(f"old {name}")
    (folder / "config/link").symlink_to("../outside")
    (folder / "outside").mkdir()
    (folder / "outside/file").write_text(OUTSIDE)
    kept = folder / "state/history/0000000001"
    (kept / "tree/config").mkdir(parents=True)
    (kept / "tree/config/b").write_text("older b")
    (kept / "about.json").write_text('{"epoch": 1, "before": {"config/b": [33188, 0, 0]}, "made": [], "deleted": []}')
    places = {
        "configdir": "config",
        "rttables": "rt_tables",
        "zeninolog": "log",
        "state_dir": "state",
        "run_dir": "run",
    }
    conf = folder / "cluster.conf"
    conf.write_text(
        '$interface="eth0";$local_ip="10.0.0.2";$remote_ip="10.0.0.1";$password="x";$cluster_id="1";'
        '$cluster_ip="10.0.0.3/24";' + "".join(f'${key}="{folder}/{name}";' for key, name in places.items())
    )
    conf.chmod(0o600)
    return load(conf).require()


@given(frames=st.lists(said(), min_size=1, max_size=4), role=st.sampled_from((Role.BACKUP, Role.MASTER)))
def test_a_peer_that_says_anything(place: Path, frames: list[bytes], role: Role) -> None:
    receiver = Receiver(fresh(place), lambda: Fence(role, 1), lambda _facts: None)
    receiver.answer(session.Open() if role is Role.MASTER else session.Begin(9))
    try:
        for frame in frames:
            with suppress(session.ProtocolError):
                for message in session.Decoder().feed(frame):
                    answer = receiver.answer(message)
                    assert answer is None or session.encode(answer)
                    receiver.settle()
    finally:
        receiver.close()

    assert [one.name for one in (place / "outside").iterdir()] == ["file"]
    assert (place / "outside/file").read_text() == OUTSIDE
    assert {one.name for one in place.iterdir()} <= {"config", "outside", "state", "rt_tables", "log", "cluster.conf"}
