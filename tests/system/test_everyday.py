"""What the old manual tells its reader to look at and to type, on a pair that was set up as the README says."""

import pytest

from tests.labkit import CONFIG_TREE, STATUS_FILE, eventually
from tests.labkit.appliance import CLUSTER, FLOATING, Appliances, floating_on
from tests.labkit.booted import BootedNode
from tests.labkit.image import ROOT_PASSWORD
from tests.labkit.terminal import Terminal

INIT = "/etc/init.d/skudonet-ce-cluster"


def replicators(node: BootedNode) -> list[str]:
    """root@lb1 > ps -ef | grep skdinotify"""
    lines = node.run("ps -ef | grep skdinotify").stdout.splitlines()
    return [line for line in lines if "grep skdinotify" not in line]


class TestRoles:
    def test_status_file_has_the_one_word(self, pair: Appliances) -> None:
        assert pair.lb1.path(STATUS_FILE).read_text() == "master\n"
        assert pair.lb2.path(STATUS_FILE).read_text() == "backup\n"

    def test_skdinotify_runs_on_the_master_only(self, pair: Appliances) -> None:
        assert len(replicators(pair.lb1)) == 1
        assert replicators(pair.lb2) == []

    def test_the_master_has_all_floating_addresses(self, pair: Appliances) -> None:
        assert floating_on(pair.lb1) == list(FLOATING)
        assert floating_on(pair.lb2) == []

    def test_the_product_runs_where_the_addresses_are(self, pair: Appliances) -> None:
        eventually(lambda: "nftlb" in pair.lb1.run("ps -ef").stdout, within=10, what="farms run on the master")
        eventually(lambda: "nftlb" not in pair.lb2.run("ps -ef").stdout, within=10, what="and not on the backup")

    def test_configuration_is_the_same(self, pair: Appliances) -> None:
        assert pair.differences() == []

    def test_an_edit_on_the_master_is_on_the_backup(self, pair: Appliances) -> None:
        (pair.lb1.path(CONFIG_TREE) / "zlb-start").write_text("#!/bin/sh\n# edited\n")
        other = pair.lb2.path(CONFIG_TREE) / "zlb-start"
        eventually(lambda: "edited" in other.read_text(), within=10, what="the edit arrives")
        log = pair.lb1.path("/var/log/skdinotify.log")
        eventually(lambda: "zlb-start" in log.read_text() or log.read_text().count("\n") > 1, what="the log tells")

    def test_nothing_of_the_hosts_failed(self, pair: Appliances) -> None:
        for node in pair.nodes:
            assert node.run("systemctl --failed --no-legend").stdout == ""
            assert node.unit()["ActiveState"] == "active"


class TestPrompt:
    @pytest.mark.parametrize(("name", "prompt"), [("lb1", "[master] root@lb1> "), ("lb2", "[backup] root@lb2> ")])
    @pytest.mark.parametrize("shell", ["exec bash -i", "exec bash -il"])
    def test_interactive_bash_shows_the_role(self, pair: Appliances, name: str, prompt: str, shell: str) -> None:
        node = pair.lb1 if name == "lb1" else pair.lb2
        with Terminal(node, shell) as terminal:
            terminal.expect(prompt)

    def test_it_is_fresh_before_each_prompt(self, pair: Appliances) -> None:
        with Terminal(pair.lb1) as terminal:
            terminal.expect("[master] root@lb1> ")
            pair.lb1.run("skd-cluster failover")
            eventually(lambda: pair.roles() == ("backup", "master"), within=10, what="lb2 is master")
            terminal.type("")
            terminal.expect("[backup] root@lb1> ")
            pair.lb1.run("systemctl stop skudonet-ce-cluster")
            terminal.type("")
            assert "[" not in terminal.expect("root@lb1:~# ").splitlines()[-1]

    def test_in_a_login_over_ssh(self, pair: Appliances) -> None:
        options = "-o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no"
        with Terminal(pair.lb1, f"ssh {options} root@{pair.lb2.address}") as terminal:
            terminal.expect("(yes/no")
            terminal.type("yes")
            terminal.expect("assword:")
            terminal.type(ROOT_PASSWORD)
            terminal.expect("[backup] root@lb2> ", within=10)

    def test_a_script_does_not_notice(self, pair: Appliances) -> None:
        assert pair.lb1.run("bash -lc 'echo \"[$PS1$PROMPT_COMMAND]\"'").stdout == "[]\n"


class TestInitScript:
    def test_stop_and_start(self, pair: Appliances) -> None:
        pair.lb1.run([INIT, "stop"])
        assert floating_on(pair.lb1) == []
        assert not pair.lb1.path(STATUS_FILE).exists()
        assert replicators(pair.lb1) == []
        eventually(lambda: pair.lb2.role() == "master", within=5, what="the other node takes over")
        assert pair.lb1.run([INIT, "status"], check=False).returncode == 3

        pair.lb1.run([INIT, "start"])
        eventually(lambda: pair.lb1.role() == "backup", within=5, what="it comes back as backup")
        assert pair.lb1.run([INIT, "status"], check=False).returncode == 0
        assert floating_on(pair.lb2) == list(FLOATING)

    def test_restart_of_the_backup_changes_nothing(self, pair: Appliances) -> None:
        with pair.client.probe(CLUSTER) as probe:
            mark = probe.mark()
            pair.lb2.run([INIT, "restart"])
            eventually(lambda: pair.lb2.role() == "backup", within=10, what="lb2 is backup again")
            probe.wait_answer()
            assert probe.gap_since(mark).lost == 0
        assert pair.lb1.role() == "master"


class TestConfiguration:
    def test_a_broken_file_leaves_what_runs_in_force(self, pair: Appliances) -> None:
        conf = pair.lb1.path("/usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf")
        good = conf.read_text()
        conf.write_text(good + '$dead_ratio="many";\n')
        try:
            pair.lb1.run("systemctl reload skudonet-ce-cluster")
            eventually(lambda: "dead_ratio" in pair.lb1.output(), within=5, what="the journal names the key")
            assert pair.roles() == ("master", "backup")
            # A restart with it would leave the pair without this node: it says so and does not run.
            assert pair.lb1.run("skd-cluster check", check=False).returncode == 78
        finally:
            conf.write_text(good)
            pair.lb1.run("systemctl reload skudonet-ce-cluster")

    def test_switched_off_is_not_failed(self, pair: Appliances) -> None:
        conf = pair.lb2.path("/usr/local/skudonet/app/ucarp/etc/skudonet-cluster.conf")
        good = conf.read_text()
        conf.write_text(good + '$enable_cluster="false";\n')
        try:
            pair.lb2.run("systemctl restart skudonet-ce-cluster", check=False)
            unit = pair.lb2.unit()
            assert (unit["ActiveState"], unit["Result"]) == ("inactive", "exec-condition")
            assert "enable_cluster" in pair.lb2.output().splitlines()[-2] + pair.lb2.output().splitlines()[-3]
            assert pair.lb2.run("systemctl --failed --no-legend").stdout == ""
        finally:
            conf.write_text(good)


class TestTransports:
    def test_carp_and_vrrp_are_spoken_from_within_the_unit_s_sandbox(self, pair: Appliances) -> None:
        for transport in ("carp", "vrrp", "udp"):
            for node in (pair.lb2, pair.lb1):
                node.run(["skd-cluster", "migrate", "--to", transport])
                node.run("systemctl restart skudonet-ce-cluster")
                both = lambda: all(one.status()["peer"]["heard"] for one in pair.nodes)  # noqa: E731
                eventually(both, within=15, what=f"{node.name} is back, configured for {transport}")
                eventually(lambda: sorted(pair.roles()) == ["backup", "master"], within=15, what="one is master")
            spoken = {"configured": transport, "speaks": transport}
            eventually(
                lambda spoken=spoken: [one.status()["transport"] for one in pair.nodes] == [spoken] * 2, within=15
            )
            assert all(one.status()["faults"] == [] for one in pair.nodes)
            (master,) = (one for one in pair.nodes if one.role() == "master")
            assert floating_on(master) == list(FLOATING)
