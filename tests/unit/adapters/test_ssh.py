"""What ssh and rsync are called with: nothing of it passes through a shell here."""

import os
import select
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.rsync import jobs, kept_arguments, remote_shell, transfer
from skd_cluster.adapters.ssh import Session, session_argv, tried_by_hand
from skd_cluster.adapters.tree import Tree
from skd_cluster.config.load import load
from skd_cluster.core.model import nanos
from skd_cluster.core.scope import Scope
from skd_cluster.core.session import PROTOCOL, Hello, encode

CONTROL = Path("/run/skd-cluster/ssh-1-1")


def config(tmp_path, more=""):
    conf = tmp_path / "cluster.conf"
    conf.write_text(
        '$interface="eth0";$local_ip="10.0.0.2";$remote_ip="10.0.0.1";$password="x";$cluster_id="1";'
        f'$cluster_ip="10.0.0.3/24";{more}'
    )
    conf.chmod(0o600)
    return load(conf).require()


def values(argv):
    return [word for option, word in pairwise(argv) if option == "-o"]


def test_the_session(tmp_path):
    argv = session_argv(config(tmp_path), CONTROL, Path("/etc/odd name;rm.conf"))
    assert argv[0] == "ssh"
    assert argv[-2] == "root@10.0.0.1"
    assert shlex.split(argv[-1]) == ["skd-cluster", "receive", "--config", "/etc/odd name;rm.conf"]
    assert "-p" not in argv
    assert {"BatchMode=yes", "ConnectTimeout=5", "ServerAliveInterval=2", "ServerAliveCountMax=3", "ControlMaster=yes",
            f"ControlPath={CONTROL}", "ControlPersist=no"} <= set(values(argv))  # fmt: skip


def test_the_administrator_s_words(tmp_path):
    known = config(
        tmp_path, '$ssh_key="/root/.ssh/pair";$ssh_port="2222";$ssh_options="-o ConnectTimeout=1 -o Compression=yes";'
    )
    argv = session_argv(known, CONTROL, Path("/c"))
    words = values(argv)
    assert words.index("ConnectTimeout=1") < words.index("ConnectTimeout=5"), "the first one counts"
    assert words.index("BatchMode=yes") < words.index("ConnectTimeout=1")
    assert {"IdentityFile=/root/.ssh/pair", "IdentitiesOnly=yes", "Compression=yes"} <= set(words)
    assert argv[argv.index("-p") + 1] == "2222"
    assert tried_by_hand(known) == "ssh -p 2222 -i /root/.ssh/pair root@10.0.0.1 true"


def test_rsync_goes_through_the_same_connection(tmp_path):
    known = config(tmp_path, '$ssh_options="-o ConnectTimeout=1";')
    words = remote_shell(known, Path("/run/odd 'name'/ssh")).split(" -o ")
    assert words[0] == "ssh"
    assert "ControlMaster=no" in words
    assert "'ControlPath=/run/odd ''name''/ssh'" in words


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["-az", "--delete"], ["-z"]),
        (["-a", "--bwlimit=100", "--delete-excluded", "--chmod=F777"], ["--bwlimit=100"]),
        (["--compress-level=9", "--existing", "--max-size=1"], ["--compress-level=9"]),
        ([], []),
    ],
)
def test_only_how_bytes_travel_is_taken_over(given, kept):
    assert kept_arguments(given) == kept


def test_one_rsync_for_each_root():
    tree = Tree({"config": "/c", "rt_tables": "/etc/rt", "extra/srv/x": "/srv/x"}, Scope.of([], ["/srv/x"]))
    assert jobs(tree, ["config/a/b", "rt_tables", "extra/srv/x/y", "config/c"]) == [
        ("/c", "config", ["a/b", "c"]),
        ("/etc/rt", "rt_tables", []),
        ("/srv/x", "extra/srv/x", ["y"]),
    ]


def talk(session):
    found = []
    while not session.ended:
        poller = select.poll()
        for descriptor, events in session.interest().items():
            poller.register(descriptor, events)
        poller.poll(5000)
        found += session.receive()
    return found


def test_a_session_takes_and_gives_frames_however_large(tmp_path):
    hello = Hello(PROTOCOL, "x" * 3_000_000, 1)
    frames = tmp_path / "frames"
    frames.write_bytes(encode(hello))
    session = Session(["/bin/sh", "-c", f"wc -c >&2; cat {frames}; exit 3"])
    session.send([hello])
    while session._outbox:
        session.receive()
    session._running.close_input()
    assert talk(session) == [hello]
    trouble = session.trouble("the peer", "ssh root@peer true")
    assert trouble.kind == "receive"
    assert str(len(encode(hello))) in trouble.text


def test_a_login_that_prints_is_understood():
    session = Session(["/bin/sh", "-c", "echo Welcome to lb2, last login yesterday; cat"])
    assert talk(session) == []
    trouble = session.trouble("the peer", "ssh root@peer true")
    assert trouble.kind == "garbled"
    assert "Welcome to lb2" in trouble.text


def test_no_name_is_a_comment_or_an_option_to_rsync(tmp_path):
    """The names go through a real rsync; only the way to the peer is another one."""
    names = ["# comment", "; comment", "--delete", "two\nlines", os.fsdecode(b"\xff"), "sub/# too"]
    program = tmp_path / "rsync"
    program.write_text(
        '#!/bin/bash\nfor one in "$@"; do target=$one; done\nexec rsync "${@:1:$#-1}" --rsh=/bin/false "${target#*:}"\n'
    )
    program.chmod(0o755)
    (tmp_path / "source" / "sub").mkdir(parents=True)
    (tmp_path / "target" / "sub").mkdir(parents=True)
    for name in names:
        (tmp_path / "source" / name).write_text("x")
    made = config(tmp_path, f'$rsync="{program}";')
    running = transfer(made, CONTROL, str(tmp_path / "source"), str(tmp_path / "target"), names, nanos(20))
    finished = None
    while finished is None:
        select.select([running.running.pidfd], [], [], 0.01)
        finished = running.step(monotonic())
    assert finished.code == 0, finished.output
    assert [name for name in names if not (tmp_path / "target" / name).exists()] == []
