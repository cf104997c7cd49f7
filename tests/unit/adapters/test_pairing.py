"""One half of a pairing on a real disk, with the real ssh-keygen."""

import os
import stat

import pytest

from skd_cluster.adapters.pairing import Half
from skd_cluster.adapters.ssh import options, paired, tried_by_hand
from skd_cluster.adapters.staging import Staging, targets
from skd_cluster.config.load import load
from skd_cluster.core.authorized import public_key
from skd_cluster.core.pairing import Done, PairingError

COMMAND = "/usr/bin/skd-cluster receive --restricted"


@pytest.fixture
def half(tmp_path):
    conf = tmp_path / "cluster.conf"
    conf.write_text(
        '$interface="eth0";$local_ip="10.0.0.2";$remote_ip="10.0.0.1";$password="x";$cluster_id="1";'
        f'$cluster_ip="10.0.0.3/24";$state_dir="{tmp_path}/state";'
    )
    conf.chmod(0o600)
    return Half(load(conf).require(), "lb2", str(tmp_path / ".ssh/authorized_keys"), COMMAND)


def everything(folder):
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def make(half):
    key, step = half.make_key()
    return key, [step, half.pin([key]), half.admit(key, "lb1")]


def test_it_is_made_once_and_found_the_second_time(half, tmp_path):
    key, steps = make(half)
    half.activate()
    assert [one.done for one in steps] == [Done.MADE] * 3
    assert stat.S_IMODE(half.identity.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(half.identity.key.parent.stat().st_mode) == 0o700
    assert str(public_key((tmp_path / "state/ssh/id_ed25519.pub").read_text())) == str(key)
    assert (tmp_path / ".ssh/authorized_keys").read_text() == (
        f'restrict,command="{COMMAND}",from="10.0.0.1" {key} skd-cluster:lb1\n'
    )
    before = everything(tmp_path)
    again, steps = make(half)
    half.activate()
    assert again == key
    assert [one.done for one in steps] == [Done.UNCHANGED] * 3
    assert everything(tmp_path) == before


def test_it_counts_only_once_it_was_tried(half):
    make(half)
    assert paired(half.config) is None
    assert half.trial.known_hosts.name == "known_hosts.new"
    half.activate()
    assert paired(half.config) == half.identity == half.trial


def test_with_a_key_named_by_the_administrator_it_does_not_count(half, tmp_path):
    make(half)
    half.activate()
    conf = tmp_path / "cluster.conf"
    conf.write_text(conf.read_text() + '$ssh_key="/root/.ssh/mine";')
    assert paired(load(conf).require()) is None


def test_a_paired_node_logs_in_with_that_key_and_those_host_keys_only(half, tmp_path):
    make(half)
    assert not any("IdentityFile" in word for word in options(half.config, tmp_path / "c"))
    half.activate()
    words = set(options(half.config, tmp_path / "c"))
    assert {
        f"IdentityFile={tmp_path}/state/ssh/id_ed25519",
        f"UserKnownHostsFile={tmp_path}/state/ssh/known_hosts",
        *("GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none"),
        *("HostKeyAlias=10.0.0.1", "BindAddress=10.0.0.2", "BatchMode=yes"),
    } <= words
    assert tried_by_hand(half.config) == "skd-cluster pair"


def test_what_was_there_before_is_there_after(half, tmp_path):
    (tmp_path / ".ssh").mkdir(mode=0o750)
    keys = tmp_path / ".ssh/authorized_keys"
    keys.write_bytes(b"# mine\nssh-rsa AAAA me\r\nssh-rsa BBBB no end")
    keys.chmod(0o640)
    before = everything(tmp_path)
    make(half)
    half.activate()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o640
    assert [one.done for one in half.remove()] == [Done.REMOVED] * 3
    found = everything(tmp_path)
    del found["state"]
    assert found == before
    assert [one.done for one in half.remove()] == [Done.ABSENT] * 3


def test_what_was_made_goes_unless_somebody_else_uses_it(half, tmp_path):
    make(half)
    half.remove()
    assert set(everything(tmp_path)) == {"cluster.conf", "state"}
    make(half)
    with (tmp_path / ".ssh/authorized_keys").open("a") as file:
        file.write("ssh-rsa AAAA me\n")
    half.remove()
    assert (tmp_path / ".ssh/authorized_keys").read_text() == "ssh-rsa AAAA me\n"


def test_a_key_that_others_could_read_is_closed_again(half):
    make(half)
    half.identity.key.chmod(0o644)
    make(half)
    assert stat.S_IMODE(half.identity.key.stat().st_mode) == 0o600


def test_what_is_no_key_is_named(half):
    half.identity.key.parent.mkdir(parents=True)
    half.identity.key.write_text("garbage\n")
    half.identity.key.chmod(0o600)
    with pytest.raises(PairingError, match=r"is not an ed25519 key that ssh can use.*pair --remove"):
        half.make_key()


def test_a_link_is_refused_and_stays(half, tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/authorized_keys").symlink_to("/etc/keys")
    with pytest.raises(PairingError, match="is a link to /etc/keys"):
        half.check()
    with pytest.raises(PairingError, match="AuthorizedKeysFile none"):
        Half(half.config, "lb2", "", COMMAND).check()


def test_a_dry_half_says_and_leaves(half, tmp_path):
    before = everything(tmp_path)
    dry = Half(half.config, "lb2", half.keys_file, COMMAND, dry=True)
    key, steps = make(half)
    half.remove()
    assert [one.done for one in steps] == [Done.MADE] * 3
    _, step = dry.make_key()
    assert [step.done, dry.pin([key]).done, dry.admit(key, "lb1").done] == [Done.WOULD] * 3
    assert {name for name in everything(tmp_path) if name != "state"} == set(before)


def test_an_rsync_may_write_where_the_session_of_its_own_connection_does(tmp_path):
    ours = Staging(tmp_path, "10.0.0.1 50000 10.0.0.2 22")
    ours.renew(["config", "extra/srv/x"])
    tree = f"{tmp_path}/{os.getpid()}/tree"
    found = targets(tmp_path, "10.0.0.1 50000 10.0.0.2 22", ["config"])
    assert set(found) == {f"{tree}/config", f"{tree}/config/"}
    assert set(found.values()) == {ours.tree}
    assert targets(tmp_path, "10.0.0.1 50001 10.0.0.2 22", ["config"]) == {}
    assert targets(tmp_path, "", ["config"]) == {}
    ours.remove()
    assert targets(tmp_path, "10.0.0.1 50000 10.0.0.2 22", ["config"]) == {}
    nobody = Staging(tmp_path, "")
    nobody.renew(["config"])
    assert targets(tmp_path, "", ["config"]) == {}


def test_a_session_that_is_gone_lends_its_folder_to_nobody(tmp_path):
    (tmp_path / "4194305/tree").mkdir(parents=True)
    (tmp_path / "4194305/connection").write_text("10.0.0.1 1 10.0.0.2 22")
    assert targets(tmp_path, "10.0.0.1 1 10.0.0.2 22", ["config"]) == {}
