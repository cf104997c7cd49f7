"""Each key: its form, its range to the edge, its default, its place in the typed configuration."""

# ruff: noqa: RUF001 -- typographic characters are among what is tested

from contextlib import suppress
from dataclasses import FrozenInstanceError, fields
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skd_cluster.config.load import Loaded, load
from skd_cluster.config.network import HeartbeatLink, ListedAddress
from skd_cluster.config.schema import IGNORED, KEYS, Config
from skd_cluster.config.values import BadValue
from skd_cluster.core.model import IPAddress, nanos

BASE = {
    "interface": "eth0",
    "local_ip": "192.168.1.250",
    "remote_ip": "192.168.1.251",
    "password": "secret",
    "cluster_id": "1",
    "cluster_ip": "192.168.1.252",
}


@pytest.fixture(name="having")
def _having(tmp_path):
    """Load a good file with some keys changed; None leaves one out."""

    def having(**changes: str | None) -> Loaded:
        path = tmp_path / "skudonet-cluster.conf"
        keys = {key: value for key, value in (BASE | changes).items() if value is not None}
        text = "".join(f"${key}='{value}';\n" for key, value in keys.items())
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        path.chmod(0o600)
        return load(path)

    return having


def found(loaded: Loaded) -> list[tuple[str | None, str]]:
    return [(one.key, str(one.kind)) for one in loaded.problems]


VERSION2 = (
    "interface local_ip remote_ip password cluster_id cluster_ip exclude dead_ratio up_script down_script "
    "adver_script configdir rttables zeninolog rsync rsync_args enable_cluster"
)
VERSION3 = (
    "floating transport udp_mode udp_port multicast_group heartbeat_links witness advert_interval detection priority "
    "preempt preempt_delay vip_lease garp_count garp_refresh track_interfaces checks_dir check_interval check_timeout "
    "check_fall check_rise hook_timeout adver_interval replicate reconcile_interval max_delete history_keep ssh_key "
    "ssh_options ssh_port metrics_listen metrics_web_config metrics_textfile password_file "
    "password_also status_file state_dir run_dir"
)


def test_all_keys_are_there_and_no_others():
    assert set(KEYS) == {*VERSION2.split(), *VERSION3.split()}
    assert [one.name for one in fields(Config)] == list(KEYS)
    assert {"ucarp"} == IGNORED
    assert all(key.doc.endswith(".") for key in KEYS.values())


def test_defaults(having):
    config = having().require()
    expected = {
        "interface": "eth0",
        "local_ip": IPv4Address("192.168.1.250"),
        "password": b"secret",
        "password_also": None,
        "password_file": None,
        "cluster_ip": (ListedAddress(IPv4Address("192.168.1.252")),),
        "floating": "tree",
        "enable_cluster": True,
        "transport": "udp",
        "udp_mode": "unicast",
        "udp_port": 10112,
        "multicast_group": IPv4Address("224.0.0.18"),
        "heartbeat_links": (),
        "witness": (),
        "advert_interval": nanos(0.2),
        "dead_ratio": 3,
        "detection": "patient",
        "priority": 100,
        "preempt": False,
        "preempt_delay": 0,
        "vip_lease": 2,
        "garp_count": 5,
        "garp_refresh": nanos(60),
        "track_interfaces": (),
        "checks_dir": Path("/usr/local/skudonet/app/ucarp/checks.d"),
        "check_interval": nanos(2),
        "check_timeout": nanos(5),
        "check_fall": 3,
        "check_rise": 2,
        "hook_timeout": nanos(60),
        "adver_interval": nanos(60),
        "up_script": Path("/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-start"),
        "down_script": Path("/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-stop"),
        "adver_script": Path("/usr/local/skudonet/app/ucarp/sbin/skudonet-ce-cluster-advertisement"),
        "configdir": Path("/usr/local/skudonet/config"),
        "rttables": Path("/etc/iproute2/rt_tables"),
        "zeninolog": Path("/var/log/skdinotify.log"),
        "rsync": Path("/usr/bin/rsync"),
        "exclude": (),
        "replicate": (),
        "reconcile_interval": nanos(300),
        "max_delete": 50,
        "history_keep": 100,
        "ssh_key": None,
        "ssh_options": (),
        "ssh_port": 22,
        "metrics_listen": (IPv4Address("192.168.1.250"), 9869),
        "status_file": Path("/etc/skudonet-ce-cluster.status"),
        "state_dir": Path("/var/lib/skd-cluster"),
        "run_dir": Path("/run/skd-cluster"),
    }
    assert {name: getattr(config, name) for name in expected} == expected


def test_the_configuration_cannot_be_changed_and_does_not_show_its_passwords(having):
    config = having(password_also="hidden too").require()
    with pytest.raises(FrozenInstanceError):
        config.priority = 1
    assert "secret" not in repr(config)
    assert "hidden" not in repr(config)
    assert not hasattr(config, "__dict__")


WHOLE = [
    ("cluster_id", 1, 255),
    ("udp_port", 1, 65535),
    ("dead_ratio", 1, 100),
    ("priority", 1, 254),
    ("vip_lease", 1, 60),
    ("garp_count", 1, 60),
    ("check_fall", 1, 100),
    ("check_rise", 1, 100),
    ("max_delete", 0, 100),
    ("history_keep", 0, 100_000),
    ("ssh_port", 1, 65535),
]


@pytest.mark.parametrize(("key", "low", "high"), WHOLE)
def test_whole_numbers_to_the_edge(having, key, low, high):
    assert getattr(having(**{key: str(low)}).require(), key) == low
    assert getattr(having(**{key: f" {high} "}).require(), key) == high
    for outside in (low - 1, high + 1, -high, 10**30):
        assert found(having(**{key: str(outside)})) == [(key, "out-of-range")]
    for word in ("many", "1.5", "1e1", "0x1", "٣", "1 1"):
        assert found(having(**{key: word})) == [(key, "bad-number")]


SPANS = [
    ("advert_interval", "0.01", "40", ("0.009", "40.001")),
    ("preempt_delay", "0", "3600", ("-1", "3601")),
    ("garp_refresh", "1", "86400", ("0.9", "86401")),
    ("check_interval", "0.1", "3600", ("0.09", "3601")),
    ("check_timeout", "0.1", "600", ("0.09", "601")),
    ("hook_timeout", "1", "3600", ("0.9", "3601")),
    ("adver_interval", "1", "86400", ("0", "86401")),
    ("reconcile_interval", "1", "86400", ("0", "86401")),
]


@pytest.mark.parametrize(("key", "low", "high", "outside"), SPANS)
def test_spans_to_the_edge(having, key, low, high, outside):
    for edge in (low, high):
        assert getattr(having(**{key: edge}).require(), key) == nanos(float(edge))
    for beyond in outside:
        assert found(having(**{key: beyond})) == [(key, "out-of-range")]
    for word in ("soon", "1s", "inf", "nan", "1.", ".5"):
        assert found(having(**{key: word})) == [(key, "bad-number")]


def test_every_number_is_in_one_of_the_two_tables():
    numbers = {name for name, key in KEYS.items() if "from" in key.form.words or "seconds" in key.form.words}
    assert numbers == {one[0] for one in WHOLE} | {one[0] for one in SPANS}


CHOICES = {
    "floating": ("tree", "listed"),
    "transport": ("udp", "carp", "vrrp"),
    "udp_mode": ("unicast", "multicast"),
    "detection": ("patient", "probing"),
}


@pytest.mark.parametrize("key", CHOICES)
def test_choices(having, key):
    for word in CHOICES[key]:
        assert getattr(having(**{key: word}).require(), key) == word
    for word in ("other", CHOICES[key][0].upper()):
        assert found(having(**{key: word})) == [(key, "bad-word")]


@pytest.mark.parametrize("key", ["preempt", "enable_cluster"])
def test_truths(having, key):
    for word in ("true", "yes", "1", "True"):
        assert getattr(having(**{key: word}).require(), key) is True
    for word in ("false", "no", "0", "NO"):
        assert getattr(having(**{key: word}).require(), key) is False
    assert found(having(**{key: "maybe"})) == [(key, "bad-word")]


@pytest.mark.parametrize(
    "text",
    [
        "10.1",
        "1",
        "192.168.1.1 ",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "::",
        "::ffff:10.0.0.1",
        "0.1.2.3",
        "255.255.255.255",
        "240.0.0.1",
        "10.0.0.1/24",
        "lb2",
        "0x0a000001",
        "010.0.0.1",
        "10.0.0.1\0",
        "ff02::12",
        "1:2",
        "²",
        "10.0.0.1 10.0.0.2",
    ],
)
def test_what_is_no_address_of_a_node(having, text):
    loaded = having(remote_ip=text)
    if text == "192.168.1.1 ":  # blanks around a value are nothing
        assert loaded.require().remote_ip == IPv4Address("192.168.1.1")
    else:
        assert found(loaded) == [("remote_ip", "bad-address")]


def test_addresses_are_of_the_standard_library(having):
    config = having(local_ip="fd00::A", remote_ip="FD00:0::b", cluster_ip="fd00::c/64 192.168.1.9@eth1").require()
    assert (config.local_ip, config.remote_ip) == (IPv6Address("fd00::a"), IPv6Address("fd00::b"))
    assert all(isinstance(one, IPAddress) for one in (config.local_ip, config.remote_ip))
    assert config.cluster_ip == (
        ListedAddress(IPv6Address("fd00::c"), 64),
        ListedAddress(IPv4Address("192.168.1.9"), None, "eth1"),
    )
    assert config.multicast_group == IPv6Address("ff02::12")
    assert config.metrics_listen == (IPv6Address("fd00::a"), 9869)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("192.168.1.252/0", "bad-address"),
        ("192.168.1.252/", "bad-address"),
        ("192.168.1.252/255.255.255.0", "bad-address"),
        ("192.168.1.252/²4", "bad-address"),
        ("fd00::1/129", "bad-address"),
        ("192.168.1.252@", "bad-interface-name"),
        ("192.168.1.252@a/b", "bad-interface-name"),
        ("eth0", "bad-address"),
        (",", "bad-address"),
        ("   ", "empty-value"),
    ],
)
def test_what_is_no_cluster_ip(having, text, kind):
    assert found(having(cluster_ip=text)) == [("cluster_ip", kind)]


def test_each_bad_item_of_a_list_is_reported(having):
    assert [one.found for one in having(cluster_ip="10.0.0.1 x 10.0.0.2 y").problems] == ["x", "y"]


@pytest.mark.parametrize("name", ["", "a" * 16, "eth0:1", "a b", "-x", ".", "..", "a/b", "é", "$x", "eth0;"])
def test_interface_names(having, name):
    kind = "bad-interface-name" if name else "empty-value"
    assert found(having(interface=name)) == [("interface", kind)]
    assert having(track_interfaces="eth0.100 br-lan a+b_c " + "a" * 15).require().track_interfaces[0] == "eth0.100"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", None),
        ("LOCAL_IP:9000", (IPv4Address("192.168.1.250"), 9000)),
        ("127.0.0.1:1", (IPv4Address("127.0.0.1"), 1)),
        ("0.0.0.0:65535", (IPv4Address("0.0.0.0"), 65535)),
        ("[::]:9869", (IPv6Address("::"), 9869)),
    ],
)
def test_where_metrics_are_served(having, text, value):
    assert having(metrics_listen=text).require().metrics_listen == value


@pytest.mark.parametrize(
    "text", ["on", "9869", "localhost:9869", "::1:9869", "127.0.0.1:0", "127.0.0.1:65536", ":1", "1.2.3.4"]
)
def test_where_metrics_cannot_be_served(having, text):
    assert [key for key, _ in found(having(metrics_listen=text))] == ["metrics_listen"]


def test_lists(having):
    config = having(
        heartbeat_links="10.0.0.1>10.0.0.2  fd00::1>fd00::2",
        witness="192.168.1.1 192.168.1.2",
        replicate="/etc/a /etc/b",
        ssh_options="-o StrictHostKeyChecking=yes -oLogLevel=ERROR Compression=no",
    ).require()
    assert config.heartbeat_links == (
        HeartbeatLink(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")),
        HeartbeatLink(IPv6Address("fd00::1"), IPv6Address("fd00::2")),
    )
    assert config.witness == (IPv4Address("192.168.1.1"), IPv4Address("192.168.1.2"))
    assert config.replicate == (Path("/etc/a"), Path("/etc/b"))
    assert config.ssh_options == ("StrictHostKeyChecking=yes", "LogLevel=ERROR", "Compression=no")


@pytest.mark.parametrize(
    ("key", "text", "kind"),
    [
        ("heartbeat_links", "10.0.0.1", "bad-address"),
        ("heartbeat_links", "10.0.0.1>fd00::1", "other-family"),
        ("heartbeat_links", "10.0.0.1>10.0.0.1", "same-address"),
        ("witness", "gateway", "bad-address"),
        ("multicast_group", "10.0.0.1", "bad-address"),
        ("multicast_group", "ff02::12", "other-family"),
        ("replicate", "etc", "bad-path"),
        ("configdir", "config", "bad-path"),
        ("ssh_options", "ProxyCommand=touch", "bad-argument"),
        ("ssh_options", "-i /key", "bad-argument"),
        ("exclude", "if_eth0_conf", "bad-argument"),
        ("exclude", "--exclude", "bad-argument"),
        ("exclude", '--exclude "x', "bad-argument"),
        ("exclude", "--exclude-from /etc/shadow", "bad-argument"),
        ("rsync_args", "-az --rsh=ssh", "bad-argument"),
        ("rsync_args", "--rsh ssh", "bad-argument"),
        ("rsync_args", "-azve ssh", "bad-argument"),
        ("rsync_args", "-aessh", "bad-argument"),
        ("rsync_args", "--rsync-path=/tmp/x", "bad-argument"),
        ("rsync_args", "-M--rsync-path=/tmp/x", "bad-argument"),
        ("rsync_args", "--remove-source-files", "bad-argument"),
        ("rsync_args", "-n", "bad-argument"),
        ("rsync_args", "az", "bad-argument"),
        ("rsync_args", "-a -- x", "bad-argument"),
        ("rsync_args", "--bwlimit", "bad-argument"),
    ],
)
def test_what_is_refused_in_lists(having, key, text, kind):
    loaded = having(**{key: text})
    assert loaded.refused
    assert {(one.key, one.kind) for one in loaded.problems if one.is_error} == {(key, kind)}


@pytest.mark.parametrize(
    ("text", "left", "dropped"),
    [
        ("-auzv --delete", ("-azv", "--delete"), ["-u"]),
        ("-a -u", ("-a",), ["-u"]),
        ("--archive --update", ("--archive",), ["--update"]),
        ("-a --bwlimit 100 --timeout=60", ("-a", "--bwlimit", "100", "--timeout=60"), []),
        ("-a —delete –numeric-ids", ("-a", "--delete", "--numeric-ids"), []),
        ("-aB 8192", ("-aB", "8192"), []),
        ("-afupdate", ("-afupdate",), []),
    ],
)
def test_what_is_left_of_rsync_args(having, text, left, dropped):
    loaded = having(rsync_args=text)
    assert loaded.require().rsync_args == left
    assert [one.found for one in loaded.problems if one.kind == "dropped-argument"] == dropped


def test_exclude_keeps_patterns_as_they_are(having):
    assert having(exclude='--exclude "a b" --exclude=c=d –exclude *.é').require().exclude == ("a b", "c=d", "*.é")


def test_paths_are_taken_as_written_but_must_be_absolute_where_nothing_else_makes_sense(having):
    config = having(ssh_key="/root/.ssh/id ed25519 ", up_script="relative", state_dir="/var/lib/\udce9").require()
    assert config.ssh_key == Path("/root/.ssh/id ed25519 ")
    assert config.up_script == Path("relative")  # version 2 took it
    assert str(config.state_dir) == "/var/lib/\udce9"


def test_an_empty_optional_value_is_as_good_as_none(having):
    optional = {name: "" for name, key in KEYS.items() if not key.required}
    assert having(**optional).require() == having().require()
    assert not having(**optional).problems


def test_passwords_are_bytes_and_nothing_is_trimmed(having):
    config = having(password=" é\udcff ", password_also="\u00a0").require()
    assert (config.password, config.password_also) == (" é".encode() + b"\xff ", "\u00a0".encode())


@pytest.mark.parametrize("name", sorted(KEYS))
@settings(max_examples=15)
@given(text=st.text(max_size=30))
def test_no_text_upsets_any_form(name, text):
    """A form reads, notes or refuses with BadValue, nothing else."""
    with suppress(BadValue):
        KEYS[name].form.read(text, lambda _remark: None)
