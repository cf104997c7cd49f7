"""The package on one booted node: version 2 goes over to it, a newer one replaces it, it goes without a trace."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import version2
from tests.labkit import STATUS_FILE, eventually
from tests.labkit.appliance import LB1, LB2, dependencies
from tests.labkit.booted import SERVICE, BootedLab, BootedNode
from tests.labkit.machine import CommandError

ADDRESS = "192.168.1.252"
CONF = f"""\
$interface="eth0";
$local_ip="{LB1}";
$remote_ip="{LB2}";
$password="secret";
$cluster_id="1";
$cluster_ip="{ADDRESS}";
########
$exclude="--exclude if_eth0_conf";"""  # as people leave it: without a newline at the end
EXAMPLES = "/usr/share/doc/skudonet-ce-cluster/examples"
EDITED = "#!/bin/sh\n# edited by the administrator\nexit 0\n"


@pytest.fixture
def node(package: Path) -> Iterator[BootedNode]:
    with BootedLab(dependencies(package)) as lab:
        one = lab.node("lb1", LB1)
        one.write("/root/.bashrc", version2.BASHRC)
        one.write("/usr/local/skudonet/config/global.conf", "$a=1;\n")
        one.run(f"ip address add {ADDRESS}/24 dev eth0 label eth0:v")
        yield one


def text(node: BootedNode, place: str) -> str:
    return node.path(place).read_text()


def processes(node: BootedNode) -> list[str]:
    lines = node.run("ps -eo args").stdout.splitlines()
    return [line for line in lines if any(word in line for word in ("ucarp", "skdinotify", "skd-"))]


def newer(package: Path, folder: Path, *, spoilt: bool = False) -> Path:
    """Return the same package with a higher version, `spoilt` with a file that is another package's."""
    subprocess.run(["dpkg-deb", "-R", package, folder / "newer"], check=True)
    if spoilt:
        (folder / "newer/usr/bin/rsync").write_text("not ours\n")
    control = folder / "newer/DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 3.99+"))
    found = folder / "skudonet-ce-cluster_3.99_all.deb"
    subprocess.run(["dpkg-deb", "--build", folder / "newer", found], check=True, stdout=subprocess.DEVNULL)
    return found


def prompt_lines(node: BootedNode) -> list[str]:
    return [line for line in text(node, "/etc/bash.bashrc").splitlines() if "skd-prompt" in line]


@pytest.mark.parametrize("came", ["package", "package-with-conffiles", "by-hand"])
@pytest.mark.parametrize("switch", ["true", "false"])
def test_version_2_goes_over(node: BootedNode, package: Path, tmp_path: Path, came: str, switch: str) -> None:
    if came == "by-hand":
        for place, (content, mode) in version2.files(CONF).items():
            node.write(place, content, mode)
        node.run(version2.SETTLE)
    else:
        node.install(version2.build(tmp_path, CONF, conffiles=came == "package-with-conffiles"))
    node.run(f"{version2.INIT} start; sed -i 's/^enable_cluster=.*/enable_cluster=\"{switch}\"/' {version2.INIT}")
    assert len(processes(node)) == 2
    node.write(version2.HOOKS[0], EDITED, 0o755)
    before = text(node, "/etc/bash.bashrc")

    said = node.install(package)

    assert processes(node) == []
    assert not node.path(STATUS_FILE).exists()
    assert node.holds(ADDRESS), "on it the first master is chosen"
    assert node.unit()["ActiveState"] == "inactive"
    assert node.unit()["UnitFileState"] == "enabled", "it was started at boot"
    assert text(node, version2.CONF).startswith(f"{CONF}\n")
    assert f'\n$enable_cluster="{switch}";\n' in text(node, version2.CONF)
    assert node.path(version2.CONF).stat().st_mode & 0o777 == 0o600
    assert text(node, version2.HOOKS[0]) == EDITED
    assert "kept your" in said
    theirs = text(node, f"{EXAMPLES}/hooks/skudonet-ce-cluster-stop")
    assert (text(node, version2.HOOKS[1]) == theirs) is (came != "by-hand"), "nobody knows whether it was edited"
    assert "systemctl" in text(node, version2.INIT)
    for gone in (f"{version2.HOME}/sbin/ucarp", f"{version2.HOME}/sbin/skdinotify.pl", version2.OLD_PROMPT):
        assert not node.path(gone).exists()
    assert text(node, "/root/.bashrc") == version2.BASHRC
    assert len(prompt_lines(node)) == 1
    assert text(node, "/etc/bash.bashrc").startswith(before)
    assert "old_value" not in node.run("skd-cluster check").stdout

    node.run("systemctl start skudonet-ce-cluster")
    if switch == "false":
        assert node.unit()["ActiveState"] == "inactive"
        assert node.run("systemctl --failed --no-legend").stdout == ""
    else:
        eventually(lambda: node.role() == "master", within=20, what="lb1 is master")


def test_a_newer_version_replaces_one_that_runs_and_only_that(node: BootedNode, package: Path, tmp_path: Path) -> None:
    node.install(package)
    node.write(version2.CONF, CONF, 0o600)
    node.write(version2.HOOKS[0], EDITED, 0o755)
    node.run("systemctl start skudonet-ce-cluster")
    eventually(lambda: node.role() == "master", within=20, what="lb1 is master")
    before = node.unit()["MainPID"]

    node.install(newer(package, tmp_path))

    assert node.unit()["ActiveState"] == "active"
    assert node.unit()["MainPID"] != before
    eventually(lambda: node.role() == "master", within=20, what="lb1 is master again")
    assert text(node, version2.HOOKS[0]) == EDITED
    assert len(prompt_lines(node)) == 1

    node.run("systemctl stop skudonet-ce-cluster")
    node.run("apt-get -y reinstall /root/skudonet-ce-cluster_3.99_all.deb", env={"DEBIAN_FRONTEND": "noninteractive"})
    assert node.unit()["ActiveState"] == "inactive", "what the administrator stopped stays so"


def test_an_upgrade_that_fails_leaves_version_2(node: BootedNode, package: Path, tmp_path: Path) -> None:
    old = version2.build(tmp_path, CONF, conffiles=False)
    node.install(old)
    node.write(version2.HOOKS[0], EDITED, 0o755)
    before = {place: text(node, place) for place in version2.files(CONF)}

    with pytest.raises(CommandError, match="trying to overwrite"):
        node.install(newer(package, tmp_path, spoilt=True))

    assert {place: text(node, place) for place in version2.files(CONF)} == before
    assert not node.path("/var/lib/skd-cluster/from-2.0").exists()
    assert node.run("dpkg-query -W skudonet-ce-cluster").stdout.split()[1] == "2.0"
    node.install(package)
    assert text(node, version2.HOOKS[0]) == EDITED
    assert not node.path(f"{version2.HOME}/sbin/skdinotify.pl").exists()
    node.run(f"dpkg -i /root/{old.name}")  # which brings its own hooks along: they are no conffiles
    node.write(version2.HOOKS[0], EDITED, 0o755)
    node.install(package)
    assert text(node, version2.HOOKS[0]) == EDITED
    assert not node.path(f"{version2.HOME}/sbin/skdinotify.pl").exists()


def test_it_goes_without_a_trace(node: BootedNode, package: Path) -> None:
    before = text(node, "/etc/bash.bashrc")
    node.install(package)
    node.write(version2.CONF, CONF, 0o600)
    node.run("systemctl enable --now skudonet-ce-cluster")
    eventually(lambda: node.role() == "master", within=20, what="lb1 is master")
    assert node.holds(ADDRESS)

    node.run("apt-get remove -y skudonet-ce-cluster", timeout=60)
    assert processes(node) == []
    assert not node.holds(ADDRESS)
    assert not node.path(STATUS_FILE).exists()
    assert text(node, "/etc/bash.bashrc") == before
    assert not node.path("/etc/profile.d/skd-prompt.sh").exists()
    assert text(node, version2.CONF) == CONF, "until it is purged"
    assert node.run("systemctl --failed --no-legend").stdout == ""

    node.run("apt-get purge -y skudonet-ce-cluster", timeout=60)
    for gone in ("/var/lib/skd-cluster", "/run/skd-cluster", "/var/log/skdinotify.log", version2.HOME, version2.INIT):
        assert not node.path(gone).exists(), gone
    assert node.run("find /etc /var/lib/systemd -name '*skudonet-ce-cluster*' -o -name '*skd-*'").stdout == ""
    assert text(node, "/usr/local/skudonet/config/global.conf") == "$a=1;\n"
    assert "skudonet-ce-cluster" not in node.run(f"systemctl list-unit-files {SERVICE}", check=False).stdout


def test_the_sandbox_and_the_catalogue_are_what_systemd_sees(node: BootedNode, package: Path) -> None:
    node.install(package)
    node.run(f"systemd-analyze security --threshold=30 {SERVICE}")
    assert "The role of this node changed" in node.run("journalctl --dump-catalog").stdout
    assert "bash completion" in text(node, "/usr/share/bash-completion/completions/skd-cluster")
    node.run("systemctl start skudonet-ce-cluster", check=False)
    assert node.unit()["Result"] == "exit-code"
    said = node.journal("-u", SERVICE)
    assert "expected this pair's configuration; copy /usr/share/doc/skudonet-ce-cluster/examples" in said
    assert node.unit()["NRestarts"] == "0"


def test_a_program_that_cannot_even_begin_is_tried_again(node: BootedNode, package: Path) -> None:
    node.install(package)
    node.write(version2.CONF, CONF, 0o600)
    folder = "/usr/lib/python3/dist-packages"
    node.run(f"mv {folder}/netaddr {folder}/netaddr-gone")
    node.run("systemctl start skudonet-ce-cluster", check=False)
    eventually(lambda: int(node.unit()["NRestarts"]) > 1, within=20, what="systemd tries again")
    assert "No module named 'netaddr'" in node.journal("-u", SERVICE)
    node.run(f"mv {folder}/netaddr-gone {folder}/netaddr")
    eventually(lambda: node.role() == "master", within=20, what="lb1 is master")
