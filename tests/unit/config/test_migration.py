"""The steps of a migration, over every file of the collection: what they change, and that nothing else changes."""

import json
from pathlib import Path

import pytest

from skd_cluster.config.files import Contents
from skd_cluster.config.load import interpret
from skd_cluster.config.migration import MigrationError, Sort, from_keepalived, from_version_2, to_transport
from skd_cluster.config.vrrpinstance import Known

CONF = Path(__file__).parents[2] / "fixtures" / "legacy-conf"
CASES = json.loads((CONF / "expected.json").read_text())["files"]
USABLE = sorted(name for name, case in CASES.items() if not case["refused"])
X = Path("/etc/x.conf")
GOOD = b"""$interface="eth0"; $local_ip="10.0.0.1"; $remote_ip="10.0.0.2";
$password="secret"; $cluster_id="1"; $cluster_ip="10.0.0.9";
"""


def private(data):
    return Contents(data, 0o600)


def said(step, sort):
    return [str(one) for one in step.sayings if one.sort is sort]


def test_the_collection_has_both():
    assert len(CASES) == 39
    assert 20 <= len(USABLE) < 39


@pytest.mark.parametrize("name", USABLE)
def test_a_file_of_version_2_speaks_carp_and_keeps_every_other_byte(name):
    before = (CONF / name).read_bytes()
    step = from_version_2(X, private(before))
    after = interpret(X, private(step.body))
    values = dict(CASES[name]["values"])
    if name == "not-interpolated.conf":
        values["password"] = "P"
        assert b"$password='P';" in step.body
        before = before.replace(b'"P@ssw0rd"', b"")
    assert after.values == values | {"transport": "carp"}
    at = 0
    for byte in before:
        at = step.body.index(byte, at) + 1
    assert len(step.body) - len(before) <= len(b';\r\n$transport="carp";\r\n') + 3
    assert after.require().transport == "carp"
    assert step.then[0] == "systemctl enable --now skudonet-ce-cluster"


@pytest.mark.parametrize("name", USABLE)
def test_a_second_time_it_is_so_already(name):
    once = from_version_2(X, private((CONF / name).read_bytes())).body
    again = from_version_2(X, private(once))
    assert again.body is None
    assert not said(again, Sort.WRITTEN)


@pytest.mark.parametrize("name", USABLE)
def test_there_and_back(name):
    carp = from_version_2(X, private((CONF / name).read_bytes())).body
    udp = to_transport(X, private(carp), "udp").body
    assert interpret(X, private(udp)).values == interpret(X, private(carp)).values | {"transport": "udp"}
    assert to_transport(X, private(udp), "udp").body is None
    assert to_transport(X, private(udp), "carp").body == carp


@pytest.mark.parametrize("name", sorted(set(CASES) - set(USABLE)))
def test_a_refused_file_is_refused_with_all_its_errors(name):
    contents = private((CONF / name).read_bytes()[:300_000])
    errors = [str(one) for one in interpret(X, contents).problems if one.is_error]
    for step in (from_version_2, lambda path, found: to_transport(path, found, "vrrp")):
        with pytest.raises(MigrationError) as refused:
            step(X, contents)
        assert str(refused.value) == "\n".join(errors)
        assert refused.value.refused


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_sentence_shows_a_password(name):
    try:
        step = from_version_2(X, private((CONF / name).read_bytes()[:300_000]))
    except MigrationError as error:
        shown = str(error)
    else:
        shown = "\n".join([*map(str, step.sayings), *step.then, repr(step)])
    password = (CASES[name]["values"] or {}).get("password", "")
    for hidden in (password, "ssw0rd", "se#cret"):
        assert not hidden or hidden not in shown


def test_what_is_said_of_a_file_of_version_2():
    step = from_version_2(X, private((CONF / "sibling-full.conf").read_bytes()))
    assert said(step, Sort.WRITTEN) == ["$transport=carp"]
    assert said(step, Sort.LEFT) == [
        "/etc/x.conf:3: $ucarp: this service needs no such program",
        "/etc/x.conf:20: $rsync_args: -u is left out, it loses changes",
    ]
    assert said(step, Sort.CAREFUL) == [
        "CARP has no protection against replay: a recorded packet can change who is master",
        "CARP counts in whole seconds: the backup takes over after 2 of them and more, as with version 2",
        "a password has at most 19 bytes: ucarp does not start with more",
        "CARP's digest covers one address, the first of cluster_ip: 192.168.101.244 must be the other node's cluster_ip too",
    ]


def test_what_version_2_read_otherwise_is_said_loudly_for_the_password():
    step = from_version_2(X, private((CONF / "not-interpolated.conf").read_bytes()))
    assert said(step, Sort.WRITTEN) == ["$transport=carp", "$password=a value (not shown)"]
    assert said(step, Sort.LEFT) == [
        '/etc/x.conf:7: $exclude: version 2 read "--exclude if_" here; it is taken as it is written'
    ]
    assert said(step, Sort.CAREFUL)[0].startswith(
        "/etc/x.conf:4: ANOTHER PASSWORD: Perl put variables into this one, so "
    )


@pytest.mark.parametrize("literal", [b'"P$$x"', b'"@secret"'])
def test_a_password_of_version_2_that_is_not_known_or_none_is_left_to_people(literal):
    data = GOOD.replace(b'"secret"', literal)
    step = from_version_2(X, private(data))
    assert step.body == data + b'$transport="carp";\n'
    assert "/etc/x.conf:2: ANOTHER PASSWORD: " in said(step, Sort.CAREFUL)[0]
    assert "is not known here" in said(step, Sort.CAREFUL)[0]


def test_a_password_that_is_made_of_one_that_perl_read_otherwise():
    data = GOOD.replace(b'$password="secret"', b'$base="a@b"; $password="${base}c"')
    assert interpret(X, private(from_version_2(X, private(data)).body)).require().password == b"ac"


def test_a_file_that_already_says_another_transport_is_none_of_version_2():
    with pytest.raises(MigrationError, match=r'found \$transport="vrrp", expected a file of version 2'):
        from_version_2(X, private(GOOD + b"$transport='vrrp';"))


def test_a_step_whose_result_cannot_be_used_is_not_made():
    data = GOOD.replace(b"10.0.0.9", b"fd00::9")
    with pytest.raises(MigrationError, match="expected an IPv4 address first with transport carp") as refused:
        from_version_2(X, private(data))
    assert refused.value.refused


def test_the_step_to_udp_says_in_which_order():
    step = to_transport(X, private(GOOD + b"$transport='carp';"), "udp")
    assert step.body == GOOD + b'$transport="udp";'
    assert said(step, Sort.CAREFUL)[0].startswith("node by node, the backup first")
    assert step.then == (
        "systemctl restart skudonet-ce-cluster",
        "skd-cluster status",
        "then the same on the other node",
    )
    assert to_transport(X, private(GOOD), "udp").body is None


def test_what_check_has_to_say_only_now_is_said():
    data = GOOD.replace(b'"secret"', b'"secret@home and a long one"') + b"$priority=150; $dead_ratios=4;"
    step = to_transport(X, private(data), "carp")
    assert [one.partition(", expected")[0] for one in said(step, Sort.CAREFUL) if one.startswith("/etc/x.conf")] == [
        "/etc/x.conf:2: $password: found 26 bytes",
        "/etc/x.conf:2: $password: found a password",
        "/etc/x.conf:3: $priority: found 150",
    ]
    assert not [one for one in said(to_transport(X, private(data), "vrrp"), Sort.CAREFUL) if one.startswith("/etc")]


def test_a_service_that_is_switched_off_is_said():
    step = from_version_2(X, private(GOOD + b"$enable_cluster='false';"))
    assert 'the service does not start as long as enable_cluster="false"' in said(step, Sort.CAREFUL)


KEEPALIVED = """\
vrrp_instance A {
  version 3
  interface eth0
  virtual_router_id 51
  priority 120
  unicast_src_ip 10.0.0.1
  unicast_peer {
    10.0.0.2
  }
  virtual_ipaddress {
    10.0.0.9/24
  }
  notify_master /x
}
"""


def keepalived(contents, text=KEEPALIVED, password_file=None):
    return from_keepalived(X, contents, Path("/k.conf"), text, Known(), password_file)


def test_a_new_file_from_keepalived(tmp_path):
    secret = tmp_path / "pw"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    step = keepalived(None, password_file=secret)
    config = interpret(X, private(step.body)).require()
    assert (config.password, config.transport, config.udp_mode, config.priority) == (b"geheim", "vrrp", "unicast", 120)
    assert [str(one.address) for one in config.cluster_ip] == ["10.0.0.9"]
    assert said(step, Sort.LEFT) == ["/k.conf:13: notify_master: call it in up_script"]
    assert step.then[:2] == ("skd-cluster check", "systemctl disable --now keepalived")
    assert keepalived(private(step.body), password_file=secret).body is None


def test_a_file_that_is_there_keeps_its_password_and_what_keepalived_has_no_word_for():
    before = b'# ours\n$interface = \'eth0\';\n$password="secret";\n$exclude="--exclude x"; # stays\n$priority=7;\n'
    step = keepalived(private(before))
    assert step.body.startswith(before.replace(b"=7", b'="120"'))
    config = interpret(X, private(step.body)).require()
    assert (config.password, config.exclude) == (b"secret", ("x",))


def test_without_a_password_it_says_how_to_make_one():
    with pytest.raises(MigrationError, match=r"found no password .* say --password-file /etc/") as error:
        keepalived(None)
    assert not error.value.refused


def test_what_stands_in_the_way_has_the_line_of_keepalived_conf():
    with pytest.raises(MigrationError, match=r"^/k.conf:16: found a \{ that is never closed"):
        keepalived(None, KEEPALIVED + "\nx {")
    with pytest.raises(MigrationError) as refused:
        keepalived(private(b"$password='x';"), KEEPALIVED.replace("120", "many"))
    assert str(refused.value) == "/k.conf:5: $priority: found many, expected a whole number from 1 to 254"
    with pytest.raises(MigrationError) as refused:
        keepalived(private(b"$password='x"))
    assert str(refused.value).startswith(
        "/etc/x.conf:1: error: $password: found a value (not shown), expected a closing"
    )


def test_an_error_that_no_clause_has_alone_names_the_file():
    with pytest.raises(MigrationError, match=r"^/k.conf: \$remote_ip: found 10.0.0.2, expected another address than"):
        keepalived(private(b"$password='x';"), KEEPALIVED.replace("10.0.0.9", "10.0.0.2"))
