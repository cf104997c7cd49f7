"""`skd-cluster diff` and `history` on a real pair: services, sshd, the product's tree; typed on the master and the backup."""

import json
import signal
from pathlib import Path

import pytest

from tests.labkit import CONFIG_TREE, Lab, Node, eventually

FARM, OTHER = "api_proxy.cfg", "git_proxy.cfg"
KEY = "certificates/skdcert-c.key"


@pytest.fixture
def pair(lab: Lab, lb1: Node, lb2: Node) -> Lab:
    """Start a pair with the same tree on both, lb1 master, lb2 in sync."""
    for node in (lb1, lb2):
        node.make_tree(farms=12)
        node.write_config(floating="listed", max_delete="100")
    lab.trust()
    lb1.add_address()
    lb1.start_daemon()
    lb2.start_daemon()
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=5, what="lb1 master, lb2 backup")
    synced(lb1)
    return lab


def place(node: Node, name: str) -> Path:
    return node.path(CONFIG_TREE) / name


def synced(*nodes: Node) -> None:
    for node in nodes:
        eventually(lambda node=node: node.status()["replication"]["in_sync"], within=15, what=f"{node.name}: in sync")


def edit(master: Node, backup: Node, name: str, text: str) -> int:
    """Change a file on the master, wait until the backup has it; return the generation."""
    before = backup.status()["generation"]
    path = place(master, name)
    path.write_text(text)

    def arrived() -> bool:
        return place(backup, name).read_bytes() == text.encode() and backup.status()["generation"] > before

    eventually(arrived, within=10, what=f"{name} arrived")
    synced(master, backup)
    return int(backup.status()["generation"])


def skd(node: Node, *words: str, code: int = 0) -> str:
    """Run a verb; return all it printed."""
    done = node.run(["skd-cluster", *words], check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def facts(node: Node, *words: str, code: int = 0):
    return json.loads(skd(node, *words, "--json", code=code))


def generations(node: Node) -> list[str]:
    return [f"{one['generation']}@{one['node']}" for one in facts(node, "history", "list")["generations"]]


# --- diff --------------------------------------------------------------------------------


def test_after_an_edit_both_are_equal_and_what_is_written_on_the_backup_by_hand_is_shown(pair, lb1: Node, lb2: Node):
    edit(lb1, lb2, FARM, "Address 192.0.2.1\nPort 80\n")
    assert skd(lb1, "diff").startswith("both nodes are equal: ")
    assert skd(lb2, "diff") == skd(lb1, "diff")
    place(lb2, FARM).write_text('Address 192.0.2.1\nPort 8080\n$password="hunter22";\n')
    place(lb2, OTHER).chmod(0o640)
    place(lb2, "two\nlines").touch()
    lb1.pause(lb1.daemon_pids()["skdinotify"])
    try:
        place(lb1, "api_Err500.html").write_text("only here\n")
        for node in (lb1, lb2):
            said = skd(node, "diff", code=1)
            assert "lb1 (master) and lb2 (backup) differ in" in said
            assert (
                f"--- lb1:config/{FARM}\n+++ lb2:config/{FARM}\n@@ -1,2 +1,3 @@\n Address 192.0.2.1\n-Port 80\n" in said
            )
            assert "+Port 8080\n+$password=(not shown)\n" in said
            assert "hunter22" not in said
            assert f"config/{OTHER}: mode 0644 on lb1, 0640 on lb2\n" in said
            assert "only on lb2: config/two\\nlines (file, 0644, 0 bytes)\n" in said
            found = facts(node, "diff", FARM, code=1)
            assert [one["path"] for one in found["differences"]] == [f"config/{FARM}"]
            assert found["equal"] is False
            assert skd(node, "diff", f"{CONFIG_TREE}/certificates").startswith("both nodes are equal: ")
    finally:
        lb1.resume(lb1.daemon_pids()["skdinotify"])


def test_what_a_private_key_is_never_appears(pair, lb1: Node, lb2: Node):
    old = place(lb1, KEY).read_text()
    new = old.replace("A", "B")
    number = edit(lb1, lb2, KEY, new)
    place(lb2, KEY).write_text(old.replace("A", "C"))
    outputs = [skd(lb2, "diff", code=1), skd(lb1, "diff", code=1), skd(lb1, "diff", "--json", code=1)]
    outputs += [skd(node, "history", *words) for node in (lb1, lb2)
                for words in (("show", str(number), KEY), ("diff", str(number)), ("diff", str(number), KEY, "--json"))]  # fmt: skip
    assert f"config/{KEY}: content differs (private)" in outputs[0]
    assert f"config/{KEY}: content differs (private)" in skd(lb1, "history", "diff", str(number))
    assert "content is private" in skd(lb1, "history", "show", str(number), KEY)
    bodies = [line for text in (old, new, old.replace("A", "C")) for line in text.splitlines()[1:-1]]
    assert [line for line in bodies for said in outputs if line in said] == []
    assert skd(lb1, "history", "show", str(number), KEY, "--raw") == old
    skd(lb2, "history", "restore", str(number), KEY)
    for node in (lb1, lb2):
        assert place(node, KEY).read_text() == old
        assert place(node, KEY).stat().st_mode & 0o777 == 0o600
    logs = "".join(
        node.path(log).read_text()
        for node in (lb1, lb2)
        for log in ("/var/log/skdinotify.log", "/var/log/skd-cluster.out")
    )
    assert [line for line in bodies if line in logs] == []


def test_the_peer_s_sshd_is_down(pair, lb1: Node, lb2: Node):
    number = edit(lb1, lb2, FARM, "changed\n")
    lb2.stop_sshd()
    said = skd(lb1, "diff", code=1)
    assert "10.77.0.2 does not answer, what it holds is not known: no sshd answers on the peer 10.77.0.2" in said
    assert "lb1 holds" in said
    assert facts(lb1, "diff", code=1)["equal"] is None
    said = skd(lb1, "history")
    assert "10.77.0.2 does not answer, what it keeps is not listed: no sshd answers" in said
    assert "no sshd answers" in facts(lb1, "history", "list")["silent"]
    said = skd(lb1, "history", "show", str(number), code=1)
    assert f"no generation or conflict {number}" in said
    assert "10.77.0.2 does not answer, what it keeps is not known" in said
    assert "both nodes are equal" in skd(lb2, "diff")


def test_without_the_peer_s_service_both_trees_are_compared_all_the_same(pair, lb1: Node, lb2: Node):
    lb2.stop_daemon()
    place(lb2, FARM).write_text("by hand\n")
    said = skd(lb1, "diff", code=1)
    assert "lb1 (master) and 10.77.0.2 (its service does not run) differ in 1 path" in said
    assert "+by hand" in said


def test_a_path_that_only_one_node_excludes_is_said_to_be_that(pair, lb1: Node, lb2: Node):
    lb2.write_config(floating="listed", max_delete="100", exclude="--exclude if_eth0_conf --exclude *.txt")
    place(lb1, "note.txt").write_text("x")
    said = skd(lb2, "diff", code=1)
    assert "config/note.txt matches `exclude` on lb2 only: make it the same on both\n" in said
    assert "only on lb1: config/note.txt (file, 0644, 1 bytes)\n" in said


# --- history -----------------------------------------------------------------------------


def test_list_show_diff_and_restore_from_either_node(pair, lb1: Node, lb2: Node):
    old = place(lb1, FARM).read_text()
    number = edit(lb1, lb2, FARM, "the new farm\n")
    for node in (lb1, lb2):
        rows = skd(node, "history").splitlines()
        assert rows[0].split() == ["GENERATION", "TIME", "EPOCH", "KEPT", "ON", "BEFORE", "CHANGED", "MADE", "DELETED"]
        assert rows[1].split()[0] == str(number)
        assert rows[1].split()[-5:] == ["lb2", f"1.{number - 1}", "1", "0", "0"]
        assert f"changed  config/{FARM}\n" in skd(node, "history", "show", str(number))
        assert skd(node, "history", "show", str(number), FARM) == old
        said = skd(node, "history", "diff", str(number), FARM)
        assert f"--- {number}@lb2:config/{FARM}\n+++ {node.name} now:config/{FARM}\n" in said
        assert "+the new farm\n" in said
        assert skd(node, "history", "diff", str(number), FARM, "--exit-code", code=1) == said
    said = skd(lb1, "history", "restore", str(number), "--dry-run")
    assert said == f"would restore  config/{FARM}\na dry run: nothing was changed on lb1\n"
    assert place(lb1, FARM).read_text() == "the new farm\n"
    said = skd(lb1, "history", "restore", str(number))
    assert said == f"restored  config/{FARM}\nas before {number}@lb2 on lb1; both nodes have it\n"
    assert [place(node, FARM).read_text() for node in (lb1, lb2)] == [old, old]
    # What the restore replaced is kept as well: on the master, and by the push on the backup.
    assert generations(lb2)[:2] == [f"{number + 1}@lb2", f"{number + 1}@lb1"]
    assert f"say {number + 1}@lb2 or {number + 1}@lb1" in skd(lb2, "history", "show", str(number + 1), code=1)
    assert f"restored from {number}@lb2" in skd(lb2, "history", "show", f"{number + 1}@lb1")
    said = skd(lb2, "history", "restore", f"{number + 1}@lb1", f"{CONFIG_TREE}/{FARM}")
    assert said == f"restored  config/{FARM}\nas before {number + 1}@lb1 on lb1; both nodes have it\n"
    assert [place(node, FARM).read_text() for node in (lb1, lb2)] == ["the new farm\n", "the new farm\n"]
    assert "nothing to do" in skd(lb2, "history", "restore", f"{number + 1}@lb2", FARM)
    skd(lb2, "history", "diff", f"{number + 1}@lb2", FARM, "--exit-code")
    assert "has nothing of config/nothing" in skd(lb2, "history", "restore", str(number), "nothing", code=1)
    assert "has nothing of config/nothing" in skd(lb1, "history", "diff", str(number), "nothing", code=1)


def test_a_deleted_folder_comes_back_from_a_node_that_is_master_by_now(pair, lb1: Node, lb2: Node):
    folder = "certificates"
    names = lb1.run(f"cd {CONFIG_TREE} && find {folder} -printf '%p %y %m %U %G %l\\n' | sort").stdout
    content = lb1.run(f"cd {CONFIG_TREE} && find {folder} -type f | sort | xargs -d '\\n' sha256sum").stdout
    before = lb2.status()["generation"]
    lb1.run(f"rm -r {CONFIG_TREE}/{folder}; echo x > {CONFIG_TREE}/made-then.html")
    eventually(lambda: not place(lb2, folder).exists(), within=10, what="the deletion arrived")
    synced(lb1, lb2)
    number = lb2.status()["generation"]
    lb1.run(["skd-cluster", "failover"])
    eventually(lambda: (lb1.role(), lb2.role()) == ("backup", "master"), within=5, what="lb2 is master")
    synced(lb2)
    for one in range(number, before, -1):  # a deletion may have come in several batches
        skd(lb1, "history", "restore", f"{one}@lb2", *(["--exact"] if one == before + 1 else []))
    for node in (lb1, lb2):
        assert node.run(f"cd {CONFIG_TREE} && find {folder} -printf '%p %y %m %U %G %l\\n' | sort").stdout == names
        assert (
            node.run(f"cd {CONFIG_TREE} && find {folder} -type f | sort | xargs -d '\\n' sha256sum").stdout == content
        )
    assert skd(lb1, "diff").startswith("both nodes are equal")


def test_what_a_generation_made_goes_only_with_exact(pair, lb1: Node, lb2: Node):
    number = edit(lb1, lb2, "made.html", "x\n")
    said = skd(lb1, "history", "restore", str(number))
    assert f"left      config/made.html\nwhat {number}@lb2 made is left; --exact removes it\n" in said
    assert place(lb1, "made.html").exists()
    assert "deleted   config/made.html\n" in skd(lb2, "history", "restore", str(number), "--exact")
    assert not place(lb1, "made.html").exists()
    assert not place(lb2, "made.html").exists()


def everything(*nodes: Node) -> list[str]:
    """Return all of their trees: type, mode, owner, target, content."""
    script = f"cd {CONFIG_TREE} && find . -printf '%p %y %m %U %G %l\\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum"
    return [node.run(script).stdout for node in nodes]


def test_the_whole_tree_goes_back_to_what_it_was_after_a_generation(pair, lb1: Node, lb2: Node):
    """Past a failover, so that each node keeps a part of the way; and forth again."""
    number = edit(lb1, lb2, FARM, "yesterday\n")
    then = everything(lb1, lb2)
    edit(lb1, lb2, FARM, "today\n")
    edit(lb1, lb2, "made.html", "today\n")
    lb1.run(["skd-cluster", "failover"])
    eventually(lambda: (lb1.role(), lb2.role()) == ("backup", "master"), within=5, what="lb2 is master")
    synced(lb2)
    lb2.run(f"cd {CONFIG_TREE} && rm -r certificates && chmod 600 {OTHER} && ln -s {OTHER} link && echo x > {FARM}")
    eventually(lambda: not place(lb1, "certificates").exists() and place(lb1, "link").is_symlink(), what="it arrived")
    synced(lb1, lb2)
    now, newest = everything(lb1, lb2), str(lb1.status()["generation"])
    assert now != then

    for node in (lb1, lb2):
        said = skd(node, "history", "restore", "--to", f"{number}@lb2", "--dry-run")
        assert f"would restore  config/{KEY}\n" in said
        assert "would delete   config/made.html\n" in said
        assert (
            f"to the last bit the tree after {number}@lb2, by its digest\na dry run: nothing was changed on lb2\n"
            in said
        )
    assert everything(lb1, lb2) == now
    said = skd(lb1, "history", "restore", "--to", f"{number}@lb2")
    assert f"restored  config/{FARM}\n" in said
    assert said.endswith(f"the tree is as after {number}@lb2 on lb2; both nodes have it\n")
    assert everything(lb1, lb2) == then
    assert f"restored from the tree after {number}@lb2" in skd(lb1, "history")
    assert "nothing to do" in skd(lb2, "history", "restore", "--to", f"{number}@lb2")
    assert facts(lb2, "history", "restore", "--to", newest)["in_sync"] is True
    assert everything(lb1, lb2) == now
    assert "no generation or conflict 999" in skd(lb2, "history", "restore", "--to", "999", code=1)
    assert "say which GENERATION" in skd(lb2, "history", "restore", code=2)
    assert "the whole tree goes back" in skd(lb2, "history", "restore", "--to", "1", "2", code=2)


def test_what_is_kept_on_a_node_that_is_gone_is_said(pair, lb1: Node, lb2: Node):
    number = edit(lb1, lb2, FARM, "yesterday\n")
    edit(lb1, lb2, FARM, "today\n")
    lb2.stop_sshd()
    said = skd(lb1, "history", "restore", "--to", str(number), code=1)
    assert "10.77.0.2 does not answer" in said
    assert place(lb1, FARM).read_text() == "today\n"


def test_a_file_larger_than_a_message_comes_back(pair, lb1: Node, lb2: Node):
    place(lb1, "large.bin").write_bytes(bytes(range(256)) * 10_000)
    eventually(lambda: place(lb2, "large.bin").exists(), within=10, what="it arrived")
    synced(lb1, lb2)
    number = edit(lb1, lb2, "large.bin", "small now\n")
    assert "not a text" in skd(lb1, "history", "diff", str(number)) or "too large" in skd(
        lb1, "history", "diff", str(number)
    )
    skd(lb2, "history", "restore", str(number))
    assert place(lb1, "large.bin").read_bytes() == place(lb2, "large.bin").read_bytes() == bytes(range(256)) * 10_000


def test_what_gave_way_after_a_split_has_a_name_and_is_restored_or_resolved(pair, lab: Lab, lb1: Node, lb2: Node):
    lab.partition(lb1, lb2)
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "master"), within=5, what="both are master")
    for node, name in ((lb1, OTHER), (lb2, FARM), (lb2, "new.html")):
        before = node.status()["generation"]
        place(node, name).write_text(f"typed on {node.name}\n")
        eventually(lambda node=node, before=before: node.status()["generation"] > before, within=5, what="noted")
    lab.heal()
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=15, what="lb1 stays master")
    synced(lb1)

    def waiting(node: Node) -> list[str]:
        return [one["name"] for one in node.status()["conflicts"]]

    (name,) = eventually(lambda: waiting(lb2), within=5, what="lb2 names the conflict")
    for node in (lb1, lb2):
        assert f"{name}: CONFLICT, 2 files, not resolved" in skd(node, "history")
        assert skd(node, "history", "show", name).splitlines()[1:] == [
            f"{name}: CONFLICT, 2 files, not resolved", f"changed  config/{FARM}", "deleted  config/new.html",
        ]  # fmt: skip
        assert "-typed on lb2\n" in skd(node, "history", "diff", name, FARM)
    skd(lb1, "history", "restore", name, FARM)
    assert waiting(lb2) == [name]  # the other file is still missing
    said = skd(lb1, "history", "restore", name)
    assert "restored  config/new.html\n" in said
    assert f"the conflict {name} is resolved" in said
    for node in (lb1, lb2):
        assert place(node, FARM).read_text() == place(node, "new.html").read_text() == "typed on lb2\n"
        assert place(node, OTHER).read_text() == "typed on lb1\n"
        assert f"{name}: CONFLICT, 2 files, resolved" in skd(node, "history")
        eventually(lambda node=node: waiting(node) == [], within=10, what=f"{node.name}: nothing waits")


def test_what_was_typed_on_a_backup_is_resolved_by_hand(pair, lb1: Node, lb2: Node):
    place(lb2, FARM).write_text("by hand\n")
    lb1.run(["skd-cluster", "sync"])
    (name,) = eventually(lambda: [one["name"] for one in lb2.status()["conflicts"]], within=10, what="a conflict")
    assert name.startswith("drift-")
    number = facts(lb1, "history", "list")["generations"][0]["generation"]
    assert skd(lb1, "history", "show", name, FARM) == "by hand\n"
    assert skd(lb2, "history", "resolve", name) == f"the conflict {name} is resolved\n"
    for node in (lb1, lb2):
        eventually(lambda node=node: node.status()["conflicts"] == [], within=5, what=f"{node.name}: nothing waits")
    assert f"{name}: CONFLICT, 1 file, resolved" in skd(lb1, "history")
    assert skd(lb1, "history", "resolve", name) == f"the conflict {name} was resolved before\n"
    edit(lb1, lb2, OTHER, "something else\n")
    assert "is no conflict" in skd(lb2, "history", "resolve", str(number + 1), code=1)


def drift(master: Node, backup: Node, name: str, text: str) -> list[str]:
    """Type something on the backup, have it put right; return all conflicts that wait then."""
    before = [one["name"] for one in backup.status()["conflicts"]]
    place(backup, name).write_text(text)
    master.run(["skd-cluster", "sync"])

    def found() -> list[str]:
        names = [one["name"] for one in backup.status()["conflicts"]]
        return names if len(names) > len(before) else []

    names = eventually(found, within=10, what=f"{name} on {backup.name} is a conflict, beside {before}")
    eventually(lambda: skd_equal(master), within=10, what="both are equal again")
    return sorted(names)


def skd_equal(node: Node) -> bool:
    return node.run(["skd-cluster", "diff"], check=False).returncode == 0


def test_a_file_typed_on_the_backup_twice_before_the_next_generation_is_kept_twice(pair, lb1: Node, lb2: Node):
    """Right after the master's own change of the same file: its place in the history is taken before the first of them."""
    old = place(lb1, FARM).read_text()
    number = edit(lb1, lb2, FARM, "the master's\n")
    (first,) = drift(lb1, lb2, FARM, "by hand\n")
    names = drift(lb1, lb2, FARM, "by hand, and again\n")
    assert names[0] == first
    assert len(names) == 2
    second = names[1]
    assert lb2.status()["generation"] == number  # nothing was changed on the master
    for node in (lb1, lb2):
        assert skd(node, "history", "show", str(number), FARM) == old
        assert (
            skd(node, "history", "show", first, FARM)
            == skd(node, "history", "show", f"{number}-2", FARM)
            == "by hand\n"
        )
        assert skd(node, "history", "show", second, FARM) == "by hand, and again\n"
        rows = [line.split() for line in skd(node, "history").splitlines()[1:4]]
        assert [row[0] for row in rows] == [f"{number}-3", f"{number}-2", str(number)]
        assert [row[-7] for row in rows[:2]] == ["0", "0"]
        assert "-by hand, and again\n+the master's\n" in skd(node, "history", "diff", second)
    said = skd(lb2, "history", "restore", second)
    assert said.endswith(f"both nodes have it\nthe conflict {second} is resolved\n")
    assert [place(node, FARM).read_text() for node in (lb1, lb2)] == ["by hand, and again\n"] * 2
    assert [one["name"] for one in lb2.status()["conflicts"]] == [first]
    said = skd(lb1, "history", "restore", first)
    assert said.endswith(f"both nodes have it\nthe conflict {first} is resolved\n")
    assert [place(node, FARM).read_text() for node in (lb1, lb2)] == ["by hand\n"] * 2
    assert "restored" in skd(lb2, "history", "restore", "--to", str(number))
    assert [place(node, FARM).read_text() for node in (lb1, lb2)] == ["the master's\n"] * 2


def test_a_file_made_on_the_backup_twice_is_kept_each_time_it_goes(pair, lb1: Node, lb2: Node):
    (first,) = drift(lb1, lb2, "made.html", "once\n")
    _, second = drift(lb1, lb2, "made.html", "twice\n")
    assert not place(lb2, "made.html").exists()
    for node in (lb1, lb2):
        assert skd(node, "history", "show", first, "made.html") == "once\n"
        assert skd(node, "history", "show", second, "made.html") == "twice\n"
    assert "deleted  config/made.html\n" in skd(lb1, "history", "show", second)
    skd(lb1, "history", "restore", first)
    assert [place(node, "made.html").read_text() for node in (lb1, lb2)] == ["once\n"] * 2


def test_without_a_master_nothing_is_restored_and_with_the_peer_gone_it_is_said(pair, lab: Lab, lb1: Node, lb2: Node):
    number = edit(lb1, lb2, FARM, "changed\n")
    lb1.run(["skd-cluster", "failover"])
    eventually(lambda: (lb1.role(), lb2.role()) == ("backup", "master"), within=5, what="lb2 is master")
    synced(lb2)
    lb1.kill_daemon()
    lb1.stop_sshd()
    eventually(lambda: not lb2.status()["peer"]["alive"], within=5, what="lb2 is alone")
    said = skd(lb2, "history", "restore", str(number))
    assert f"restored  config/{FARM}\n" in said
    assert "its peer is not heard and gets it when it is back: there is nothing left to do" in said
    assert facts(lb2, "history", "restore", str(number))["in_sync"] is None  # nothing to do any more
    lb2.stop_daemon()
    assert "no node says that it is master" in skd(lb2, "history", "restore", str(number), code=1)


def test_an_older_peer_is_told_apart_from_a_silent_one(pair, lb1: Node, lb2: Node):
    """What an older version does with a question it does not know: refuses the frame and ends."""
    script = lb2.path("/usr/local/bin/skd-cluster")
    real = script.readlink()
    script.unlink()
    words = 'import sys\nsys.argv[0] = "skd-cluster"\nfrom skd_cluster.core import session\nsession._KINDS.pop("ListKept")\n'
    words += "from skd_cluster.cli.main import main\nsys.exit(main())\n"
    python = f"#!{real.parent / 'python'}\n"
    script.write_text(python + words)
    script.chmod(0o755)
    said = skd(lb1, "history")
    assert "10.77.0.2 does not answer, what it keeps is not listed: its skd-cluster" in said
    assert "does not know what this one asks: install" in said


def test_interrupted_while_it_waits_for_the_peer_no_session_is_left(pair, lb1: Node, lb2: Node):
    def sessions() -> int:
        return list(lb1.processes().values()).count("ssh")

    before = sessions()
    lb2.run(["mv", "/usr/local/bin/skd-cluster", "/usr/local/bin/skd-real"])
    lb2.write("/usr/local/bin/skd-cluster", "#!/bin/sh\nsleep 1000\n", 0o755)
    command = lb1.popen(["skd-cluster", "diff"])
    eventually(lambda: sessions() > before and "sleep" in lb2.processes().values(), within=5, what="the peer was asked")
    command.send(signal.SIGINT)
    assert command.wait() == 1
    eventually(lambda: sessions() == before, within=5, what="only the replicator's session is left")
