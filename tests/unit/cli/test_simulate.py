"""What the verb asks the engine, what it prints, what it refuses. The engine is proven in tests/simulation."""

import json
from pathlib import Path

import pytest

from skd_cluster.cli.main import main
from skd_cluster.cli.simulate import setup_of
from skd_cluster.config.load import load
from skd_cluster.core.model import ExitCode
from skd_cluster.simulation.invariants import InvariantError
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.trial import Trial
from tests.unit.cli.test_main import config


def simulate(path: str, *words: str, capsys: pytest.CaptureFixture[str]) -> dict:
    assert main(["simulate", "--json", "--config", path, *words]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_the_users_own_configuration_is_simulated(tmp_path) -> None:
    keys = {
        "advert_interval": "0.05",
        "dead_ratio": "6",
        "priority": "120",
        "preempt": "true",
        "preempt_delay": "3",
        "detection": "probing",
        "vip_lease": "4",
    }
    found = setup_of(load(Path(config(tmp_path, **keys))).require())
    assert found == Setup(0.05, 6, 120, preempt=True, preempt_delay=3, probing=True, lease=4)


@pytest.mark.parametrize(("transport", "longest"), [("carp", 3), ("vrrp", 3 + 156 / 256)])
def test_a_standard_is_simulated_with_its_own_patience(tmp_path, capsys, transport, longest) -> None:
    facts = simulate(config(tmp_path, transport=transport, advert_interval="1"), "--runs", "10", capsys=capsys)
    assert facts["transport"] == transport
    assert longest - 1 < facts["takeover_after_power_loss"]["worst"] <= longest + 0.001


def test_on_a_good_wire_takeovers_keep_the_promise_of_the_manual(tmp_path, capsys) -> None:
    """Patience is three intervals and an eighth of one; a planned failover takes one flight."""
    facts = simulate(config(tmp_path), "--runs", "20", capsys=capsys)
    lost, planned = facts["takeover_after_power_loss"], facts["planned_failover"]
    assert lost["count"] == planned["count"] == 20
    assert 0.4 <= lost["median"] <= lost["worst"] <= 0.625 + 0.001
    assert planned["worst"] <= 0.001
    assert (facts["needless_failovers"], facts["longest_two_masters"], planned["refused"]) == (0, 0, 0)
    assert facts["longest_no_master"] <= 0.626
    assert facts["simulated_seconds"] > 20 * 0.2 * 150


def test_probing_is_faster_and_slow_advertisements_are_slower(tmp_path, capsys) -> None:
    def median_of(**keys: str) -> float:
        facts = simulate(config(tmp_path, **keys), "--runs", "10", capsys=capsys)
        return facts["takeover_after_power_loss"]["median"]

    assert median_of(detection="probing") < 0.6 * median_of()
    assert median_of(advert_interval="1") > 4 * median_of()


def test_faults_show_in_the_numbers(tmp_path, capsys) -> None:
    words = ("--loss", "20%", "--pause", "4s", "--partition", "5s", "--delay", "5ms", "--runs", "10")
    facts = simulate(config(tmp_path), *words, capsys=capsys)
    assert facts["loss"] == 0.2
    assert (facts["delay"], facts["pause"], facts["partition"]) == (0.005, 4, 5)
    assert 4 < facts["longest_two_masters"] < 6
    assert facts["needless_failovers"] > 0


def test_a_second_path_helps_against_loss(tmp_path, capsys) -> None:
    link = {"heartbeat_links": "198.51.100.1>198.51.100.2"}
    one = simulate(config(tmp_path), "--loss", "20%", "--runs", "10", capsys=capsys)
    two = simulate(config(tmp_path, **link), "--loss", "20%", "--runs", "10", capsys=capsys)
    assert two["paths"] == 2
    assert two["needless_failovers"] < one["needless_failovers"]


def test_same_seed_same_numbers(tmp_path, capsys) -> None:
    def facts(seed: str) -> dict:
        found = simulate(config(tmp_path), "--loss", "10%", "--runs", "3", "--seed", seed, capsys=capsys)
        del found["seed"]
        return found

    assert facts("5") == facts("5")
    assert facts("5") != facts("50")


def test_on_a_wire_that_lets_nothing_through_it_says_never(tmp_path, capsys) -> None:
    assert main(["simulate", "--config", config(tmp_path), "--loss", "99.9%", "--runs", "2"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "never" in out


def test_table_names_configuration_faults_and_results(tmp_path, capsys) -> None:
    path = config(tmp_path, detection="probing")
    assert main(["simulate", "--config", path, "--partition", "1s", "--runs", "2"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}: udp, every 200 ms, dead ratio 3, probing, lease 2 s"
    assert lines[1].endswith("simulated hours: loss 0%, delay up to 1 ms, partition 1 s")
    assert [line[:34].strip() for line in lines[4:]] == [
        "takeover after power loss",
        "planned failover",
        "longest moment without a master",
        "longest moment with two masters",
        "longest with the address on both",
        "needless failovers",
    ]


def test_refused_configuration_is_78_and_says_why(tmp_path, capsys) -> None:
    path = config(tmp_path, dead_ratio="many")
    assert main(["simulate", "--config", path]) == ExitCode.CONFIG
    assert "refused" in (err := capsys.readouterr().err)
    assert "dead_ratio" in err
    assert main(["simulate", "--json", "--config", path]) == ExitCode.CONFIG
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_delay_beyond_the_patience_is_refused_with_the_limit(tmp_path, capsys) -> None:
    assert main(["simulate", "--config", config(tmp_path), "--delay", "200ms"]) == ExitCode.USAGE
    assert "at most 0.15s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--loss", "100%"], ["--loss", "-1"], ["--loss", "x"], ["--pause", "4h"], ["--pause", "9999m"], ["--runs", "0"]],
)
def test_nonsense_is_2_and_shows_how_to_write_it(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *words])
    assert ended.value.code == ExitCode.USAGE
    assert "is no" in capsys.readouterr().err


def test_broken_election_is_1_with_the_seed(tmp_path, capsys, monkeypatch) -> None:
    def broken(self: Trial, seed: int) -> None:
        raise InvariantError("two-masters: for ever")

    monkeypatch.setattr(Trial, "run", broken)
    assert main(["simulate", "--config", config(tmp_path), "--seed", "7"]) == ExitCode.FAILED
    assert "seed 7 breaks the election, please report it: two-masters" in capsys.readouterr().err
