import shutil
import subprocess

import pytest

from skd_cluster.cli.main import VERBS
from skd_cluster.cli.manual import PAGES, completion, page_of_the_command, page_of_the_file, roff, verbs
from skd_cluster.config.schema import KEYS


def test_every_verb_with_every_option_is_in_the_page():
    page = page_of_the_command()
    for name, parser in verbs().items():
        assert f".SS {name}\n" in page
        for action in parser._actions:
            assert all(roff(one) in page for one in action.option_strings if one != "-h")


def test_every_key_is_in_the_page():
    page = page_of_the_file()
    for key in KEYS.values():
        assert f".B {roff(key.name)}\n{roff(key.doc)}\n" in page


@pytest.mark.parametrize("name", ["skd-cluster.8", "skudonet-cluster.conf.5"])
def test_groff_has_nothing_to_complain_about(name, tmp_path):
    if shutil.which("groff") is None:
        pytest.skip("no groff here")
    (tmp_path / name).write_text(PAGES[name]())
    words = ["groff", "-man", "-Tutf8", "-ww", "-z", str(tmp_path / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_a_text_is_taken_for_a_request():
    assert roff(".SH a\n'b\\c -d `e`") == "\\&.SH a\n\\&'b\\ec \\-d \\fBe\\fR"


def completed(tmp_path, *words):
    (tmp_path / "completion").write_text(completion())
    script = f"""
        _init_completion() {{ cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
            words=("${{COMP_WORDS[@]}}") cword=$COMP_CWORD; }}
        _filedir() {{ COMPREPLY=(a-file); }}
        . {tmp_path}/completion
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _skd_cluster
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return subprocess.check_output(["bash", "-c", script, "bash", *words], text=True).split()


def test_bash_completes_verbs_options_and_files(tmp_path):
    assert completed(tmp_path, "skd-cluster", "") == list(VERBS)
    assert completed(tmp_path, "skd-cluster", "fail") == ["failover"]
    assert "--dry-run" in completed(tmp_path, "skd-cluster", "failover", "--")
    assert completed(tmp_path, "skd-cluster", "history", "rest") == ["restore"]
    assert "--exact" in completed(tmp_path, "skd-cluster", "history", "restore", "--e")
    assert completed(tmp_path, "skd-cluster", "status", "--config", "") == ["a-file"]
