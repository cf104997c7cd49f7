"""What `status --watch` draws, exactly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.cli.watchview import ASCII, Canvas, Seen, Tone, beats_words, draw, gist, strip
from skd_cluster.core.checks import CheckState
from skd_cluster.core.hooks import Hook
from skd_cluster.core.model import Nanos, Role
from skd_cluster.core.readiness import readiness
from skd_cluster.core.status import Snapshot, status
from skd_cluster.core.totals import HookTotals
from tests.fakes.supervised import replicated, report

PAGE = Path(__file__).parents[3] / "docs" / "watch.md"
FIRST = Snapshot("lb1", "3.0.0", "192.0.2.1", "192.0.2.2", epoch=4)
QUIET = [100, -200, 3000, 9000, 30000, 60000, None, None, -90]
NOT_RUNNING = "the service is NOT RUNNING here: systemctl start skudonet-ce-cluster"


def moment(instant: float | None) -> str:
    """Say the seconds only: local time is not the same everywhere."""
    return f"12:00:{instant % 60:02.0f}" if instant else "never"


def event(at: int, text: str, severity: str = "notice") -> dict[str, Any]:
    return {"at": 60 + at, "event": "some", "severity": severity, "text": text}


def answer(role: Role = Role.MASTER, events: tuple[dict[str, Any], ...] = (), **changes: Any) -> dict[str, Any]:
    """Return what the service would say."""
    elector = report(role, **changes.pop("elector", {}))
    elector.peer["heartbeat"] = {"interval": 200_000_000, "beats": QUIET}
    elector.peer.update(changes.pop("peer", {}))
    facts: dict[str, Any] = {"elector": elector, "replication": replicated(last_success=65), "replicator_running": True}
    snapshot = replace(FIRST, **facts | changes)
    now = Nanos(elector.at + 1000)
    return {**status(snapshot, now, 61.0), "ready": readiness(snapshot, now), "events": list(events)}


def shown(seen: Seen, columns: int, rows: int, **changes: Any) -> list[str]:
    lines = draw(seen, Canvas(columns, rows, moment, **changes), 70.0)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def tones(seen: Seen, text: str, columns: int = 80) -> set[Tone]:
    """Return the tones of the pieces with this text."""
    return {tone for line in draw(seen, Canvas(columns, 50, moment), 70.0) for one, tone in line if text in one}


def text(lines: str) -> list[str]:
    return [line.rstrip() for line in lines.strip("\n").splitlines()]


BUSY = answer(
    takeovers={"peer_silent": 0.31},
    checks=(CheckState("web", healthy=True, detail=""), CheckState("dns", healthy=False, detail="no answer")),
    hooks={Hook.UP: HookTotals(last="ok", last_seconds=0.31), Hook.DOWN: HookTotals()},
    conflicts=("2026-11-24-lb1",),
    events=(
        event(1, "skd-cluster 3.0.0 starts on lb1"),
        event(2, "lb1 is MASTER: the master was not heard for 610 ms, and this line is longer than there is room"),
        event(9, "check dns: no answer", "warning"),
    ),
)


def test_eighty_by_twenty_four():
    assert shown(Seen(BUSY), 80, 24) == text("""
skd-cluster  lb1 and 192.0.2.2                                          12:00:10
!          check dns: no answer
!          conflict 2026-11-24-lb1 waits on lb1: skd-cluster history show
           2026-11-24-lb1
lb1 MASTER since 12:00:01              │ 192.0.2.2 BACKUP
reason: start                          │ hears this node
epoch 4, generation 0                  │ epoch 1, generation 0
version 3.0.0                          │ version 3.0.0
heartbeat  ▁▁▂▃▄▇xx▁
           every 0.2 s: jitter 3.00 ms, the latest 60.00; 1 late, 2 missed of 9
addresses  203.0.113.10 on lo: held here
copying    in sync; sent: last 12:00:05, took 0.10 s
takeover   192.0.2.2 could take over now; the last ones took 310 ms (peer
           silent)
checks     dns FAILED: no answer, web healthy
hooks      up ok in 0.3 s
conflicts  2026-11-24-lb1 waits on lb1
events     12:00:09 check dns: no answer
           12:00:02 lb1 is MASTER: the master was not heard for 610 ms, and this
           line is longer than there is room
           12:00:01 skd-cluster 3.0.0 starts on lb1
q ends
""")


def test_forty_by_ten_keeps_what_matters_most():
    assert shown(Seen(BUSY), 40, 10) == text("""
skd-cluster  lb1 and 192.0.2.2  12:00:10
!          check dns: no answer
!          conflict 2026-11-24-lb1 wait…
here       lb1 MASTER since 12:00:01
peer       192.0.2.2 BACKUP
heartbeat  ▁▁▂▃▄▇xx▁
addresses  203.0.113.10 on lo: held here
copying    in sync; sent: last 12:00:05…
takeover   192.0.2.2 could take over…
q ends
""")


def test_a_wide_one_has_room_for_whole_sentences():
    found = shown(Seen(BUSY), 200, 50)
    assert "takeover   192.0.2.2 could take over now; the last ones took 310 ms (peer silent)" in found
    assert found[3].index("│") == 99
    assert len(found) == 19


def test_without_unicode():
    found = shown(Seen(BUSY), 40, 10, signs=ASCII)
    assert "heartbeat  ..,-=!xx." in found
    assert all(line.isascii() for line in found)


def test_a_service_that_does_not_run_and_what_it_was_before():
    assert shown(Seen(BUSY, NOT_RUNNING), 60, 8) == text("""
skd-cluster  lb1 and 192.0.2.2                      12:00:10
!          the service is NOT RUNNING here: systemctl start
           skudonet-ce-cluster
           it is asked again and again
before     lb1 was MASTER: start
           192.0.2.2 was BACKUP
events     12:00:09 check dns: no answer
q ends
""")


def test_a_service_that_was_never_seen():
    assert shown(Seen(None, NOT_RUNNING), 80, 24) == text("""
skd-cluster                                                             12:00:10
!          the service is NOT RUNNING here: systemctl start skudonet-ce-cluster
           it is asked again and again
q ends
""")


def test_a_silent_peer():
    found = answer(peer={"alive": False, "hears_us": False})
    assert any("192.0.2.2 SILENT for 0 s, was BACKUP" in line for line in shown(Seen(found), 80, 24))
    assert tones(Seen(found), "SILENT") == {Tone.BAD}
    assert tones(Seen(found), "could NOT take over") == {Tone.BAD}
    found = answer(peer={"alive": False, "heard_at": 0})
    assert any("192.0.2.2 never heard" in line for line in shown(Seen(found), 80, 24))


@pytest.mark.parametrize(
    ("changes", "words", "tone"),
    [
        ({}, "lb1 MASTER", Tone.GOOD),
        ({"role": Role.FAULT}, "lb1 FAULT", Tone.BAD),
        ({"role": Role.STANDBY}, "lb1 STANDBY", Tone.DOUBTFUL),
        ({}, "203.0.113.10", Tone.GOOD),
        ({"role": Role.BACKUP}, "203.0.113.10", Tone.PLAIN),
        (
            {"elector": {"addresses": [{"address": "203.0.113.10", "interface": "lo", "held": False}]}},
            "203.0",
            Tone.BAD,
        ),
        ({"replication": replicated(in_sync=False, pending=3)}, "NOT in sync", Tone.DOUBTFUL),
        ({"replicator_running": False}, "skdinotify does NOT run", Tone.DOUBTFUL),
        ({"peer": {"hears_us": False}}, "does NOT hear this node", Tone.BAD),
        ({"hooks": {Hook.UP: HookTotals(last="timeout", last_seconds=60)}}, "up timeout in 60.0 s", Tone.BAD),
        ({"events": (event(1, "it broke", "err"),)}, "it broke", Tone.BAD),
    ],
)
def test_tones_say_what_is_meant(changes, words, tone):
    assert tones(Seen(answer(**changes)), words) == {tone}


def test_further_links_are_shown_where_there_are_some():
    links = [
        {"name": "10.0.0.1", "alive": True, "fault": ""},
        {"name": "10.9.0.1", "alive": False, "fault": "no route"},
    ]
    found = shown(Seen(answer(elector={"links": links})), 80, 30)
    assert "links      10.0.0.1: heard" in found
    assert "           10.9.0.1: NOT heard no route" in found
    assert not any("links" in line for line in shown(Seen(answer(elector={"links": links[:1]})), 80, 30))


def test_nothing_moves_the_cursor():
    found = answer(checks=(CheckState("web", healthy=False, detail="\x1b[2J\nboo\r"),))
    lines = shown(Seen({**found, "node": "lb\x1b1"}), 80, 24)
    assert all(line.isprintable() for line in lines)
    assert "checks     web FAILED: ?[2J?boo?" in lines


def test_a_service_of_an_older_version():
    found = answer()
    del found["events"], found["peer"]["heartbeat"]
    lines = shown(Seen(found), 80, 24)
    assert not any(line.startswith(("heartbeat", "events")) for line in lines)


@given(
    columns=st.integers(1, 250),
    rows=st.integers(1, 60),
    trouble=st.sampled_from(["", NOT_RUNNING]),
    role=st.sampled_from([*Role]),
    sentences=st.lists(st.text(max_size=200), max_size=30),
    beats=st.lists(st.none() | st.integers(-(10**6), 10**12), max_size=60),
)
def test_it_fits_into_every_terminal(columns, rows, trouble, role, sentences, beats):
    found = answer(role, tuple(event(1, one) for one in sentences), peer={"heartbeat": {"interval": 1, "beats": beats}})
    found["problems"] += sentences
    lines = shown(Seen(found, trouble), columns, rows)
    assert 1 <= len(lines) <= rows
    assert all(len(line) <= columns and line.isprintable() for line in lines)
    assert shown(Seen(None, trouble), columns, rows)


def test_the_strip_and_its_numbers():
    assert strip([0.0001, None, 0.06, 0.0001], 0.2, ASCII) == (
        (".", Tone.GOOD),
        ("x", Tone.BAD),
        ("!", Tone.DOUBTFUL),
        (".", Tone.GOOD),
    )
    assert beats_words([None, None], 0.2) == "every 0.2 s: 0 late, 2 missed of 2"


def test_what_runs_on_by_itself_is_no_change():
    before, after = answer(), answer(peer={"heartbeat": {"interval": 1, "beats": []}}, events=(event(1, "x"),))
    after["counters"] = {"sent": 8}
    assert gist(Seen(before)) == gist(Seen(after))
    different = [
        Seen(answer(Role.BACKUP)),
        Seen(answer(peer={"alive": False})),
        Seen(answer(replication=replicated(in_sync=False))),
        Seen(answer(checks=(CheckState("web", healthy=False, detail="no"),))),
        Seen(before, NOT_RUNNING),
        Seen(None),
    ]
    assert all(gist(Seen(before)) != gist(other) for other in different)


def test_the_manual_shows_it_as_it_is():
    picture = PAGE.read_text().partition("<!-- screen -->\n")[2].partition("<!-- end of screen -->")[0]
    assert [line.removeprefix("    ") for line in picture.splitlines()] == shown(Seen(BUSY), 80, 24)
