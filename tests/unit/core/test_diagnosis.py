"""The rules of `doctor`: facts in, findings out, one fault at a time."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from skd_cluster.core.diagnosis import Finding, NodeRule, PairRule, State, diagnose, ok, worst
from skd_cluster.core.diagnosis_facts import NodeFacts, pack, unpack
from skd_cluster.core.diagnosis_pair import EQUAL, NEEDED, SIMILAR
from skd_cluster.core.diagnosis_rules import RULES, rule_table, with_table

MAC1, MAC2, STRANGER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:99"
VIP = ["192.0.2.10", 24, "eth0"]


def healthy(number: int = 1, **changes: Any) -> NodeFacts:
    """One of two nodes with which all is well; 1 is master."""
    mine, other = f"192.0.2.{number}", f"192.0.2.{3 - number}"
    settings = dict.fromkeys((*EQUAL, *SIMILAR), "1") | {"udp_port": "10112"}
    settings |= {"local_ip": mine, "remote_ip": other, "status_file": "/etc/status", "metrics_listen": f"{mine}:9869"}
    role = "master" if number == 1 else "backup"
    held = [[*VIP, True]] if number == 1 else []
    facts = NodeFacts(
        node=f"lb{number}",
        software="3.0.0",
        python="3.11.2",
        libraries={"netaddr": "0.8"},
        product="7.1.0",
        local_ip=mine,
        remote_ip=other,
        interface="eth0",
        config="/etc/c.conf",
        config_mode=0o600,
        config_owner=0,
        settings=settings | {"state_dir": "/var/lib/s", "checks_dir": "/checks"},
        password="d1g3st",
        links={"eth0": [True, True, MAC1 if number == 1 else MAC2]},
        addresses=[[mine, 24, "eth0", False], *held],
        floating=[VIP],
        route="eth0",
        there="",
        paired=True,
        offset=[] if number == 1 else [0.1, 0.01],
        synchronized=1,
        unit={"LoadState": "loaded", "UnitFileState": "enabled", "Type": "notify", "RestartPreventExitStatus": "78"},
        product_unit={"LoadState": "loaded", "DropInPaths": "/lib/x/skudonet-ce-cluster.conf"},
        status={
            "role": role,
            "peer": {"alive": True, "heard": True, "links": [{"name": "main", "alive": True}]},
            "counters": {"sent": 9},
            "replication": {"in_sync": True},
            "elector": {"realtime": True},
        },
        word=role,
        hooks=[["up_script", "/hook", ""]],
        prompt=["/etc/profile.d/skd-prompt.sh"],
        disks=[["/etc", 1 << 33, 1 << 34, 900, 1000]],
        watches=8192,
        instances=128,
        folders=40,
        realtime_runtime=950_000,
        realtime_period=1_000_000,
    )
    return replace(facts, **changes)


def found(ours: NodeFacts, theirs: NodeFacts | None) -> list[tuple[str, str, str, str]]:
    """What is wrong: item, node, state, evidence."""
    told = diagnose(RULES, ours, theirs)
    wrong = [one for one in told if one.state in (State.WARNING, State.PROBLEM)]
    assert all(one.remedy for one in wrong)
    assert all("\n" not in one.evidence + one.remedy for one in told)
    return [(one.item, one.node, one.state.value, one.evidence) for one in wrong]


def test_healthy_pair_has_nothing_wrong_and_an_answer_to_each_item() -> None:
    told = diagnose(RULES, healthy(), healthy(2))
    assert found(healthy(), healthy(2)) == []
    assert {one.item for one in told} == {rule.name for rule in RULES}
    assert worst(told) is State.OK


SETTINGS = healthy(2).settings
STATUS = healthy(2).status

ONE_FAULT: tuple[tuple[dict[str, Any], str, str, str], ...] = (
    # what is different on lb2, the item, its state, a part of the evidence or of the remedy
    ({"links": {}}, "interface", "problem", "eth0 does not exist; there are none"),
    ({"links": {"eth0": [False, False, MAC2]}}, "interface", "problem", "ip link set eth0 up"),
    ({"links": {"eth0": [True, False, MAC2]}}, "interface", "problem", "no carrier"),
    ({"tracked": ["eth1"]}, "interface", "problem", "eth1 does not exist"),
    ({"addresses": []}, "local-address", "problem", "ip address add 192.0.2.2/24 dev eth0"),
    ({"addresses": [["192.0.2.2", 24, "eth1", False]]}, "local-address", "warning", "is on eth1"),
    ({"answers": {"192.0.2.2": [STRANGER]}}, "local-address", "problem", STRANGER),
    ({"answers": {VIP[0]: [STRANGER, MAC1]}}, "floating-addresses", "problem", f"answered for by {STRANGER}, which"),
    ({"addresses": [["192.0.2.2", 24, "eth0", False], [*VIP, True]]}, "floating-addresses", "problem", "ip address del"),
    ({"floating": [[VIP[0], 24, "eth7"]]}, "floating-interfaces", "problem", "lives on eth7, which this node has not"),
    ({"sysctl": {"arp_ignore.all": "8"}}, "kernel", "problem", "arp_ignore is 8"),
    ({"sysctl": {"disable_ipv6": "1"}, "floating": [VIP, ["2001:db8::1", 64, "eth0"]]}, "kernel", "problem", "IPv6"),
    ({"sysctl": {"rp_filter": "1"}, "route": "eth1"}, "kernel", "problem", "the way back to the peer is eth1"),
    ({"addresses": [["192.0.2.10", 24, "eth0", False], ["192.0.2.2", 24, "eth0", True]]}, "kernel", "problem", "secondary"),
    ({"networkd": {"eth0": ["/etc/systemd/network/a.network", ""]}, "networkd_rules": "no"}, "managers", "warning",
     "/etc/systemd/network/a.network.d/skd-cluster.conf"),
    ({"networkd": {"eth9": ["/a", ""]}}, "managers", "warning", "ManageForeignRoutingPolicyRules=no"),
    ({"network_manager": ["eth0"]}, "managers", "warning", "NetworkManager manages eth0"),
    ({"dhcp": ["eth0"]}, "managers", "warning", "a DHCP client runs on eth0"),
    ({"cloud_init": True}, "managers", "warning", "network: {config: disabled}"),
    ({"blocked": [["inet", "filter", "input", "policy"]]}, "firewall", "problem",
     "nft insert rule inet filter input ip saddr 192.0.2.1 udp dport 10112 accept"),
    ({"status": STATUS | {"peer": {"alive": False}}}, "heartbeat", "problem", "9 packets sent, and none of 192.0.2.1"),
    ({"status": STATUS | {"peer": {"alive": False}, "counters": {"dropped.bad_key": 7}}}, "heartbeat", "problem",
     "or its password: 7 packets since the start had another one"),
    ({"status": STATUS | {"peer": {"alive": True, "heard": False}}}, "heartbeat", "problem", "does not hear this node"),
    ({"status": STATUS | {"peer": {"alive": True, "heard": True, "links": [{"name": "b", "alive": False}]}}},
     "heartbeat", "warning", "by way of b"),
    ({"group": "224.0.0.18"}, "multicast", "problem", "not in the group 224.0.0.18"),
    ({"there": "no sshd answers on the peer"}, "ssh", "problem", "systemctl enable --now ssh"),
    ({"there": "the peer does not take the key of this pair"}, "ssh", "problem", "skd-cluster pair"),
    ({"there": "the peer cannot be reached by ssh: x"}, "ssh", "problem", "ping -c 3 -I 192.0.2.2 192.0.2.1"),
    ({"paired": False}, "pairing", "warning", "skd-cluster pair"),
    ({"loose": [["/root/.ssh", "mode 0777, others may write: x"]]}, "pairing", "problem", "chmod go-w /root/.ssh"),
    ({"loose": [["/root", "its owner is user 5: x"]]}, "pairing", "problem", "chown root:root /root"),
    ({"loose": [["/key", "mode 0644, others may read it"]]}, "pairing", "problem", "chmod 600 /key"),
    ({"sshd": ["PermitRootLogin no: expected yes"]}, "pairing", "problem", "PermitRootLogin no"),
    ({"offset": [3.0, 0.1]}, "clock", "warning", "lb2's clock is 3.0 s ahead of lb1's"),
    ({"offset": [-90.0, 0.1]}, "clock", "problem", "lb2's clock is 90.0 s behind lb1's"),
    ({"software": "3.1.0"}, "versions", "warning", "skd-cluster 3.0.0 on lb1, 3.1.0 on lb2"),
    ({"product": "7.0.0"}, "versions", "warning", "apt install skudonet"),
    ({"libraries": {"systemd-python": ""}}, "libraries", "problem", "apt install python3-systemd"),
    ({"node": "lb1"}, "names", "warning", "hostnamectl"),
    ({"password": "0ther"}, "mirror", "problem", "the passwords of lb1 and lb2 are different"),
    ({"settings": SETTINGS | {"remote_ip": "192.0.2.7"}}, "mirror", "problem", "expected 192.0.2.1, the $local_ip of lb1"),
    ({"settings": SETTINGS | {"cluster_id": "2"}}, "mirror", "problem",
     "sed -i '/^[[:space:]]*$cluster_id[[:space:]]*=/d' /etc/c.conf && printf '\\n%s\\n' '$cluster_id=\"1\";' >> /etc/c.conf"),
    ({"settings": SETTINGS | {"dead_ratio": "2"}}, "mirror", "warning", "$dead_ratio is 1 on lb1 and 2 on lb2"),
    ({"excluded": ["config/web_proxy.cfg"]}, "exclude", "problem", "config/web_proxy.cfg"),
    ({"status": STATUS | {"role": "master"}, "word": "master"}, "roles", "problem", "both nodes are master"),
    ({"config_mode": 0o640}, "configuration", "warning", "chmod 600 /etc/c.conf"),
    ({"config_owner": 7}, "configuration", "problem", "chown root:root"),
    ({"warnings": ["c.conf:3: warning: x"]}, "configuration", "warning", "c.conf:3"),
    ({"status": {}, "word": ""}, "service", "problem", "systemctl start skudonet-ce-cluster"),
    ({"status": {}, "word": "", "unit": {"LoadState": "loaded", "UnitFileState": "enabled", "ExecMainStatus": "78"}},
     "service", "problem", "skd-cluster check"),
    ({"unit": {"LoadState": "not-found"}}, "unit", "problem", "apt install --reinstall"),
    ({"unit": {"LoadState": "loaded", "UnitFileState": "disabled"}}, "unit", "warning", "systemctl enable"),
    ({"unit": {"LoadState": "loaded", "UnitFileState": "enabled", "RestartPreventExitStatus": ""}}, "unit", "warning",
     "systemctl revert"),
    ({"product_unit": {"LoadState": "loaded"}}, "product", "problem", "raising floating addresses at boot"),
    ({"word": "master"}, "status-file", "problem", "/etc/status says master, the service is backup"),
    ({"status": {}}, "status-file", "warning", "rm /etc/status"),
    ({"state_dir": "does not exist"}, "state", "problem", "mkdir -p /var/lib/s"),
    ({"disks": [["/etc", 1 << 20, 1 << 34, 900, 1000]]}, "disks", "problem", "/etc: 1 MiB of 16384 free"),
    ({"disks": [["/etc", 300 << 20, 1 << 34, 900, 1000]]}, "disks", "warning", "300 MiB"),
    ({"disks": [["/etc", 1 << 33, 1 << 34, 5, 1000]]}, "disks", "problem", "5 inodes of 1000 free"),
    ({"watches": 39}, "inotify", "problem", "fs.inotify.max_user_watches=65536"),
    ({"watches": 79}, "inotify", "warning", "40 folders are watched"),
    ({"instances": 15}, "inotify", "warning", "max_user_instances is 15"),
    ({"realtime_runtime": 0}, "real-time", "problem", "no real-time process runs"),
    ({"status": STATUS | {"elector": {"realtime": False}}}, "real-time", "warning", "without real-time"),
    ({"synchronized": 0}, "time", "warning", "nobody synchronizes"),
    ({"hooks": [["up_script", "/h", "not executable"]]}, "hooks", "problem", "chmod 755 /h"),
    ({"hooks": [["up_script", "/h", "missing"]]}, "hooks", "warning", "/h is not there"),
    ({"hooks": [["up_script", "/h", "its first line names /x"]]}, "hooks", "problem", "its first line names /x"),
    ({"idle_checks": ["/checks/a"]}, "checks", "warning", "chmod 755 /checks/a"),
    ({"status": STATUS | {"checks": [{"name": "a", "healthy": False, "detail": "why"}]}}, "checks", "problem", "a: why"),
    ({"metrics": "Address already in use"}, "metrics", "warning", "ss -ltnp 'sport = :9869'"),
    ({"prompt": []}, "prompt", "warning", "/etc/profile.d/skd-prompt.sh"),
    ({"leftovers": [["ucarp runs", "pkill -x ucarp"]]}, "leftovers", "problem", "ucarp runs"),
    ({"unit": {"LoadState": "loaded", "UnitFileState": "enabled", "NeedDaemonReload": "yes"}}, "unit", "warning",
     "systemctl daemon-reload"),
    ({"unit": {"LoadState": "loaded", "UnitFileState": "enabled", "Type": "simple"}}, "unit", "warning", "Type=simple"),
    ({"status": STATUS | {"problems": ["the last up hook: failed", "else"]}}, "service", "problem", "the last up hook: failed"),
    ({"realtime_runtime": 10}, "real-time", "warning", "may run 10 of 1000000 us"),
    ({"settings": SETTINGS | {"exclude": "--exclude 'x'"}}, "mirror", "warning", "systemctl reload"),
    ({"late": ["the firewall"]}, "complete", "warning", "the firewall"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "item", "state", "words"), ONE_FAULT, ids=lambda one: one if isinstance(one, str) else ""
)
def test_one_fault_is_one_finding_with_its_remedy(changes: dict[str, Any], item: str, state: str, words: str) -> None:
    theirs = healthy(2, **changes)
    told = [one for one in diagnose(RULES, healthy(), theirs) if one.item == item and one.state.value == state]
    assert len(told) == 1, found(healthy(), theirs)
    assert words in f"{told[0].evidence} {told[0].remedy}"


def test_two_masters_are_advised_to_take_one_out_and_never_to_delete_an_address() -> None:
    one = healthy()
    second = healthy(2, addresses=[*healthy(2).addresses, [*VIP, True]], status=STATUS | {"role": "master"})
    told = diagnose(RULES, one, second)
    (address,) = (found for found in told if found.item == "floating-addresses")
    assert (address.node, address.state) == ("lb2", State.PROBLEM)
    assert address.evidence == "192.0.2.10 is on both nodes, since both are master"
    assert address.remedy == "skd-cluster standby"


@pytest.mark.parametrize(
    ("alive", "role", "state", "words"),
    [
        (True, "backup", State.OK, "192.0.2.1 is heard, speaks carp, and no native packets"),
        (False, "master", State.NOT_APPLICABLE, "a backup that speaks carp is silent"),
        (False, "backup", State.PROBLEM, "nothing of 192.0.2.1 is heard, neither carp nor native packets"),
    ],
)
def test_what_is_heard_in_a_standard(*, alive: bool, role: str, state: State, words: str) -> None:
    standard = STATUS | {"transport": {"speaks": "carp"}, "peer": {"alive": alive}, "role": role}
    told = diagnose(RULES, healthy(), healthy(2, status=standard))
    (heartbeat,) = (one for one in told if (one.item, one.node) == ("heartbeat", "lb2"))
    assert heartbeat.state is state
    assert heartbeat.evidence.startswith(words)
    assert bool(heartbeat.remedy) is (state is State.PROBLEM)


def test_every_rule_has_a_fault_in_this_test() -> None:
    covered = {item for _, item, _, _ in ONE_FAULT} | {"replication"}
    assert covered == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("replication", "state", "words"),
    [
        ({"in_sync": False, "pending": 3}, "warning", "the peer lacks 3 changes"),
        ({"in_sync": False, "last_error": "no space"}, "problem", "no space"),
    ],
)
def test_replication_is_the_masters(replication: dict[str, Any], state: str, words: str) -> None:
    ours = healthy(status=healthy().status | {"replication": replication})
    assert ("replication", "lb1", state, words) in found(ours, healthy(2))


def test_address_on_the_backup_alone_and_on_nobody() -> None:
    bare = healthy(addresses=[["192.0.2.1", 24, "eth0", False]])
    holding = healthy(2, addresses=[["192.0.2.2", 24, "eth0", False], [*VIP, True]])
    assert found(bare, holding) == [
        ("floating-addresses", "lb2", "problem", "192.0.2.10 is on lb2, which is not master")
    ]
    assert found(bare, healthy(2)) == [("floating-addresses", "lb1", "problem", "192.0.2.10 is on neither node")]


def test_peer_that_cannot_be_asked_is_a_finding_and_the_rest_is_judged() -> None:
    ours = healthy(there="no sshd answers on the peer 192.0.2.2")
    assert found(ours, None) == [("ssh", "192.0.2.2", "problem", "no sshd answers on the peer 192.0.2.2")]
    told = diagnose(RULES, ours, None)
    assert {one.state for one in told if one.item in ("mirror", "clock")} == {State.NOT_APPLICABLE}


def test_facts_survive_the_wire_and_nonsense_harms_nobody() -> None:
    assert unpack(pack(healthy())) == healthy()
    assert unpack({"node": 7, "links": [], "new": 1}) == NodeFacts()
    strange = unpack(
        pack(healthy(2)) | {"links": {"eth0": 5}, "addresses": [[1]], "disks": [["/"]], "status": {"peer": 3}}
    )
    told = diagnose(RULES, healthy(), strange)
    assert any("not understood" in one.evidence for one in told)


def test_conflicts_that_wait_are_told() -> None:
    ours = healthy(status=healthy().status | {"conflicts": [{"name": "split-1", "node": "lb2"}]})
    assert found(ours, healthy(2)) == [("replication", "lb1", "warning", "conflict split-1 waits on lb2")]


def test_value_that_no_shell_should_see_is_left_to_an_editor() -> None:
    ours = healthy(settings=healthy().settings | {"exclude": "--exclude 'x'", "cluster_ip": "`id`"})
    told = [one.remedy for one in diagnose(RULES, ours, healthy(2)) if one.item == "mirror"]
    assert told == [
        "edit $cluster_ip in /etc/c.conf, then systemctl reload skudonet-ce-cluster",
        "edit $exclude in /etc/c.conf, then systemctl reload skudonet-ce-cluster",
    ]


def state_of(item: str, *nodes: NodeFacts) -> list[tuple[State, str]]:
    """What is said of one item."""
    ours, theirs = (*nodes, healthy(2))[:2]
    return [(one.state, one.evidence) for one in diagnose(RULES, ours, theirs) if one.item == item]


def test_what_does_not_concern_a_node_is_said_to_be_so() -> None:
    nobody = healthy(status=healthy().status | {"role": "backup"}, word="backup", addresses=healthy().addresses[:1])
    assert state_of("roles", nobody)[0] == (State.PROBLEM, "neither node is master: backup and backup")
    assert state_of("floating-addresses", nobody)[0][0] is State.NOT_APPLICABLE
    assert state_of("clock", healthy(), healthy(2, offset=[]))[0][0] is State.NOT_APPLICABLE
    assert state_of("multicast", healthy(group="224.0.0.18", joined=["224.0.0.18"]))[0][0] is State.OK
    assert state_of("service", healthy(settings={"enable_cluster": "false"}, status={}))[0][0] is State.NOT_APPLICABLE
    assert state_of("metrics", healthy(settings={"metrics_listen": "off"}))[0][0] is State.NOT_APPLICABLE
    assert state_of("managers", healthy(network_manager=["eth9"], dhcp=["eth9"]))[0][0] is State.OK
    secondary = [["192.0.2.1", 24, "eth0", True], ["192.0.2.99", 24, "eth0", False]]
    assert state_of("kernel", healthy(addresses=secondary))[0][0] is State.OK
    both = healthy(sysctl={"promote_secondaries": "1"}, addresses=[["192.0.2.1", 24, "eth0", True], VIP_FIRST])
    assert state_of("kernel", both)[0][0] is State.OK


VIP_FIRST = [*VIP, False]


@pytest.mark.parametrize("document", ["", "<!-- rules: made by skd_cluster.core.diagnosis_rules, do not edit -->"])
def test_manual_without_its_marks_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="not in the document"):
        with_table(document)


def test_unknown_is_no_fault() -> None:
    empty = NodeFacts(node="x", interface="eth0", links={"eth0": [True, True, ""]}, local_ip="a",
                      addresses=[["a", 24, "eth0", False]], paired=True, prompt=["x"], status={"role": "backup"}, word="backup",
                      product_unit={}, hooks=[])  # fmt: skip
    problems = [one for one in diagnose(RULES, empty, None) if one.state is State.PROBLEM and one.item != "heartbeat"]
    assert problems == []


@pytest.mark.parametrize(
    ("key", "needed"),
    [
        ("config/if_eth0:web_conf", True),
        ("config/if_eth0_conf", False),
        ("config/web_proxy.cfg", True),
        ("config/web_status.cfg", False),
        ("config/certificates", True),
        ("config/certificates/a.pem", True),
        ("config/global.conf", True),
        ("config/local/x", False),
        ("rt_tables", False),
    ],
)
def test_what_a_master_needs(key: str, *, needed: bool) -> None:
    assert bool(NEEDED.fullmatch(key)) is needed


def test_rules_that_say_more_than_one_thing_say_it_in_their_order() -> None:
    rules = (NodeRule("n", "", lambda node: [ok(node.node)]), PairRule("p", "", lambda a, b: [ok(a.node + b.node)]))
    told = diagnose(rules, healthy(), healthy(2))
    assert told == [
        Finding("n", "lb1", State.OK, "lb1"),
        Finding("n", "lb2", State.OK, "lb2"),
        Finding("p", "lb1", State.OK, "lb1lb2"),
    ]


def test_every_fact_has_a_default_that_accuses_nobody() -> None:
    assert all(getattr(NodeFacts(), one.name) is not None for one in fields(NodeFacts))


def test_the_manual_has_the_present_table() -> None:
    manual = Path(__file__).parents[3] / "docs/doctor.md"
    assert with_table(manual.read_text("utf-8")) == manual.read_text("utf-8")
    assert rule_table().count("\n") == len(RULES) + 1
