"""`skd-cluster check`: what it prints, and its exit code."""

import argparse
import json
import socket
from ipaddress import ip_address

import pytest

from skd_cluster.cli import check

GOOD = """$interface="lo"; $local_ip="10.0.0.1"; $remote_ip="10.0.0.2";
$password="P@ssw0rd"; $cluster_id="1"; $cluster_ip="10.0.0.9";
"""


@pytest.fixture(name="run")
def _run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(check, "_addresses", lambda _names: {ip_address("10.0.0.1"): "lo"})

    def run(text, *, as_json=False):
        path = tmp_path / "x.conf"
        path.write_text(text)
        path.chmod(0o600)
        code = check.run(argparse.Namespace(config=path, json=as_json))
        return code, capsys.readouterr().out.replace(f"{tmp_path}/", "")

    return run


def test_a_good_file(run):
    assert run(GOOD.replace("P@", "")) == (0, "x.conf: can be used: no problems\n")


def test_warnings_are_printed_and_the_file_is_used(run):
    code, out = run(GOOD)
    assert code == 0
    assert out.splitlines()[0].startswith("x.conf:2: warning: $password: found a value (not shown), expected ")
    assert out.splitlines()[1:] == ["x.conf: can be used: 0 errors, 1 warning"]
    assert "ssw0rd" not in out


def test_every_problem_has_its_line_and_the_last_line_is_the_verdict(run):
    code, out = run(GOOD.replace('"1"', '"0"').replace("10.0.0.2", "10.0.0") + "$dead_ratios=1;")
    assert code == 78
    assert out == (
        "x.conf:1: error: $remote_ip: found 10.0.0, expected an IPv4 or IPv6 address of a node\n"
        "x.conf:2: warning: $password: found a value (not shown), expected the name of a key set before, or \\@ "
        "(taken as written; version 2 read something else)\n"
        "x.conf:2: error: $cluster_id: found 0, expected a whole number from 1 to 255\n"
        "x.conf:3: warning: $dead_ratios: found dead_ratios, expected a known key, perhaps $dead_ratio\n"
        "x.conf: refused: 2 errors, 2 warnings\n"
    )


def test_the_machine_s_interfaces_are_asked(run):
    code, out = run(GOOD.replace('"lo"', '"nosuch0"'))
    names = ", ".join(sorted(name for _, name in socket.if_nameindex()))
    assert code == 78
    assert f"x.conf:1: error: $interface: found nosuch0, expected one of {names}\n" in out


def test_the_machine_s_addresses_are_asked(run, monkeypatch):
    monkeypatch.undo()
    code, out = run(GOOD.replace("P@", "").replace("10.0.0.1", "192.0.2.77"))
    assert code == 0
    assert "x.conf:1: warning: $local_ip: found 192.0.2.77, which is not on this host, expected an address of lo" in out
    if ip_address("127.0.0.1") in check._addresses(dict(socket.if_nameindex())):
        assert "expected an address of lo: 127.0.0.1" in out


def test_switched_off_is_not_an_error(run):
    code, out = run(GOOD + "$enable_cluster='false';")
    assert code == 0
    assert out.endswith('x.conf: can be used, but enable_cluster="false": the service does not start\n')


def test_a_broken_interface_file_of_the_product_is_a_warning(run, tmp_path):
    (tmp_path / "if_eth0:web_conf").write_text("")
    code, out = run(GOOD + f"$configdir='{tmp_path}';")
    assert code == 0
    assert "if_eth0:web_conf: warning: found nothing, expected status=up or status=down\n" in out


def test_json(run):
    code, out = run(GOOD + "$dead_ratio=0; $dead_ratio=200; $frobnicate='x';", as_json=True)
    facts = json.loads(out)
    assert code == 78
    assert (facts["refused"], facts["starts"]) == (True, False)
    assert {(one["line"], one["key"], one["kind"], one["severity"]) for one in facts["problems"]} == {
        (2, "password", "not-interpolated", "warning"),
        (3, "dead_ratio", "duplicate-key", "warning"),
        (3, "dead_ratio", "out-of-range", "error"),
        (3, "frobnicate", "unknown-key", "warning"),
    }
    assert [one["nearest"] for one in facts["problems"] if one["kind"] == "unknown-key"] == [None]
    assert [one["first_line"] for one in facts["problems"] if one["kind"] == "duplicate-key"] == [3]
    assert {one["found"] for one in facts["problems"]} >= {"200", "a value (not shown)"}
    assert facts["values"]["password"] is None
    assert "ssw0rd" not in out


def test_the_parser_says_what_the_exit_codes_mean():
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    assert "78" in parser.format_help()
