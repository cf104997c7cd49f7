"""From the file to the configuration: what cannot be read, what others can read, rules between keys."""

import os
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skd_cluster.config.load import load
from skd_cluster.config.problems import MAX_PROBLEMS, ConfigError

GOOD = """$interface="eth0"; $local_ip="10.0.0.1"; $remote_ip="10.0.0.2";
$password="secret"; $cluster_id="1"; $cluster_ip="10.0.0.9";
"""


@pytest.fixture(name="write")
def _write(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "x.conf"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def facts(loaded):
    return [(one.line, one.key, str(one.kind), str(one.severity)) for one in loaded.problems]


def test_a_file_that_is_not_there_is_one_problem(tmp_path):
    loaded = load(tmp_path / "none.conf")
    assert facts(loaded) == [(None, None, "unreadable-file", "error")]
    found = (
        "none.conf: error: found no such file or directory, expected this pair's configuration; copy /usr/share/doc/"
    )
    assert found in str(loaded.problems[0])
    with pytest.raises(ConfigError, match="no such file") as raised:
        loaded.require()
    assert raised.value.problems == loaded.problems
    assert not loaded.starts


def test_a_folder_a_pipe_and_an_impossible_name_are_one_problem_each(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "a device, pipe"),
        (tmp_path / "a\0b", "not a possible"),
    ):
        loaded = load(path)
        assert facts(loaded) == [(None, None, "unreadable-file", "error")]
        assert why in loaded.problems[0].found


def test_nothing_stays_open(tmp_path):
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for path in (tmp_path, tmp_path / "none", Path("/dev/null")):
        load(path)
    assert len(list(descriptors.iterdir())) == before


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o644, True)]
)
def test_a_password_that_others_can_read_is_a_warning(write, mode, warned):
    loaded = load(write(GOOD, mode))
    assert facts(loaded) == ([(2, "password", "readable-password", "warning")] if warned else [])
    assert loaded.starts


def test_the_password_of_a_file_counts(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b" from the file\xff\r\n")
    secret.chmod(0o600)
    only = GOOD.replace('$password="secret";', f"$password_file='{secret}';")
    loaded = load(write(only, 0o644))
    assert loaded.require().password == b" from the file\xff"
    assert not loaded.problems
    both = load(write(GOOD + f"$password_file='{secret}';"))
    assert both.require().password == b" from the file\xff"
    assert facts(both) == [(2, "password", "ignored-key", "warning")]
    secret.chmod(0o644)
    assert facts(load(write(only))) == [(2, "password_file", "readable-password", "warning")]


@pytest.mark.parametrize(
    ("content", "kind"), [(None, "unreadable-file"), (b"\n", "empty-value"), (b"x" * 5000, "too-long")]
)
def test_a_password_file_that_is_of_no_use(write, tmp_path, content, kind):
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(0o600)
    loaded = load(write(GOOD + f"$password_file='{secret}';"))
    assert [(one.key, one.kind) for one in loaded.problems if one.is_error] == [("password_file", kind)]
    assert loaded.config is None


def test_families_must_match(write):
    text = GOOD.replace("10.0.0.2", "fd00::2")
    assert facts(load(write(text))) == [(1, "remote_ip", "other-family", "error")]


def test_cluster_ip_may_be_of_another_family(write):
    assert load(write(GOOD.replace("10.0.0.9", "fd00::9"))).starts


def test_the_later_of_two_equal_addresses_is_the_wrong_one(write):
    text = '$cluster_ip="10.0.0.1";\n' + GOOD.replace('$cluster_ip="10.0.0.9";', "")
    (problem,) = load(write(text)).problems
    assert (problem.line, problem.key, problem.kind, problem.other) == (2, "local_ip", "same-address", "cluster_ip")


def test_one_address_listed_twice_is_a_warning(write):
    loaded = load(write(GOOD.replace("10.0.0.9", "10.0.0.9 10.0.0.8 10.0.0.9/24")))
    assert facts(loaded) == [(2, "cluster_ip", "same-address", "warning")]


@pytest.mark.parametrize(("length", "warned"), [(19, False), (20, True)])
def test_ucarp_takes_nineteen_bytes_of_a_password(write, length, warned):
    loaded = load(write(GOOD.replace("secret", "x" * length) + '$transport="carp";'))
    assert ((2, "password", "long-password", "warning") in facts(loaded)) == warned
    assert "x" * 4 not in "".join(map(str, loaded.problems))


def test_interfaces_of_the_machine(write):
    text = GOOD.replace("10.0.0.9", "10.0.0.9@eth7") + '\n$track_interfaces="eth0 eth8";'
    assert load(write(text)).starts
    loaded = load(write(text), interfaces=frozenset({"lo", "eth0"}))
    assert facts(loaded) == [
        (2, "cluster_ip", "no-such-interface", "error"),
        (4, "track_interfaces", "no-such-interface", "error"),
    ]
    assert load(write(text), interfaces=frozenset({"eth0", "eth7", "eth8"})).starts


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ({"10.0.0.1": "eth0", "10.0.0.7": "eth0"}, []),
        (
            {"10.0.0.7": "eth0", "fe80::1": "eth0"},
            ["10.0.0.1, which is not on this host, expected an address of eth0: 10.0.0.7"],
        ),
        ({"fe80::1": "eth0"}, ["10.0.0.1, which is not on this host, expected an address of eth0, which has none"]),
        ({"10.0.0.1": "eth1"}, ["10.0.0.1, which is on eth1, expected an address of eth0, which has none"]),
    ],
)
def test_an_address_that_is_not_this_machine_s_is_a_warning(write, present, said):
    loaded = load(write(GOOD), addresses={ip_address(one): name for one, name in present.items()})
    assert loaded.starts
    assert [str(one).partition("warning: $local_ip: found ")[2] for one in loaded.problems] == said


def test_an_at_sign_is_worth_a_warning_only_where_version_2_read_it(write):
    """`ADDR@IFACE` in double quotes, the usual ones, is a form of ours."""
    text = (
        GOOD.replace("10.0.0.9", "10.0.0.9@eth7") + '$ssh_options="User=a@b"; $exclude="--exclude a@b"; $run_dir="/$x";'
    )
    assert facts(load(write(text))) == [
        (3, "exclude", "not-interpolated", "warning"),
        (3, "run_dir", "not-interpolated", "warning"),
    ]


def test_rules_are_checked_whatever_else_is_wrong(write):
    text = GOOD.replace("10.0.0.2", "10.0.0.1").replace('"1"', '"0"') + "nonsense;"
    assert [kind for _, _, kind, _ in facts(load(write(text)))] == ["same-address", "out-of-range", "not-an-assignment"]


def test_the_values_of_a_good_file(write):
    loaded = load(write(GOOD))
    assert loaded.require().local_ip == IPv4Address("10.0.0.1")
    assert loaded.values["password"] == "secret"
    assert "secret" not in repr(loaded)


def test_many_unknown_keys_take_no_time_and_give_a_bounded_report(write):
    loaded = load(write(GOOD + "".join(f"$interfac{n}=1;" + "\n" * (n % 50 == 0) for n in range(9000))))
    assert len(loaded.problems) == MAX_PROBLEMS + 1


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_loaded_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes(GOOD.encode() + data)
    loaded = load(path)
    assert loaded.refused == any(one.is_error for one in loaded.problems)
    assert (loaded.config is None) == loaded.refused
