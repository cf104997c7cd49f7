"""Which keys take effect in a running service: exact sets, and every key decided."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from skd_cluster.config.load import load
from skd_cluster.config.schema import RESTART, Config
from skd_cluster.core.model import nanos
from skd_cluster.processes.supervisor_reload import LIVE, compare


@pytest.fixture
def running(tmp_path: Path) -> Config:
    path = tmp_path / "conf"
    path.write_text(
        '$interface="eth0"; $local_ip="192.0.2.1"; $remote_ip="192.0.2.2"; $password="secret";\n'
        '$cluster_id="7"; $cluster_ip="192.0.2.10/24";\n'
    )
    path.chmod(0o600)
    config = load(path).config
    assert config is not None
    return config


def test_every_key_is_decided() -> None:
    assert {one.name for one in fields(Config)} - LIVE == RESTART | {"password_file"}
    assert not LIVE & RESTART


def test_what_can_change_is_in_force_and_the_rest_stays(running: Config) -> None:
    changes, after = compare(running, replace(running, priority=7, password_also=b"new", udp_port=9))

    assert changes.text == "in force: password_also priority; needs a restart: udp_port"
    assert after == replace(running, priority=7, password_also=b"new")


@pytest.mark.parametrize(
    ("before", "after", "live"), [(0.2, 0.1, True), (0.2, 0.09, False), (0.02, 0.03, True), (0.03, 0.02, False)]
)
def test_interval_that_has_to_be_measured_needs_a_restart(
    running: Config, before: float, after: float, *, live: bool
) -> None:
    old = replace(running, advert_interval=nanos(before))
    changes, _ = compare(old, replace(old, advert_interval=nanos(after)))

    assert changes.live == ({"advert_interval"} if live else set())
    assert changes.restart == (set() if live else {"advert_interval"})
