"""Every configuration file of the collection, against what its author says a parser must make of it."""

import json
import time
from pathlib import Path

import pytest

from skd_cluster.config.load import Loaded, load
from skd_cluster.config.problems import MAX_PROBLEMS, Problem

CONF = Path(__file__).parents[2] / "fixtures" / "legacy-conf"
CASES = json.loads((CONF / "expected.json").read_text())["files"]


def private_copy(name: str, folder: Path) -> Path:
    copy = folder / name
    copy.write_bytes((CONF / name).read_bytes())
    copy.chmod(0o600)
    return copy


@pytest.fixture(name="empty")
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder: what a file runs would appear there."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def place(problem: Problem) -> tuple[int | None, str | None, str, str]:
    return problem.line, problem.key, str(problem.kind), str(problem.severity)


def assert_problems(loaded: Loaded, expected: list[dict]) -> None:
    assert {place(one) for one in loaded.problems} == {
        (one["line"], one["key"], one["kind"], one["severity"]) for one in expected
    }
    for one in expected:
        ours = [p for p in loaded.problems if place(p) == (one["line"], one["key"], one["kind"], one["severity"])]
        for detail in ("nearest", "first_line", "other", "found"):
            if detail in one:
                assert [getattr(p, detail) for p in ours] == [one[detail]]


def test_the_collection_is_whole():
    assert set(CASES) == {one.name for one in CONF.glob("*.conf")}
    assert len(CASES) == 39


@pytest.mark.parametrize("name", sorted(set(CASES) - {"garbage-1mb.conf"}))
def test_legacy_conf(name, tmp_path, empty):
    case = CASES[name]
    loaded = load(private_copy(name, tmp_path))
    assert_problems(loaded, case["problems"])
    assert loaded.refused == case["refused"]
    assert loaded.starts == (not case["refused"] and case.get("starts", True))
    if case["values"] is not None:
        assert loaded.values == case["values"]
    for key, value in case.get("effective", {}).items():
        effective = getattr(loaded.config, key)
        assert effective == (tuple(value) if isinstance(value, list) else tuple(value.split()))
    assert not list(empty.iterdir())


@pytest.mark.parametrize("name", [one for one in CASES if "semantic" in CASES[one]])
def test_against_the_machine(name, tmp_path):
    semantic = CASES[name]["semantic"]
    loaded = load(private_copy(name, tmp_path), interfaces=frozenset(semantic["given_interfaces"]))
    assert_problems(loaded, CASES[name]["problems"] + semantic["problems"])
    assert loaded.refused


def test_a_mebibyte_of_garbage_is_refused_at_once_with_a_short_report(tmp_path, empty):
    garbage = private_copy("garbage-1mb.conf", tmp_path)
    started = time.monotonic()
    loaded = load(garbage)
    assert time.monotonic() - started < 1
    assert loaded.refused
    assert 1 <= len(loaded.problems) <= MAX_PROBLEMS + 1
    assert all(len(str(one)) < 400 for one in loaded.problems)
    assert not list(empty.iterdir())


def test_garbage_that_is_short_enough_to_be_read_gives_a_bounded_report_too(tmp_path):
    garbage = tmp_path / "garbage.conf"
    garbage.write_bytes((CONF / "garbage-1mb.conf").read_bytes()[: 250 * 1024])
    started = time.monotonic()
    loaded = load(garbage)
    assert time.monotonic() - started < 1
    assert loaded.refused
    assert len(loaded.problems) == MAX_PROBLEMS + 1
    assert loaded.problems[-1].kind == "too-many"


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_password_is_ever_shown(name, tmp_path):
    """Neither in the lines for people nor in any repr."""
    loaded = load(private_copy(name, tmp_path))
    password = (CASES[name]["values"] or {}).get("password", "")
    shown = "\n".join([*map(str, loaded.problems), repr(loaded), repr(loaded.problems), repr(loaded.config)])
    for hidden in (password, "ssw0rd", "se#cret", "'secret'"):
        assert not hidden or hidden not in shown
