"""The real supervisor as a process; a test speaks for its elector and its replicator."""

import json
import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from skd_cluster.core.messages import (
    Command,
    CommandResult,
    Data,
    Floating,
    Health,
    Mastership,
    Note,
    Settings,
    SyncNow,
)
from skd_cluster.core.model import ExitCode, Role
from tests.fakes.supervised import Node, change, eventually, replicated, report


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path) as one:
        yield one


def test_ready_comes_with_the_first_report_and_not_before(node):
    node.start()
    elector = node.child()
    settings = elector.hears(Settings)
    assert (settings.interface, settings.clustered, settings.keys[0]) == ("lo", 1, settings.keys[0])
    assert settings.vips == [["203.0.113.10", 24, "lo", ""]]
    assert len(bytes.fromhex(settings.keys[0])) == 32
    assert not node.notices_within(0.2)
    assert not node.status_file.exists()
    elector.say(report(Role.BACKUP))
    assert "STATUS=backup (epoch 1" in node.await_notice("READY=1")
    node.await_word("backup")


def test_the_elector_is_told_the_keys_epoch_and_standby_that_outlived_the_last_run(node):
    (node.folder / "state").mkdir()
    (node.folder / "state" / "epoch").write_text("41\n")
    (node.folder / "state" / "standby").write_text("")
    node.write_config(password_also="old")
    node.start()
    settings = node.child().hears(Settings)
    assert (settings.epoch, settings.standby, len(settings.keys)) == (41, True, 2)


def test_the_watchdog_is_fed_only_while_the_elector_reports(node):
    node.start(watchdog=0.4)
    elector = node.child()
    elector.say(report())
    node.await_notice("READY=1")
    fed = [one for one in node.notices_within(1.0) if one == "WATCHDOG=1"]
    assert 3 <= len(fed) <= 6
    elector.hush()
    node.await_notice("STATUS=the elector does not report")
    node.await_word("fault")
    assert "WATCHDOG=1" not in node.notices_within(0.6)
    elector.say(report())
    node.await_notice("WATCHDOG=1")
    node.await_word("backup")
    eventually(lambda: "elector_silent" in node.logged())
    eventually(lambda: "elector_back" in node.logged())


def test_a_change_of_role_reaches_file_disk_hook_journal_and_replicator(node):
    elector = node.begin(Role.BACKUP, epoch=1)
    eventually(lambda: "down hook done" in node.logged())
    elector.say(change(Role.BACKUP, Role.MASTER, epoch=2, silent=700_000_000, took=2_000_000))
    node.await_word("master")
    eventually(lambda: "up hook done" in node.logged())
    assert node.traced() == ["down lo 203.0.113.10", "up lo 203.0.113.10"]
    eventually(lambda: (node.folder / "state" / "epoch").read_text() == "2\n")
    replicator = node.child()
    assert replicator.hears(Mastership) == Mastership(2)
    assert replicator.argv[-2:] == ["--config", str(node.config)]
    line = next(one for one in node.logged().splitlines() if "is master now" in one)
    assert "epoch 2: the master was not heard for 700 ms, addresses up after 2.0 ms" in line
    assert "role=master old_role=backup reason=peer_silent epoch=2 peer=192.0.2.2" in line
    elector.say(change(Role.MASTER, Role.BACKUP, epoch=3, reason="rival_won"))
    node.await_word("backup")
    eventually(lambda: node.traced()[-1] == "down lo 203.0.113.10")
    assert replicator.gone()


def test_a_change_that_got_lost_is_found_in_the_next_report(node):
    elector = node.begin(Role.BACKUP)
    elector.say(report(Role.MASTER, epoch=5, reason="peer_resigned"))
    node.await_word("master")
    assert node.child().hears(Mastership) == Mastership(5)


def test_the_newest_role_wins_over_a_hook_that_hangs(node):
    node.hook("up", f'trap "" TERM; echo up >> {node.trace}; while :; do read -r x < /dev/zero & wait; done')
    elector = node.begin(Role.BACKUP)
    eventually(lambda: len(node.traced()) == 1)
    elector.say(change(Role.BACKUP, Role.MASTER, epoch=2))
    eventually(lambda: node.traced()[-1] == "up")
    started = time.monotonic()
    elector.say(change(Role.MASTER, Role.BACKUP, epoch=3))
    eventually(lambda: len(node.traced()) == 3)
    assert node.traced()[-1] == "down lo 203.0.113.10"
    assert 1.9 < time.monotonic() - started < 3.0  # TERM is ignored, KILL comes after 2 s
    eventually(lambda: "the role changed again" in node.logged())


def test_a_missing_hook_is_one_line_and_a_failing_one_a_warning(node):
    (node.folder / "up").unlink()
    node.hook("down", "echo it broke; exit 7")
    elector = node.begin(Role.BACKUP)
    for count, epoch in enumerate((2, 4), 1):
        eventually(lambda count=count: node.logged().count("exit status 7") == count)
        elector.say(change(Role.BACKUP, Role.MASTER, epoch=epoch))
        elector.say(change(Role.MASTER, Role.BACKUP, epoch=epoch + 1))
    eventually(lambda: node.logged().count("exit status 7") == 3)
    assert node.logged().count("no up hook") == 1
    eventually(lambda: "INFO hook_output down hook: it broke hook=down" in node.logged())


def test_sigterm_stops_in_order(node):
    elector = node.begin(Role.MASTER)
    replicator = node.child()
    eventually(lambda: node.traced() == ["up lo 203.0.113.10"])
    node.signal(signal.SIGTERM)
    node.await_notice("STOPPING=1")
    assert elector.hears(Command).verb == "stop"
    assert replicator.gone()
    elector.say(change(Role.MASTER, Role.BACKUP, reason="shutdown"))
    elector.leave(0)
    assert node.ended() == ExitCode.OK
    assert node.traced() == ["up lo 203.0.113.10", "down lo 203.0.113.10"]
    assert not node.status_file.exists()
    assert not (node.folder / "run" / "control.sock").exists()


def test_sigterm_waits_for_the_down_hook_but_no_longer_than_its_time(node):
    node.hook("down", f"echo down >> {node.trace}; exec sleep 60")
    node.write_config(hook_timeout="1")
    elector = node.begin(Role.MASTER)
    eventually(node.traced)
    started = time.monotonic()
    node.signal(signal.SIGTERM)
    elector.hears(Command)
    elector.leave(0)
    assert node.ended() == ExitCode.OK
    assert 0.9 < time.monotonic() - started < 3, node.logged()
    assert node.traced()[-1] == "down"


def test_an_elector_that_does_not_stop_is_killed(node):
    elector = node.begin(Role.BACKUP)
    node.signal(signal.SIGTERM)
    elector.hears(Command)
    assert node.ended() == ExitCode.OK
    assert "signal 9 instead of stopping" in node.logged()


@pytest.mark.parametrize("how", ["killed", "exits"])
def test_without_its_elector_the_service_gives_up(node, how):
    elector = node.begin(Role.MASTER)
    node.await_word("master")
    if how == "killed":
        os.kill(elector.pid, signal.SIGKILL)
    else:
        elector.leave(0)
    assert node.ended() == ExitCode.FAILED
    assert not node.status_file.exists()
    assert node.logged().count("elector_lost") == 1
    assert "Traceback" not in node.logged()


def test_an_elector_that_is_not_there_is_one_clear_line(node):
    (node.folder / "bin" / "skd-elector").write_text("#!/nonexistent\n")
    node.start()
    assert node.ended() == ExitCode.FAILED
    assert "Traceback" not in node.logged()


def test_a_run_that_was_killed_is_told_by_the_next_one_and_a_stopped_one_is_not(node):
    node.begin(Role.BACKUP)
    assert node.ask(verb="status")["status"]["crashes"] == 0
    node.signal(signal.SIGKILL)
    node.ended()
    elector = node.begin(Role.BACKUP)
    found = node.ask(verb="status")["status"]
    assert found["crashes"] == 1
    assert "ended without being stopped once" in found["problems"][0]
    assert "WARNING crashed " in node.logged()
    node.signal(signal.SIGTERM)
    elector.leave(0)
    assert node.ended() == ExitCode.OK
    node.begin(Role.BACKUP)
    assert node.ask(verb="status")["status"]["crashes"] == 1
    assert "crashed" not in node.logged()


def test_children_do_not_outlive_a_killed_supervisor(node):
    elector = node.begin(Role.MASTER)
    replicator = node.child()
    node.signal(signal.SIGKILL)
    assert elector.gone()
    assert replicator.gone()


def test_the_replicator_is_started_again_and_nobody_changes_role(node):
    node.begin(Role.MASTER)
    first = node.child()
    first.say(replicated())
    first.leave(1)
    second = node.child()
    assert second.hears(Mastership) == Mastership(1)
    second.say(replicated(runs={"ok": 1}))
    assert node.status_file.read_text() == "master\n"
    eventually(lambda: "skdinotify ended with status 1" in node.logged())
    eventually(lambda: node.ask(verb="status")["status"]["replication"]["in_sync"])


def test_what_the_replicator_and_receive_hold_goes_into_the_packets(node):
    elector = node.begin(Role.MASTER)
    node.child().say(replicated())
    assert elector.hears(Data) == Data(3, 9, "ab" * 32)
    answer = node.ask(verb="applied", data_epoch=4, generation=1, digest="cd" * 32, files=2, bytes=5, seconds=0.1)
    assert answer["ok"]
    assert elector.hears(Data) == Data(4, 1, "cd" * 32)


def test_fence_names_the_highest_epoch_known(node):
    peer = report().peer | {"epoch": 12}
    node.begin(Role.BACKUP, epoch=11, peer=peer)
    assert node.ask(verb="fence") == {"ok": True, "text": "", "role": "backup", "epoch": 12}


def test_floating_addresses_follow_the_product_s_files(node):
    elector = node.begin(Role.MASTER)
    (node.folder / "tree" / "if_lo:web_conf").write_text("status=up\naddr=203.0.113.20\nmask=255.255.255.0\n")
    (node.folder / "tree" / "if_lo_conf").write_text("addr=127.0.0.1\nmask=255.0.0.0\n")
    vips = elector.hears(Floating).vips
    assert [one[0] for one in vips] == ["203.0.113.10", "203.0.113.20"]


def test_a_failing_check_reaches_the_elector_and_its_recovery_too(node):
    node.write_config(check_interval="0.1", check_fall="2", check_rise="1")
    node.script(node.folder / "checks" / "web", f"test -e {node.folder}/well || {{ echo no answer on 443; exit 1; }}")
    elector = node.begin(Role.BACKUP)
    assert elector.hears(Health) == Health([["web", "no answer on 443"]])
    assert node.ask(verb="status")["status"]["checks"] == [
        {"name": "web", "healthy": False, "detail": "no answer on 443"}
    ]
    (node.folder / "well").write_text("")
    assert elector.hears(Health) == Health([])


def test_notes_are_logged_and_repeats_counted(node):
    elector = node.begin(Role.BACKUP)
    for number in range(50):
        elector.say(Note("address_restored", f"restored {number}", "warning", {"ADDRESS": "203.0.113.10"}))
    elector.say(Note("other", "last"))
    eventually(lambda: "INFO other last" in node.logged())
    assert node.logged().count("WARNING address_restored") == 5
    eventually(lambda: "ADDRESS=203.0.113.10" in node.logged())


def test_refused_logins_are_counted_told_and_do_not_flood_the_journal(node):
    node.begin(Role.BACKUP)
    assert node.ask(verb="status")["status"]["refusals"]["last"] is None
    assert not node.ask(verb="refused", client="192.0.2.2")["ok"]
    for number in range(50):
        assert node.ask(verb="refused", client="192.0.2.2", text=f"this key: the command {number}" + 999 * "x")["ok"]
    found = node.ask(verb="status")["status"]
    assert found["refusals"]["count"] == 50
    assert "refused 50 times, last to 192.0.2.2 0 min ago: this key: the command 49xxx" in found["problems"][0]
    eventually(lambda: "WARNING gate_refused refused to 192.0.2.2: this key: the command 4xxx" in node.logged())
    assert node.logged().count("gate_refused") == 5
    assert "client=192.0.2.2" in node.logged()
    assert not node.ask(verb="applied", data_epoch=float("inf"), generation=1, digest="")["ok"]


def test_failover_answers_when_the_peer_is_master(node):
    elector = node.begin(Role.MASTER)
    asked = socket.socket(socket.AF_UNIX)
    asked.connect(str(node.folder / "run" / "control.sock"))
    asked.sendall(b'{"verb": "failover"}\n')
    command = elector.hears(Command)
    assert command.verb == "failover"
    elector.say(CommandResult(command.ident, accepted=True))
    elector.say(change(Role.MASTER, Role.BACKUP, reason="command"))
    elector.say(report(Role.BACKUP))
    answer = json.loads(asked.makefile().readline())
    assert answer["ok"]
    assert "is backup now, 192.0.2.2 is master after" in answer["text"]
    asked.close()


def test_a_refused_command_says_why(node):
    elector = node.begin(Role.BACKUP)
    asked = socket.socket(socket.AF_UNIX)
    asked.connect(str(node.folder / "run" / "control.sock"))
    asked.sendall(b'{"verb": "failover"}\n')
    elector.say(CommandResult(elector.hears(Command).ident, accepted=False, text="this node is not master"))
    assert json.loads(asked.makefile().readline()) == {"ok": False, "text": "this node is not master"}
    asked.close()


def test_standby_is_remembered_and_online_forgets_it(node):
    elector = node.begin(Role.BACKUP)
    mark = node.folder / "state" / "standby"
    for verb, role in (("standby", Role.STANDBY), ("online", Role.BACKUP)):
        asked = socket.socket(socket.AF_UNIX)
        asked.connect(str(node.folder / "run" / "control.sock"))
        asked.sendall(json.dumps({"verb": verb}).encode() + b"\n")
        elector.say(CommandResult(elector.hears(Command).ident, accepted=True))
        elector.say(report(role))
        assert json.loads(asked.makefile().readline())["ok"]
        asked.close()
        eventually(lambda verb=verb: mark.exists() is (verb == "standby"))
        node.await_word(role.word)


def test_sync_is_for_the_master(node):
    elector = node.begin(Role.BACKUP)
    assert "is backup" in node.ask(verb="sync")["text"]
    elector.say(change(Role.BACKUP, Role.MASTER, epoch=2))
    replicator = node.child()
    assert node.ask(verb="sync", allow_delete=True)["ok"]
    assert replicator.hears(SyncNow) == SyncNow(allow_delete=True)


def test_slow_and_hostile_control_clients_do_not_matter(node):
    node.begin(Role.BACKUP)
    path = str(node.folder / "run" / "control.sock")
    with ExitStack() as clients:
        for number in range(40):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            client.send((b"{", b"\n", b"[" * 5000 + b"\n", b"\xff\xfe\n", b'{"verb": 1}\n')[number % 5])
        assert node.ask(verb="status")["status"]["role"] == "backup"
    assert node.ask(verb="nonsense") == {"ok": False, "text": "unknown verb 'nonsense'"}
    assert not node.ask(verb="applied")["ok"]


def test_the_control_socket_is_for_root_only(node):
    node.begin(Role.BACKUP)
    assert (node.folder / "run" / "control.sock").stat().st_mode & 0o777 == 0o600


def test_a_second_supervisor_declines(node, tmp_path):
    node.begin(Role.BACKUP)
    other = Node.__new__(Node)
    other.__dict__.update(node.__dict__, log=tmp_path / "log2", process=None)
    other.start()
    assert other.ended() == ExitCode.FAILED
    assert "another skd-cluster runs" in other.logged()
    node.await_word("backup")


def test_reload_applies_what_it_can_and_names_the_rest(node):
    elector = node.begin(Role.BACKUP)
    eventually(node.traced)
    node.hook("up", f"echo new up >> {node.trace}")
    node.hook("other", f"echo other >> {node.trace}")
    node.write_config(up_script=str(node.folder / "other"), udp_port="10113")
    node.signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in node.await_notice("RELOADING=1")
    node.await_notice("READY=1")
    eventually(lambda: "in force: up_script; needs a restart: udp_port" in node.logged())
    elector.say(change(Role.BACKUP, Role.MASTER, epoch=2))
    eventually(lambda: node.traced()[-1] == "other")


def test_a_broken_file_leaves_the_running_configuration_in_force(node):
    node.begin(Role.BACKUP)
    node.write_config(cluster_id="many")
    answer = node.ask(verb="reload")
    assert not answer["ok"]
    assert any("not in force" in one for one in node.ask(verb="status")["status"]["problems"])
    eventually(lambda: "config_problem" in node.logged())
    node.write_config(cluster_id="1")
    assert node.ask(verb="reload") == {"ok": True, "text": "nothing changed"}


def test_a_refused_configuration_is_78_with_every_problem(node):
    node.write_config(cluster_id="many", local_ip="nowhere")
    node.start()
    assert node.ended() == ExitCode.CONFIG
    assert node.logged().count("ERR config_problem") == 2


def test_switched_off_is_no_failure(node):
    node.write_config(enable_cluster="false")
    node.start()
    assert node.ended() == ExitCode.OK
    assert node.logged().count("\n") == 1
    assert not Path(node.keys["run_dir"]).exists()


def test_metrics_are_served_and_a_slow_client_is_not_in_the_way(node):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    node.write_config(metrics_listen=f"127.0.0.1:{port}")
    node.begin(Role.MASTER, epoch=6)
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.send(b"GET /metr")
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            found = {
                sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
                for family in text_string_to_metric_families(answer.read().decode())
                for sample in family.samples
            }
    assert found["skd_cluster_role[master]"] == 1
    assert found["skd_cluster_role[backup]"] == 0
    assert found["skd_cluster_epoch"] == 6
    assert found["skd_cluster_advertisements_dropped_total[bad_key]"] == 2
    assert found["skd_cluster_address_held[203.0.113.10]"] == 1


def test_metrics_are_protected_from_the_first_moment_and_a_bad_file_lets_nobody_in(node, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {prom: plain}\n")
    node.write_config(metrics_listen=f"127.0.0.1:{port}", metrics_web_config=str(web))
    node.begin(Role.BACKUP)
    eventually(lambda: "web.yml: basic_auth_users: 'prom': expected a bcrypt hash" in node.logged())
    assert any("metrics: " in one for one in node.ask(verb="status")["status"]["problems"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    web.write_text("basic_auth_users: {prom: $2b$04$%s}\n" % ("a" * 53))
    eventually(lambda: "metrics_available" in node.logged())
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)


def test_metrics_are_a_file_while_the_service_runs(node, tmp_path):
    path = tmp_path / "skd.prom"
    node.write_config(metrics_listen="off", metrics_textfile=str(path))
    elector = node.begin(Role.BACKUP)
    eventually(lambda: path.exists() and "skd_cluster_build_info{" in path.read_text())
    node.signal(signal.SIGTERM)
    elector.hears(Command)
    elector.leave(0)
    assert node.ended() == ExitCode.OK
    assert not path.exists()


def test_a_metrics_port_in_use_is_one_warning_and_the_service_goes_on(node):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node.write_config(metrics_listen=f"127.0.0.1:{taken.getsockname()[1]}")
        node.begin(Role.BACKUP)
        eventually(lambda: "WARNING metrics_unavailable" in node.logged())
        assert any("metrics: cannot serve" in one for one in node.ask(verb="status")["status"]["problems"])
