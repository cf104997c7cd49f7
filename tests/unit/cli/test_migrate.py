"""`skd-cluster migrate`: what it writes, keeps and prints, and its exit codes."""

import json
import os
import re
import shlex
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest

from skd_cluster.cli import migrate
from skd_cluster.cli.main import build_parser, main
from skd_cluster.config import migration
from skd_cluster.core.model import ExitCode

GOOD = """# ours
$interface="lo"; $local_ip="10.0.0.1"; $remote_ip="10.0.0.2";
$password="P@ssw0rd"; $cluster_id="1"; $cluster_ip="10.0.0.9";
"""
KEEPALIVED = """\
global_defs {
  vrrp_version 3
}
vrrp_instance A {
  interface lo
  virtual_router_id 51
  virtual_ipaddress {
    10.0.0.9/24
  }
  authentication {
    auth_pass geheim
  }
}
"""


@pytest.fixture(name="conf")
def _conf(tmp_path):
    path = tmp_path / "x.conf"
    path.write_text(GOOD)
    path.chmod(0o640)
    return path


@pytest.fixture(name="run")
def _run(conf, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(migrate, "_addresses", lambda: [(ip_address("10.0.0.1"), "lo")])

    def run(*words):
        code = main(["migrate", "--config", str(conf), *words])
        found = capsys.readouterr()
        return code, found.out.replace(f"{tmp_path}/", ""), found.err.replace(f"{tmp_path}/", "")

    return run


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def test_a_file_of_version_2_is_written_and_the_old_one_kept_with_its_mode(run, conf, tmp_path):
    code, out, err = run()
    assert (code, err) == (ExitCode.OK, "")
    assert conf.read_text() == GOOD.replace('"P@ssw0rd"', "'P'") + '$transport="carp";\n'
    kept = tmp_path / "x.conf.before-migrate"
    assert kept.read_text() == GOOD
    assert [stat.S_IMODE(one.stat().st_mode) for one in (conf, kept)] == [0o640, 0o640]
    assert names(tmp_path) == ["x.conf", "x.conf.before-migrate"]
    lines = out.splitlines()
    assert lines[:3] == ["written:", "  $transport=carp", "  $password=a value (not shown)"]
    assert lines[3] == "careful:"
    assert lines[4].startswith("  x.conf:3: ANOTHER PASSWORD: ")
    assert lines[-5:] == [
        "x.conf was written; the old one is x.conf.before-migrate",
        "next:",
        "  systemctl enable --now skudonet-ce-cluster",
        "  skd-cluster status",
        "  once both nodes run it: skd-cluster pair, then on the backup, and after it on the master: skd-cluster migrate --to udp",
    ]


def test_a_second_time_nothing_is_written(run, conf, tmp_path):
    run()
    before = conf.stat()
    code, out, _ = run()
    assert code == ExitCode.OK
    assert "x.conf says so already: nothing was written\n" in out
    assert conf.stat().st_ino == before.st_ino
    assert names(tmp_path) == ["x.conf", "x.conf.before-migrate"]


def test_each_step_keeps_what_it_replaces(run, tmp_path):
    for words in ([], ["--to", "udp"], ["--to", "carp"], ["--to", "udp"], ["--to", "vrrp"]):
        assert run(*words)[0] == ExitCode.OK
    kept = [one for one in names(tmp_path) if "before" in one]
    assert kept == ["x.conf.before-migrate", "x.conf.before-migrate.2", "x.conf.before-migrate.3"]
    assert len({(tmp_path / one).read_text() for one in kept}) == 3


def test_the_owner_stays(run, conf, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(conf, 1234, 5678)
    assert run()[0] == ExitCode.OK
    for one in (conf, tmp_path / "x.conf.before-migrate"):
        assert (one.stat().st_uid, one.stat().st_gid) == (1234, 5678)


def test_a_link_stays_a_link(run, conf, tmp_path):
    real = tmp_path / "real.conf"
    conf.rename(real)
    conf.symlink_to(real)
    assert run()[0] == ExitCode.OK
    assert conf.is_symlink()
    assert names(tmp_path) == ["real.conf", "real.conf.before-migrate", "x.conf"]


def test_a_dry_run_shows_the_change_without_secrets_and_writes_nothing(run, conf, tmp_path):
    code, out, _ = run("--dry-run")
    assert code == ExitCode.OK
    assert conf.read_text() == GOOD
    assert names(tmp_path) == ["x.conf"]
    lines = out.splitlines()
    assert lines[:2] == ["--- x.conf", "+++ x.conf (new)"]
    assert '+$transport="carp";' in lines
    assert "to be written:" in lines
    assert "a dry run: x.conf was not changed" in lines
    assert "ssw0rd" not in out
    assert "'P'" not in out


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        ([], GOOD.replace("10.0.0.9", "fd00::9"), ExitCode.CONFIG),
        ([], GOOD.replace('"1"', '"0"'), ExitCode.CONFIG),
        ([], "rm -rf /", ExitCode.CONFIG),
        (["--to", "vrrp"], GOOD.replace("10.0.0.9", "fd00::9"), ExitCode.CONFIG),
        ([], GOOD + "$transport='vrrp';", ExitCode.FAILED),
        (["--from", "keepalived", "--keepalived-conf", "/nonexistent"], GOOD, ExitCode.FAILED),
    ],
)
def test_what_cannot_be_done_changes_nothing(run, conf, tmp_path, words, text, code):
    conf.write_text(text)
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert err.endswith("\nnothing was written\n")
    assert re.search(r"found .*, expected ", err)
    assert conf.read_text() == text
    assert names(tmp_path) == ["x.conf"]
    found, out, _ = run(*words, "--json")
    assert found == code
    facts = json.loads(out)
    assert (facts["ok"], facts["changed"]) == (False, False)
    assert "nothing was written" in facts["text"]


def test_without_a_file_it_says_what_is_expected(run, conf):
    conf.unlink()
    code, _, err = run("--to", "udp")
    assert code == ExitCode.FAILED
    assert err.startswith(
        "x.conf: found no file, expected version 2's file, or skd-cluster migrate --from keepalived\n"
    )


@pytest.fixture(name="keepalived")
def _keepalived(tmp_path):
    place = tmp_path / "k.conf"
    place.write_text(KEEPALIVED)
    return ["--from", "keepalived", "--keepalived-conf", str(place)]


def test_keepalived_s_file_makes_a_new_one_for_root_alone(run, conf, tmp_path, keepalived, monkeypatch):
    conf.unlink()
    secret = tmp_path / "pw"
    secret.write_text("a long one\n")
    secret.chmod(0o600)
    (tmp_path / "k.conf").write_text(KEEPALIVED.replace("interface lo", "interface eth0"))
    monkeypatch.setattr(migrate, "_addresses", lambda: [(ip_address("10.0.0.1"), "eth0")])
    code, out, err = run(*keepalived, "--remote-ip", "10.0.0.2", "--password-file", str(secret))
    assert (code, err) == (ExitCode.OK, "")
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    assert '$remote_ip="10.0.0.2";\n' in conf.read_text()
    assert "  k.conf:10: authentication: VRRPv3 has none\n" in out
    assert "x.conf was written\n" in out
    assert "geheim" not in out
    assert "a long one" not in out
    again = run(*keepalived, "--remote-ip", "10.0.0.2", "--password-file", str(secret))
    assert "x.conf says so already: nothing was written\n" in again[1]


def test_a_file_that_is_there_is_changed_to_what_keepalived_says(run, conf, keepalived):
    assert run(*keepalived)[0] == ExitCode.OK
    text = conf.read_text()
    assert text.startswith(
        '# ours\n$interface="lo"; $local_ip="10.0.0.1"; $remote_ip="10.0.0.2";\n$password="P@ssw0rd"; '
    )
    assert '$cluster_id="51"; $cluster_ip=' in text
    assert '$transport="vrrp";\n' in text


@pytest.mark.parametrize("words", [["--to", "ucarp"], ["--from", "vrrp"], ["--from", "version2", "--to", "udp"]])
def test_wrong_usage(words, run):
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == ExitCode.USAGE


def test_the_peer_s_address_is_one(run, keepalived, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*keepalived, "--remote-ip", "lb2")
    assert ended.value.code == ExitCode.USAGE
    assert "found lb2, expected an IPv4 or IPv6 address of a node" in capsys.readouterr().err


def test_json(run):
    facts = json.loads(run("--json")[1])
    assert list(facts) == ["ok", "changed", "text", "kept", "sayings", "next", "diff"]
    assert (facts["ok"], facts["changed"], facts["diff"]) == (True, True, [])
    assert facts["kept"] == "x.conf.before-migrate"
    assert facts["sayings"][0] == {"sort": "written", "text": "$transport=carp", "file": None, "line": None}
    assert facts["sayings"][2]["line"] == 3
    assert facts["next"][1] == "skd-cluster status"
    again = json.loads(run("--json", "--dry-run", "--to", "udp")[1])
    assert (again["changed"], again["kept"]) == (False, None)
    assert '-$transport="carp";' in again["diff"]


def test_a_folder_that_cannot_be_written_is_one_line(run, conf):
    conf.unlink()
    conf.mkdir()
    code, _, err = run()
    assert code == ExitCode.FAILED
    assert err == "x.conf: a folder\nnothing was written\n"


def commands():
    """Yield what the page and the steps tell people to type."""
    page = Path(__file__).parents[3] / "docs" / "migration.md"
    lines = [one for one in page.read_text().splitlines() if one.startswith("    ")]
    for line in [*lines, *migration._RESTART, *migration._START]:
        for found in re.findall(r"skd-cluster ((?:(?!, then|skd-cluster )[^#])+)", line):
            yield shlex.split(found)


def test_what_people_are_told_to_type_can_be_typed():
    found = list(commands())
    assert len(found) >= 20
    for words in found:
        build_parser(words[:1]).parse_args(words)
    assert {one[0] for one in found} == {"migrate", "check", "status", "pair"}


def test_the_host_s_addresses_are_asked():
    found = migrate._addresses()
    assert (ip_address("127.0.0.1"), "lo") in found or not found
