"""What is shipped beside the package: the unit file and the prompt."""

import configparser
import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "units"


class Prompt:
    """An interactive bash on a terminal, with nothing but our file."""

    def __init__(self, folder, before=""):
        rc = folder / "rc"
        rc.write_text(f"PS1='plain> '\n{before}\n. {UNITS}/skd-prompt.sh\n. {UNITS}/skd-prompt.sh\n")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            environment = {"SKD_STATUS_FILE": str(folder / "status"), "TERM": "dumb", "PATH": os.environ["PATH"]}
            os.execvpe("bash", ["bash", "--noprofile", "--rcfile", str(rc), "-i"], environment)

    def until(self, text):
        seen = ""
        while not seen.endswith(text):
            seen += os.read(self.terminal, 4096).decode()
        return seen

    def type(self, line):
        os.write(self.terminal, f"{line}\n".encode())

    def close(self):
        self.type("exit")
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def test_the_prompt_is_fresh_before_each_command(tmp_path):
    status, host = tmp_path / "status", os.uname().nodename.partition(".")[0]
    prompt = Prompt(tmp_path, before='PROMPT_COMMAND="true"')
    try:
        prompt.until("plain> ")
        for word in ("master", "backup", "fault", "standby"):
            status.write_text(f"{word}\n")
            prompt.type("(exit 7)")
            prompt.until(f"[{word}] root@{host}> ")
            prompt.type("echo it-was-$?")
            assert "it-was-7" in prompt.until(f"[{word}] root@{host}> ")
        status.write_text("$(touch /tmp/owned) x\n")
        prompt.type("")
        prompt.until("plain> ")
        prompt.type("PS1='mine> '")
        prompt.until("mine> ")
        status.write_text("master\n")
        prompt.type("")
        prompt.until(f"[master] root@{host}> ")
        status.unlink()
        prompt.type("")
        prompt.until("mine> ")
    finally:
        prompt.close()


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_other_shells_are_left_alone(shell):
    words = f"PS1=x; . {UNITS}/skd-prompt.sh; echo ${{PROMPT_COMMAND-none}}"
    assert subprocess.check_output([shell, "-c", words], text=True) == "none\n"


def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / "skudonet-ce-cluster.service")
    return parser["Service"]


def lines_of(key):
    text = (UNITS / "skudonet-ce-cluster.service").read_text()
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_the_unit_says_what_the_program_does():
    service = unit()
    assert service["Type"] == "notify"
    assert service["ExecStart"].endswith("skd-cluster run")
    assert lines_of("ExecStopPost")[0].endswith("skd-cluster release")
    assert service["RestartPreventExitStatus"] == "78"


def test_systemd_has_nothing_to_say_about_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    text = (UNITS / "skudonet-ce-cluster.service").read_text().replace("/usr/bin/skd-cluster", "/bin/true")
    (tmp_path / "skudonet-ce-cluster.service").write_text(text)
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "skudonet-ce-cluster.service")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "skudonet" in line]
    assert ours == []
