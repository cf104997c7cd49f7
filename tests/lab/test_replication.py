"""The replicator and the receiver between two nodes, over real sshd and rsync, with the product's own tree.

What is tested is everything between the two trees. For what tortures it see test_torture_*.py.
"""

import json
import os

from skd_cluster.core.messages import SyncNow
from tests.fixtures.skudonet_tree import core_rename_write, core_start_rewrites_global_conf, core_writes
from tests.lab.replication_pair import Pair
from tests.labkit import CONFIG_TREE, RT_TABLES, eventually


def test_the_first_synchronisation_makes_the_trees_equal(pair):
    before = {name: pair.there(name).read_bytes() for name in pair.theirs.node_local}
    own = pair.peer.path(RT_TABLES).read_text()
    pair.synced()
    assert pair.differences() == []
    assert {name: pair.there(name).read_bytes() for name in pair.theirs.node_local} == before
    conf = pair.there("global.conf").read_text()
    assert '$defaultgw = "10.100.0.1";' in conf
    assert '$defaultgwif = "eth0.100";' in conf
    assert pair.peer.path(RT_TABLES).read_text() == f"{own}150\tbackup-uplink\n"
    for name in pair.facts.private:
        assert pair.there(name).stat().st_mode == pair.ours(name).stat().st_mode
    assert pair.peer.run("find /usr/local /etc /var/lib -path '*.skd-*'").stdout == "/usr/local/skudonet/.skd-staging\n"
    state = [json.loads(node.path("/var/lib/skd-cluster/data.json").read_text()) for node in (pair.master, pair.peer)]
    assert state[0] == state[1]
    assert state[0]["epoch"] == 1
    for node, words in ((pair.master, "ok: generation 1.1"), (pair.peer, "applied generation 1.1")):
        assert words in node.path("/var/log/skdinotify.log").read_text()


def test_an_edit_arrives_quickly(pair):
    pair.synced()
    took = []
    for number in range(20):
        text = f"#!/bin/sh\n# {number}\n"
        pair.ours("zlb-start").write_text(text)
        took.append(pair.arrived("zlb-start", text))
        pair.in_sync()
    took.sort()
    print(f"edit to peer: median {took[10] * 1000:.0f} ms, worst {took[-1] * 1000:.0f} ms")
    assert took[10] < 0.25


def test_every_way_of_changing_something(pair):
    pair.synced()
    ours = pair.ours
    core_writes(ours("zlb-start"), "#!/bin/sh\n# in pieces\n")
    core_rename_write(ours("zlb-stop"), "#!/bin/sh\n# renamed over\n")
    ours("new/deep").mkdir(parents=True)
    for number in range(30):
        ours(f"new/deep/{number}").write_text(str(number))
    ours("new/link").symlink_to("deep/7")
    pair.arrived("zlb-start", "#!/bin/sh\n# in pieces\n")
    pair.arrived("zlb-stop", "#!/bin/sh\n# renamed over\n")
    pair.arrived("new/deep/29", "29")
    pair.in_sync()
    assert pair.differences() == []

    ours("new/deep").rename(ours("new/moved"))
    ours("new/moved/3").unlink()
    ours("shop_proxy.cfg").chmod(0o600)
    os.chown(ours("wiki_l4xnat.cfg") if ours("wiki_l4xnat.cfg").exists() else ours("global.conf"), 33, 33)
    pair.arrived("new/moved/3", None)
    pair.arrived("new/moved/4", "4")
    eventually(lambda: pair.differences() == [], what="moved, deleted, chmod, chown")

    stamp = 1_700_000_000_000_000_000
    for word in ("aaaa", "bbbb", "cccc"):  # same size, same time: invisible to rsync's own check
        ours("farmguardian.conf").write_text(word)
        os.utime(ours("farmguardian.conf"), ns=(stamp, stamp))
        pair.arrived("farmguardian.conf", word)

    ours("big.bin").write_bytes(os.urandom(1 << 20) * 12)  # by rsync
    eventually(lambda: pair.there("big.bin").stat().st_size == 12 << 20, what="the large file")
    with pair.master.path(RT_TABLES).open("a") as tables:
        tables.write("200\ttable_eth7\n")
    eventually(
        lambda: "205\ttable_eth7\n" in pair.peer.path(RT_TABLES).read_text(), what="a routing table of its own number"
    )
    core_start_rewrites_global_conf(pair.master.path(CONFIG_TREE))
    eventually(lambda: "site_name" not in pair.there("global.conf").read_text(), what="global.conf rewritten")
    assert '$defaultgwif = "eth0.100";' in pair.there("global.conf").read_text()
    pair.in_sync()
    assert pair.differences() == []
    history = pair.peer.run("ls /var/lib/skd-cluster/history").stdout.split()
    assert len(history) > 5


def test_what_somebody_writes_on_the_backup_is_found_with_the_next_push(pair):
    pair.synced()
    theirs = pair.there("certificates/skdcert.pem")
    before = theirs.read_bytes()
    theirs.write_bytes(before.replace(b"A", b"B"))
    pair.there("certificates/new").mkdir()
    pair.there("certificates/new/mine").write_text("made on the backup")
    pair.ours("zlb-start").write_text("the next push")
    pair.arrived("zlb-start", "the next push")
    eventually(lambda: pair.differences() == [], what="drift is put right")
    assert theirs.read_bytes() == before
    pair.in_sync()
    assert any("the peer's tree is not the same after the push" in note for note in pair.notes())


def test_folders_that_move_and_fill_at_once_arrive(pair):
    pair.synced()
    for number in range(40):
        folder = pair.ours(f"made-{number}")
        folder.mkdir()
        (folder / "first").write_text("1")
        folder.rename(pair.ours(f"moved-{number}"))
        (pair.ours(f"moved-{number}") / "second").write_text("2")
    eventually(lambda: pair.differences() == [], what="folders made, moved and filled")
    pair.in_sync()


def test_who_may_not_write_is_refused_until_he_may(pair):
    pair.says(role="backup", epoch=4)
    pair.start(epoch=3)
    before = pair.there("zlb-start").read_bytes()
    pair.error("the peer knows epoch 4, newer than this master's 3")
    pair.says(role="master", epoch=1)
    pair.error("the peer is master itself")
    assert pair.there("zlb-start").read_bytes() == before
    pair.says(role="backup", epoch=3)
    pair.tell(SyncNow())
    pair.in_sync()
    assert pair.report().last_error == ""
    pair.service.kill()
    pair.ours("zlb-start").write_text("while the service is down")
    pair.error("the cluster service does not run on the peer")
    assert pair.there("zlb-start").read_bytes() != b"while the service is down"
    pair.serve()
    pair.arrived("zlb-start", "while the service is down", within=10)


def test_an_unreadable_file_is_named_and_keeps_nothing_back(pair):
    secret = pair.ours("certificates/next-year.key")
    os.chown(secret, 1000, 1000)
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    pair.start(prefix=without)
    pair.error("certificates/next-year.key: Permission denied")
    pair.ours("zlb-start").write_text("the rest goes on")
    pair.arrived("zlb-start", "the rest goes on")
    assert not pair.report().in_sync
    assert sum("next-year.key" in note for note in pair.notes()) == 1
    assert pair.there("certificates/next-year.key").exists(), "the peer keeps what it has"
    os.chown(secret, 0, 0)
    pair.in_sync()
    assert pair.differences() == []


def test_a_full_disk_on_the_peer_leaves_the_old_file(lab):
    pair = Pair(lab, max_delete="100")
    pair.peer.run(
        "cp -a /usr/local/skudonet/config /root/copy && mount -t tmpfs -o size=6m tmpfs /usr/local/skudonet/config"
    )
    pair.peer.run("cp -a /root/copy/. /usr/local/skudonet/config/")
    pair.synced()
    old = "x" * 500_000
    pair.ours("page.html").write_text(old)
    pair.arrived("page.html", old)
    pair.in_sync()
    pair.peer.run("dd if=/dev/zero of=/usr/local/skudonet/config/local/fill bs=64k", check=False)
    pair.ours("page.html").write_text("y" * 900_000)
    pair.error("no space left")
    assert pair.there("page.html").read_text() == old
    assert pair.peer.run(f"find {CONFIG_TREE} -name '.skd-*'").stdout == ""
    pair.peer.run(f"rm {CONFIG_TREE}/local/fill")
    pair.arrived("page.html", "y" * 900_000, within=35)
    pair.in_sync()
    assert sum("no space left" in note for note in pair.notes()) == 1


def test_sshd_goes_away_and_comes_back(pair):
    pair.synced()
    pair.peer.stop_sshd()
    pair.peer.run("pkill -f 'skd-cluster receive'")
    pair.error("no sshd answers")
    pair.ours("zlb-start").write_text("written meanwhile")
    pair.ours("zlb-stop").unlink()
    eventually(lambda: pair.report().pending_since > 0, what="something is pending")
    pair.peer.start_sshd()
    pair.tell(SyncNow())
    pair.arrived("zlb-start", "written meanwhile")
    pair.arrived("zlb-stop", None)
    pair.in_sync()
    assert pair.report().last_error == ""
    assert any("replication works again" in note for note in pair.notes())


def test_a_peer_that_loses_its_network_is_noticed_and_loses_nothing(pair):
    pair.synced()
    pair.lab.cut(pair.peer)
    pair.ours("zlb-start").write_text("written meanwhile")
    pair.error("10.77.0.2 cannot be reached by ssh", within=20)
    pair.lab.mend(pair.peer)
    pair.arrived("zlb-start", "written meanwhile", within=30)
    pair.in_sync()


def test_a_refused_login_says_what_to_try(pair):
    pair.peer.path("/root/.ssh/authorized_keys").write_text("")
    pair.start()
    pair.error("this must work: ssh root@10.77.0.2 true")
    assert len([note for note in pair.notes() if "without a password" in note]) == 1


def test_a_deletion_of_most_of_the_tree_waits(lab):
    pair = Pair(lab)
    pair.peer.run(f"rm -r {CONFIG_TREE}")
    pair.synced()
    farms = [name for names in pair.facts.farms.values() for name in names]
    for path in list(pair.ours("").iterdir()):
        if path.name.split("_")[0] in farms and path.is_file():
            path.unlink()
    pair.error("run skd-cluster sync --allow-delete")
    whole = pair.report().sent_files
    assert len(pair.peer.run(["find", CONFIG_TREE, "-print0"]).stdout.split("\0")) > whole / 3
    pair.tell(SyncNow(allow_delete=True))
    pair.in_sync()
    assert pair.differences() == []


def test_the_replicator_ends_with_the_supervisor(pair):
    pair.synced()
    pair.replicator.stdin.close()
    assert pair.replicator.wait() == 0
    eventually(lambda: "skd-cluster" not in pair.peer.processes().values(), what="the receiver has ended")
    assert list(pair.master.path("/run/skd-cluster").glob("ssh-*")) == []
