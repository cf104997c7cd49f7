import os
import socket

from skd_cluster.adapters.outside import Outside, possible, signals_pending
from tests.labkit import eventually


def test_it_is_done_when_the_unit_file_asks_and_the_bus_takes_connections(tmp_path):
    bus, asked = tmp_path / "bus", {"SKD_RUN_OUTSIDE": "systemd-run"}
    assert not possible(asked, bus)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(bus))
        assert not possible(asked, bus)
        listening.listen()
        assert possible(asked, bus)
        assert not possible({}, bus)


def test_each_run_is_a_unit_of_its_own_with_its_words_unchanged():
    first, second = Outside(), Outside()
    assert first.unit != second.unit
    assert first.unit.startswith(f"skudonet-ce-cluster-run-{os.getpid()}-")
    words = first.argv(["/hook", "eth0", "--what"], {"SKD_ROLE": "master"})
    assert words[words.index("--") + 1 :] == ["/hook", "eth0", "--what"]
    assert f"--unit={first.unit}" in words
    assert "--setenv=SKD_ROLE=master" in words
    assert words[: words.index("systemd-run")] == ["env", "--unset=NOTIFY_SOCKET"]


def test_a_host_without_systemd_makes_no_trouble_when_a_run_is_signalled():
    one = Outside()
    for _ in range(3):
        one.signal("SIGKILL")
    eventually(lambda: not signals_pending(), what="nothing of it is left")
