"""The floating addresses, against the product's tree and what its maker knows of it."""

from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skd_cluster.config.floating import floating_addresses
from skd_cluster.config.load import load
from skd_cluster.core.model import Vip
from tests.fixtures.skudonet_tree import core_writes, make_tree

CLUSTER = Vip(ip_address("192.168.1.252"), 24, "eth0", "eth0:cluster")


@pytest.fixture(name="tree", scope="module")
def _tree(tmp_path_factory):
    """One tree for the tests that only read it."""
    return make_tree(tmp_path_factory.mktemp("tree") / "config", farms=0)


@pytest.fixture(name="config")
def _config(tmp_path):
    def config(root, cluster_ip="192.168.1.252", **others):
        keys = {
            "interface": "eth0",
            "local_ip": "192.168.1.250",
            "remote_ip": "192.168.1.251",
            "password": "x",
            "cluster_id": "1",
            "cluster_ip": cluster_ip,
            "configdir": str(root),
        } | others
        path = tmp_path / "x.conf"
        path.write_text("".join(f"${key}='{value}';\n" for key, value in keys.items()))
        return load(path).require()

    return config


def interface_file(root, name, **settings_):
    (root / f"if_{name}_conf").write_text(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in settings_.items())
    )


def test_every_virtual_interface_that_is_up_floats(config, tree):
    floating = floating_addresses(config(tree.root))
    assert not floating.problems
    assert {(str(one.address), one.prefix, one.interface) for one in floating.vips} == {
        (one.address, one.prefix_length, one.parent) for one in tree.floating_up
    }
    assert {one.label for one in floating.vips if one.label} == {
        one.interface for one in tree.floating_up if ":" not in one.address
    }
    assert floating.vips[0] == CLUSTER
    assert len(floating.vips) == len(tree.floating_up)


def test_both_nodes_find_the_same(config, tree, tmp_path):
    second = make_tree(tmp_path / "lb2", node="lb2", farms=0)
    assert floating_addresses(config(second.root)) == floating_addresses(config(tree.root))


def test_listed_is_cluster_ip_only(config, tree):
    assert floating_addresses(config(tree.root, floating="listed")).vips == (CLUSTER,)


def test_cluster_ip_comes_first_and_in_its_order(config, tree):
    text = "2001:db8:66::100 192.168.1.61/32 10.9.9.9 192.168.1.62 192.168.1.61"
    vips = floating_addresses(config(tree.root, text)).vips
    assert vips[:4] == (
        Vip(ip_address("2001:db8:66::100"), 64, "eth1.66"),
        Vip(ip_address("192.168.1.61"), 32, "eth0", "eth0:web2"),
        Vip(ip_address("10.9.9.9"), 24, "eth0"),  # no file of its own: the mask of the interface's
        Vip(ip_address("192.168.1.62"), 24, "eth0", "eth0:old"),  # down in the tree, listed all the same
    )
    assert len({one.address for one in vips}) == len(vips)


@pytest.mark.parametrize(
    ("text", "vip"),
    [
        ("192.168.1.252@eth1", Vip(ip_address("192.168.1.252"), 24, "eth1")),
        ("10.9.9.9@eth1", Vip(ip_address("10.9.9.9"), 23, "eth1")),
        ("10.9.9.9@eth7", Vip(ip_address("10.9.9.9"), 32, "eth7")),
        ("2001:db8::9", Vip(ip_address("2001:db8::9"), 128, "eth0")),
        ("2001:db8:66::9@eth1.66", Vip(ip_address("2001:db8:66::9"), 64, "eth1.66")),
        ("10.9.9.9/8@eth1", Vip(ip_address("10.9.9.9"), 8, "eth1")),
    ],
)
def test_prefix_and_interface_of_cluster_ip(config, tree, text, vip):
    assert floating_addresses(config(tree.root, text, floating="listed")).vips == (vip,)


def test_a_mask_that_its_own_file_lacks_is_the_parent_s(config, tmp_path):
    interface_file(tmp_path, "eth0", addr="10.0.0.2", mask="255.255.0.0", status="up")
    interface_file(tmp_path, "eth0:a", addr="10.0.0.3", mask="", status="up")
    interface_file(tmp_path, "eth0:b", addr="fd00::3", mask="", status="up")
    interface_file(tmp_path, "eth0:own", addr="10.0.0.5", mask="255.255.255.128", status="up")
    interface_file(tmp_path, "eth9:c", addr="10.0.0.4", status="up")
    vips = floating_addresses(config(tmp_path)).vips
    assert [(one.label, one.prefix) for one in vips] == [
        ("", 16),
        ("eth0:a", 16),
        ("", 128),
        ("eth0:own", 25),
        ("eth9:c", 32),
    ]


def test_a_label_is_fifteen_characters_at_most(config, tmp_path):
    interface_file(tmp_path, "eth0:a23456789", addr="10.0.0.3", mask="24", status="up")
    interface_file(tmp_path, "eth0:b234567890", addr="10.0.0.4", mask="24", status="up")
    interface_file(tmp_path, "eth0:c2345678901", addr="10.0.0.5", mask="24", status="up")
    labels = [one.label for one in floating_addresses(config(tmp_path)).vips]
    assert labels == ["", "eth0:a23456789", "eth0:b234567890", ""]


@pytest.mark.parametrize(
    ("settings_", "kind"),
    [
        ({}, "bad-interface-file"),
        ({"addr": "10.0.0.3"}, "bad-interface-file"),
        ({"status": "up"}, "bad-interface-file"),
        ({"status": "up", "addr": "10.0.0"}, "bad-interface-file"),
        ({"status": "up", "addr": "192.168.1.251"}, "same-address"),
    ],
)
def test_a_broken_file_is_a_warning_and_left_out(config, tmp_path, settings_, kind):
    interface_file(tmp_path, "eth0:bad", **settings_)
    interface_file(tmp_path, "eth0:good", addr="10.0.0.4", mask="24", status="up")
    floating = floating_addresses(config(tmp_path))
    assert [one.label for one in floating.vips] == ["", "eth0:good"]
    (problem,) = floating.problems
    assert (problem.kind, problem.severity) == (kind, "warning")
    assert problem.file.endswith("/if_eth0:bad_conf")


def test_a_broken_mask_is_a_warning_and_the_parent_s_counts(config, tmp_path):
    interface_file(tmp_path, "eth0", addr="10.0.0.2", mask="255.255.0.0", status="up")
    interface_file(tmp_path, "eth0:a", addr="10.0.0.3", mask="255.0.255.0", status="up")
    floating = floating_addresses(config(tmp_path))
    assert floating.vips[1].prefix == 16
    assert [one.found for one in floating.problems] == ["255.0.255.0"]


def test_one_that_is_down_may_be_empty(config, tmp_path):
    interface_file(tmp_path, "eth0:a", addr="", mask="", status="down")
    assert floating_addresses(config(tmp_path)).problems == ()


def test_files_that_only_look_like_one(config, tmp_path):
    for name in ("if_eth0:a_conf.bak", "xif_eth0:a_conf", "if_eth0_conf", "if_:a_conf", "if_eth0:_conf"):
        (tmp_path / name).write_text("[x]\naddr=10.0.0.3\nmask=24\nstatus=up\n")
    (tmp_path / "if_eth0:folder_conf").mkdir()
    floating = floating_addresses(config(tmp_path))
    assert len(floating.vips) == 1
    assert [one.kind for one in floating.problems] == ["unreadable-file"]


def test_no_tree_is_a_warning(config, tmp_path):
    floating = floating_addresses(config(tmp_path / "none"))
    assert floating.vips == (Vip(ip_address("192.168.1.252"), 32, "eth0"),)
    assert [one.kind for one in floating.problems] == ["unreadable-file"]


def test_while_the_product_writes_a_file_the_address_is_reported_missing_never_wrong(config, tmp_path):
    interface_file(tmp_path, "eth0:a", addr="10.0.0.30", mask="255.255.255.0", status="up")
    path, wanted, seen = tmp_path / "if_eth0:a_conf", config(tmp_path), []
    core_writes(path, path.read_text(), pieces=60, between=lambda _size: seen.append(floating_addresses(wanted)))
    whole = floating_addresses(wanted)
    assert len(whole.vips) == 2
    assert all(one.vips == whole.vips or one.problems for one in seen)
    assert all(one.vips == whole.vips[:1] or one.vips == whole.vips for one in seen)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=120), st.sampled_from([b"", b"addr=10.0.0.3\n", b"status=up\nmask=", b"status=up\naddr="]))
def test_any_bytes_in_an_interface_file(config, tmp_path, data, before):
    (tmp_path / "if_eth0:a_conf").write_bytes(before + data)
    (tmp_path / "if_eth0_conf").write_bytes(data)
    floating = floating_addresses(config(tmp_path))
    assert 1 <= len(floating.vips) <= 2
    assert all(1 <= one.prefix <= one.address.max_prefixlen for one in floating.vips)
