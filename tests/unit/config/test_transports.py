"""What is said of a configuration that speaks as ucarp or keepalived: each sentence, and what silences it."""

import pytest

from skd_cluster.config.load import load
from skd_cluster.config.transports import advskew

BASE = {
    "interface": "eth0",
    "local_ip": "10.0.0.1",
    "remote_ip": "10.0.0.2",
    "password": "secret",
    "cluster_id": "1",
    "cluster_ip": "10.0.0.9",
}
CARP = (
    "warning: $transport: found carp, expected udp as soon as both nodes run skd-cluster: CARP has no protection against "
    "replay: a recorded packet can change who is master"
)
VRRP = (
    "warning: $transport: found vrrp, expected udp as soon as both nodes run skd-cluster: VRRP has no authentication: "
    "anybody on the link can take the addresses"
)


@pytest.fixture(name="said")
def _said(tmp_path):
    """Load a file and return its problems without their places."""

    def said(**changes):
        path = tmp_path / "x.conf"
        path.write_text("".join(f"${key}='{value}';\n" for key, value in (BASE | changes).items()))
        path.chmod(0o600)
        loaded = load(path)
        return [str(one).split(": ", 1)[1] for one in loaded.problems], loaded.config

    return said


def test_the_native_transport_has_nothing_to_say(said):
    problems, config = said(advert_interval="0.015", priority="150", heartbeat_links="10.1.0.1>10.1.0.2")
    assert problems == []
    assert config.udp_mode == "unicast"


@pytest.mark.parametrize(("transport", "sentence"), [("carp", CARP), ("vrrp", VRRP)])
def test_what_they_do_not_protect_from_is_always_said(said, transport, sentence):
    problems, config = said(transport=transport)
    assert problems == [sentence]
    assert config.udp_mode == "multicast"


@pytest.mark.parametrize(
    ("transport", "changes", "sentence"),
    [
        (
            "carp",
            {"advert_interval": "0.2"},
            "note: $advert_interval: found 0.2, expected whole seconds with transport carp (spoken as 1 s)",
        ),
        (
            "carp",
            {"advert_interval": "1.01"},
            "note: $advert_interval: found 1.01, expected whole seconds with transport carp (spoken as 2 s)",
        ),
        (
            "vrrp",
            {"advert_interval": "0.015"},
            (
                "note: $advert_interval: found 0.015, expected whole hundredths of a second with transport vrrp "
                "(spoken as 0.02 s)"
            ),
        ),
        (
            "carp",
            {"priority": "80"},
            "note: $priority: found 80, expected CARP's advskew in its place: spoken as 20",
        ),
        (
            "carp",
            {"priority": "150"},
            "note: $priority: found 150, expected CARP's advskew in its place: spoken as 0",
        ),
        (
            "carp",
            {"detection": "probing"},
            "note: $detection: found probing, expected patient: nobody can be asked with transport carp (no effect)",
        ),
        (
            "carp",
            {"udp_mode": "unicast"},
            "note: $udp_mode: found unicast, expected multicast, as ucarp sends (no effect)",
        ),
        (
            "carp",
            {"password": "x" * 20},
            "warning: $password: found 20 bytes, expected at most 19 bytes with transport carp: ucarp does not start with more",
        ),
        (
            "carp",
            {"cluster_ip": "fd00::9 10.0.0.9"},
            (
                "error: $cluster_ip: found fd00::9, expected an IPv4 address first with transport carp: its digest covers that "
                "one, as the old node's does"
            ),
        ),
        (
            "carp",
            {"local_ip": "fd00::1", "remote_ip": "fd00::2"},
            "error: $local_ip: found fd00::1, expected an IPv4 address with transport carp, as ucarp speaks it",
        ),
        (
            "vrrp",
            {"cluster_ip": "10.0.0.9 fd00::9"},
            (
                "note: $cluster_ip: found fd00::9, expected IPv4 addresses with transport vrrp: it moves with the others and is "
                "not advertised"
            ),
        ),
        (
            "vrrp",
            {"cluster_ip": "fd00::9"},
            (
                "error: $cluster_ip: found fd00::9, expected an IPv4 address among them with transport vrrp: it advertises those "
                "of local_ip's family"
            ),
        ),
        (
            "vrrp",
            {"local_ip": "fd00::1", "remote_ip": "fd00::2", "cluster_ip": "fd00::9"},
            (
                "warning: $cluster_ip: found fd00::9, expected a link-local address first, ADDR@IFACE, with transport vrrp over "
                "IPv6 (RFC 9568)"
            ),
        ),
    ],
)
def test_each_sentence(said, transport, changes, sentence):
    problems, config = said(**changes, transport=transport)
    assert sorted(problems) == sorted([CARP if transport == "carp" else VRRP, sentence])
    assert (config is None) == sentence.startswith("error")


@pytest.mark.parametrize(
    ("transport", "changes"),
    [
        ("carp", {"advert_interval": "3", "priority": "100", "password": "x" * 19, "udp_mode": "multicast"}),
        ("carp", {"cluster_ip": "10.0.0.9 fd00::9", "heartbeat_links": "", "udp_port": ""}),
        ("vrrp", {"advert_interval": "0.25", "priority": "7", "password": "x" * 21, "udp_mode": "unicast"}),
        ("vrrp", {"local_ip": "fd00::1", "remote_ip": "fd00::2", "cluster_ip": "fe80::9/64@eth0 fd00::9"}),
    ],
)
def test_what_can_be_said_is_worth_no_word(said, transport, changes):
    problems, _ = said(**changes, transport=transport)
    assert problems == [CARP if transport == "carp" else VRRP]


def test_what_is_written_of_the_mode_counts(said):
    assert said(transport="vrrp", udp_mode="unicast")[1].udp_mode == "unicast"
    assert said(transport="vrrp", udp_mode="")[1].udp_mode == "multicast"


def test_broken_keys_are_no_reason_to_fail(said):
    problems, config = said(transport="vrrp", local_ip="x", cluster_ip="y", advert_interval="z", priority="many")
    assert config is None
    assert VRRP in problems


OTHER = (
    "warning: $password: found a password, expected the one that version 2 uses, which read another from the same text: they "
    "do not hear each other (skd-cluster migrate writes it)"
)


@pytest.mark.parametrize(
    ("literal", "transport", "warned"),
    [
        ('"P@ssw0rd"', "carp", True),
        ('"P@ssw0rd"', "vrrp", False),
        ('"P@ssw0rd"', "udp", False),
        ("'P@ssw0rd'", "carp", False),
        ('"P\\@ssw0rd"', "carp", False),
        ('"P$$x"', "carp", True),
        ('"$interface"', "carp", False),
    ],
)
def test_a_password_that_perl_read_otherwise(tmp_path, literal, transport, warned):
    path = tmp_path / "x.conf"
    keys = BASE | {"transport": transport}
    del keys["password"]
    path.write_text("".join(f"${key}='{value}';\n" for key, value in keys.items()) + f"$password={literal};\n")
    path.chmod(0o600)
    lines = [str(one).split(": ", 1)[1] for one in load(path).problems]
    assert (OTHER in lines) == warned


def test_the_skew_that_stands_for_a_priority():
    assert [advskew(one) for one in (1, 80, 99, 100, 101, 254)] == [99, 20, 1, 0, 0, 0]
