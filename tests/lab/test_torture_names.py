"""Names of any bytes, and things that are no files: what can travel travels, what cannot is said once and blocks nothing."""

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.lab.replication_pair import PATIENCE, read
from tests.labkit import eventually

pytestmark = pytest.mark.timeout(300)

ODD = [
    b"new\nline",
    b"carriage\rreturn",
    b"tab\tand \x1b[31mred",
    b" a blank before",
    b"a blank behind ",
    b"'single' and \"double\"",
    b"back\\slash",
    b"$(reboot) `reboot` ${HOME} %s {a,b}",
    b"--delete",
    b"-e sh",
    b"*",
    b"[a-z]?",
    b"+ include",
    b"- exclude",
    b"# comment",
    b"; comment",
    b"!",
    b"host:path",
    b"user@host::module",
    b"...",
    b".hidden",
    b"\xff\xfe no utf-8",
    b"caf\xe9 latin",
    b"caf\xc3\xa9 composed",
    b"cafe\xcc\x81 decomposed",
    b"\xed\xb3\xa9 a surrogate in utf-8",
    b"n" * 255,
    b"\xc3\xa9" * 127 + b"n",
]

LARGE = 1 << 20
"""More than this goes by rsync."""


def inside(root: Path, *names: bytes) -> bytes:
    return b"/".join((os.fsencode(root), *names))


def everywhere(root: Path, content: bytes) -> None:
    """Give each odd name to a file, to a folder with a file of that name in it, and to a link that leads to it."""
    for folder in (b"files", b"folders", b"links"):
        os.makedirs(inside(root, folder), exist_ok=True)
    for name in ODD:
        os.makedirs(inside(root, b"folders", name), exist_ok=True)
        for path in (inside(root, b"files", name), inside(root, b"folders", name, name), inside(root, name)):
            with open(path, "wb") as file:
                file.write(content + name)
        link = inside(root, b"links", name)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(b"../files/" + name + content[:1], link)


@pytest.mark.parametrize("padding", [b"s", b"L" * LARGE], ids=["through the session", "by rsync"])
def test_names_of_any_bytes(pair, padding):
    pair.synced()
    top = pair.ours("")
    if len(padding) > 1:
        for name in ODD:  # alone in its folder, directly below the root, in a batch of its own
            with open(inside(top, name), "wb") as file:
                file.write(padding)
        pair.equal()
        padding = b"R"
    everywhere(top, padding)  # more than 64 files: by rsync as well
    pair.equal()
    for name in ODD[::3]:
        with open(inside(top, b"files", name), "ab") as file:
            file.write(b" changed")
        os.rename(inside(top, b"folders", name), inside(top, b"folders", b"_" + name[:254]))
        os.unlink(inside(top, name))
    pair.equal()
    for name in ODD[1::3]:
        os.unlink(inside(top, b"folders", name, name))
        os.rmdir(inside(top, b"folders", name))
    pair.equal()
    log = pair.peer.path("/var/log/skdinotify.log").read_bytes()
    assert all(line.startswith(b"20") for line in log.splitlines()), "a name with a newline made a line of its own"


def test_two_spellings_of_one_letter_are_two_files(pair):
    pair.synced()
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    pair.ours(composed).write_text("one letter")
    pair.ours(decomposed).write_text("a letter and its accent")
    pair.arrived(composed, "one letter")
    pair.arrived(decomposed, "a letter and its accent")
    pair.ours(composed).unlink()
    pair.arrived(composed, None)
    assert read(pair.there(decomposed)) == "a letter and its accent"
    pair.equal()


def test_sockets_pipes_and_devices_are_named_once_and_nothing_waits_for_them(pair):
    special = pair.ours("special")
    special.mkdir()
    os.mkfifo(special / "pipe")
    os.mkfifo(pair.ours("a pipe\nwith two lines"))
    os.mknod(special / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: who reads it never ends
    os.mknod(special / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 99))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(special / "socket"))
    pair.start()
    pair.in_sync()
    for number in range(3):
        (special / "file").write_text(f"beside them {number}")
        pair.arrived("special/file", f"beside them {number}")
    os.unlink(special / "file")
    os.mkfifo(special / "file")  # what was a file there is none any more
    pair.arrived("special/file", None)
    pair.in_sync()
    assert sorted(one.name for one in pair.there("special").iterdir()) == []
    log = pair.master.path("/var/log/skdinotify.log").read_text()
    for name in ("pipe", "device", "disk", "socket", "file"):
        assert log.count(f"special/{name} is no file, folder or link: not replicated") == 1, name
    assert log.count("a pipe\\nwith two lines is no file") == 1


def test_pipes_and_devices_on_the_peer_in_the_place_of_files_and_folders_give_way(pair):
    pair.synced()
    for name in ("pipe", "device", "socket", "folder"):
        os.makedirs(pair.there("special"), exist_ok=True)
        make_special(pair.there(f"special/{name}"), name)
    pair.ours("special/folder").mkdir(parents=True)
    pair.ours("special/folder/in").write_text("in it")
    for name in ("pipe", "device", "socket"):
        pair.ours(f"special/{name}").write_text(f"a file instead of a {name}")
    for name in ("pipe", "device", "socket"):
        pair.arrived(f"special/{name}", f"a file instead of a {name}")
    pair.arrived("special/folder/in", "in it")
    make_special(pair.there("special/folder/pipe"), "pipe")
    make_special(pair.there("special/folder/device"), "device")
    (pair.ours("special/folder/in")).unlink()
    pair.ours("special/folder").rmdir()
    pair.ours("special/folder").write_text("a file instead of a folder with a pipe in it")
    pair.arrived("special/folder", "a file instead of a folder with a pipe in it")
    pair.equal()


def make_special(path: Path, what: str) -> None:
    if what == "device":
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        os.mkfifo(path)


def test_of_a_hard_link_both_names_get_what_was_written_through_one(pair):
    pair.synced()
    pair.ours("one").write_text("same inode")
    pair.ours("far/away").mkdir(parents=True)
    for name in ("other", "far/away/third"):
        pair.ours(name).hardlink_to(pair.ours("one"))
    pair.arrived("far/away/third", "same inode")
    with pair.ours("other").open("a") as file:
        file.write(", written through another name")
    for name in ("one", "other", "far/away/third"):
        pair.arrived(name, "same inode, written through another name")
    pair.ours("one").chmod(0o600)
    eventually(
        lambda: pair.there("far/away/third").stat().st_mode & 0o777 == 0o600,
        within=PATIENCE,
        what="the mode, by all names",
    )
    pair.ours("one").unlink()
    pair.arrived("one", None)
    pair.equal()


def test_links_travel_as_they_are_wherever_they_lead(pair):
    pair.synced()
    targets = {
        "out": "/etc/passwd",
        "folder": "/etc",
        "dangling": "/nowhere/at/all",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "up": "../../..",
        "long": "x/" * 2000,
        "device": "/dev/zero",
    }
    for name, target in targets.items():
        if target:
            pair.ours(name).symlink_to(target)
    os.lchown(pair.ours("dangling"), 33, 33)
    pair.equal()
    for name, target in targets.items():
        assert not target or os.readlink(pair.there(name)) == target
    before = pair.peer.path("/etc/passwd").read_bytes()
    pair.ours("out").unlink()
    pair.ours("out").write_text("a file now")
    pair.ours("folder").unlink()
    pair.ours("folder").mkdir()
    pair.ours("folder/passwd").write_text("in a folder now")
    pair.arrived("out", "a file now")
    pair.arrived("folder/passwd", "in a folder now")
    pair.ours("folder/passwd").unlink()
    pair.ours("folder").rmdir()
    pair.ours("folder").symlink_to("/etc")
    pair.equal()
    assert pair.peer.path("/etc/passwd").read_bytes() == before
