"""The Debian package's files, as far as they can be told without building it: script/deb --check does that."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import skd_cluster
from skd_cluster.config.load import load
from skd_cluster.config.schema import KEYS
from tests.fixtures import version2

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "debian"
UNITS = ROOT / "units"
SCRIPTS = [
    *(DEBIAN / f"skudonet-ce-cluster.{one}" for one in ("preinst", "postinst", "prerm", "postrm")),
    *(UNITS / "hooks").iterdir(),
    UNITS / "skudonet-ce-cluster.init",
]


def test_the_package_has_the_version_of_the_program():
    first = (DEBIAN / "changelog").read_text().partition("\n")[0]
    assert re.match(r"skudonet-ce-cluster \(([^)]*)\)", first).group(1) == skd_cluster.__version__


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_plain_sh(script, tmp_path):
    assert script.read_text().startswith("#!/bin/sh\n")
    text = script.read_text().replace("#FILES#\n", "").replace("#DEBHELPER#\n", "")
    (tmp_path / "script").write_text(text)
    for shell in ("dash", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_the_example_lacks_nothing_but_a_password(tmp_path):
    example = shutil.copy(UNITS / "skudonet-cluster.conf", tmp_path)
    Path(example).chmod(0o600)
    assert [one.key for one in load(Path(example)).problems] == ["password"]


def test_hooks_are_where_the_configuration_looks_for_them():
    listed = set((DEBIAN / "skudonet-ce-cluster.conffiles").read_text().split())
    assert listed == {KEYS[key].default for key in ("up_script", "down_script", "adver_script")}
    assert {Path(one).name for one in listed} == {one.name for one in (UNITS / "hooks").iterdir()}


def test_preinst_has_our_files_for_the_places_of_version_2(tmp_path):
    script = tmp_path / "preinst"
    shutil.copy(DEBIAN / "skudonet-ce-cluster.preinst", script)
    places = {f"/place/{one.name}": one for one in (*(UNITS / "hooks").iterdir(), UNITS / "skudonet-ce-cluster.init")}
    subprocess.run([DEBIAN / "embed", script, *(f"{place}={file}" for place, file in places.items())], check=True)
    shell = script.read_text().partition("ours() {")[2].partition("\n    esac\n}\n")[0]
    for place, file in places.items():
        words = f"ours() {{{shell}\n    esac\n}}\nours {place}"
        assert subprocess.check_output(["sh", "-c", words], text=True) == file.read_text()


def function(name):
    """Return a function of postinst, for a shell."""
    text = (DEBIAN / "skudonet-ce-cluster.postinst").read_text()
    return f"{name}() {{{text.partition(f'{name}() {{')[2].partition(chr(10) + '}' + chr(10))[0]}\n}}\n"


def without_prompt(tmp_path, text):
    (tmp_path / "rc").write_text(text)
    words = f"{function('without_prompt')}without_prompt {tmp_path}/rc {tmp_path}/new"
    done = subprocess.run(["sh", "-c", words], check=False)
    return (tmp_path / "new").read_text() if done.returncode == 0 else None


@pytest.mark.parametrize(
    "of_2",
    [
        version2.BASHRC_OF_2,
        'role() {\n  cat /etc/skudonet-ce-cluster.status\n}\nPS1="$(role) $PS1"\n',
        'function role {\n  if true; then\n    cat /etc/skudonet-ce-cluster.status\n  fi\n}\nexport PS1="\\$(role)"\n',
    ],
)
def test_old_prompt_lines_go_and_nothing_else(tmp_path, of_2):
    before, after = "alias ll='ls -l'\nmine() {\n  true\n}\n", "# last\nPS1='x '"
    assert without_prompt(tmp_path, before + of_2 + after) == f"{before}{after}\n"


def test_a_file_that_no_shell_could_read_afterwards_is_left_alone(tmp_path):
    assert without_prompt(tmp_path, "if test -f /etc/skudonet-ce-cluster.status; then\n  PS1=x\nfi\n") is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('enable_cluster="false"', "false"),
        ("$enable_cluster='true'; # on", "true"),
        ("  enable_cluster = false", "false"),
        ('# enable_cluster="false"', None),
        ("enable_cluster=$1", None),
    ],
)
def test_the_switch_of_version_2_is_read(tmp_path, line, word):
    (tmp_path / "init").write_text(f"#!/bin/sh\n{line}\n")
    conf = tmp_path / "conf"
    conf.write_text('$interface="eth0";')
    words = f"saved={tmp_path} conf={conf}\n{function('carry_switch')}carry_switch"
    subprocess.run(["sh", "-e", "-c", words], check=True, stdout=subprocess.DEVNULL)
    expected = f'\n$enable_cluster="{word}";\n' if word else '$interface="eth0";'
    assert conf.read_text().endswith(expected)
    before = conf.read_text()
    subprocess.run(["sh", "-e", "-c", words], check=True, stdout=subprocess.DEVNULL)
    assert conf.read_text() == before


def test_the_sandbox_is_as_tight_as_promised():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30"]
    done = subprocess.run([*words, UNITS / "skudonet-ce-cluster.service"], capture_output=True, text=True, check=False)
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd cannot judge a unit that is not installed")
    assert done.returncode == 0, done.stdout.splitlines()[-1]
