import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from skd_cluster import __version__
from skd_cluster.cli.main import VERBS, build_parser, main
from skd_cluster.core.model import ExitCode


def config(tmp_path, **keys):
    path = tmp_path / "cluster.conf"
    keys = {
        "interface": "lo",
        "local_ip": "192.0.2.1",
        "remote_ip": "192.0.2.2",
        "password": "secret",
        "cluster_id": "1",
        "cluster_ip": "203.0.113.10/24",
        "run_dir": str(tmp_path / "run"),
        **keys,
    }
    path.write_text("".join(f'${key}="{value}";\n' for key, value in keys.items()))
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("verb", [*VERBS])
def test_every_verb_has_help_with_a_sentence_and_the_configuration(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--config FILE default: /usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf" in text
    assert re.search(r"[A-Z][^.]{15,}\.", text)


@pytest.mark.parametrize("words", [[], ["nonsense"], ["status", "--nonsense"], ["failover", "now"]])
def test_wrong_usage_is_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == ExitCode.USAGE
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["status", "failover", "standby", "online", "sync"])
def test_without_the_service_it_is_3_and_one_line(verb, tmp_path, capsys):
    assert main([verb, "--config", config(tmp_path)]) == ExitCode.NOT_RUNNING
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "the service is not running\n")
    assert main([verb, "--json", "--config", config(tmp_path)]) == ExitCode.NOT_RUNNING
    assert json.loads(capsys.readouterr().out) == {"ok": False, "text": "the service is not running"}


def test_version(capsys):
    assert main(["version"]) == ExitCode.OK
    assert main(["version", "--json"]) == ExitCode.OK
    plain, facts = capsys.readouterr().out.splitlines()
    assert plain == f"skd-cluster {__version__}"
    assert json.loads(facts) == {"version": __version__}


def test_the_condition_of_the_unit(tmp_path, capsys):
    assert main(["run", "--condition", "--config", config(tmp_path)]) == ExitCode.OK
    assert main(["run", "--condition", "--config", config(tmp_path, cluster_id="many")]) == ExitCode.OK
    assert main(["run", "--condition", "--config", config(tmp_path, enable_cluster="false")]) == ExitCode.NOT_RUNNING
    assert capsys.readouterr().out.count("switched off") == 1


def test_what_nobody_foresaw_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("skd_cluster.cli.client.run_dir_of", lambda _path: 1 / 0)
    monkeypatch.delenv("SKD_DEBUG", raising=False)
    assert main(["status", "--config", config(tmp_path)]) == ExitCode.FAILED
    assert re.fullmatch(
        r"skd-cluster status: ZeroDivisionError: division by zero \(test_main.py:\d+\)\n", capsys.readouterr().err
    )
    monkeypatch.setenv("SKD_DEBUG", "1")
    main(["status", "--config", config(tmp_path)])
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_has_had_enough_is_no_traceback():
    words = [sys.executable, "-c", "from skd_cluster.cli.main import main; raise SystemExit(main(['version']))"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == ExitCode.FAILED


def test_a_verb_imports_only_what_it_needs():
    words = "import sys; from skd_cluster.cli.main import main; main(['version']); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", words], text=True).split()
    assert not {"plumbum", "prometheus_client", "systemd", "netaddr", "pyinotify"} & set(loaded)


def test_a_module_for_every_verb_and_a_verb_for_every_module():
    modules = {path.stem for path in Path(main.__code__.co_filename).parent.glob("*.py")}
    helpers = {"client", "nodes", "comparison", "restoring", "rewinding", "serving", "manual", "peer"}
    helpers |= {"watch", "watchview"}
    assert set(VERBS) == modules - {"__init__", "main"} - helpers
    build_parser([*VERBS])
