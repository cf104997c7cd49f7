import os
import socket

import pytest

from skd_cluster.adapters import notify
from skd_cluster.core.model import Nanos


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield lambda: sock.recv(4096).decode()


def test_what_systemd_is_told(systemd):
    notify.ready("master")
    assert systemd() == "READY=1\nSTATUS=master"
    notify.reloading(Nanos(5_000_000))
    assert systemd() == "RELOADING=1\nMONOTONIC_USEC=5000"
    notify.stopping("stopping", Nanos(70_000_000_000))
    assert systemd() == "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=70000000"
    notify.status("two\nlines")
    assert systemd() == "STATUS=two lines"
    notify.alive()
    assert systemd() == "WATCHDOG=1"


def test_the_watchdog_s_period_is_half_of_what_is_allowed():
    assert notify.watchdog_period({"WATCHDOG_USEC": "5000000"}) == 2_500_000_000
    assert notify.watchdog_period({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}) == 2_500_000_000
    for nothing in ({}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}):
        assert notify.watchdog_period(nothing) is None


def test_children_do_not_speak_in_our_name():
    assert notify.without_ours({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "PATH": "/bin"}) == {"PATH": "/bin"}
