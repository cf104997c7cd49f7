import pytest

from skd_cluster.core.sshfault import explain

PEER, COMMAND = "the peer 10.0.0.2", "ssh root@10.0.0.2 true"


@pytest.mark.parametrize(
    ("code", "errors", "kind", "words"),
    [
        (255, "root@10.0.0.2: Permission denied (publickey,password).", "refused_key", COMMAND),
        (255, "No ED25519 host key is known\nHost key verification failed.", "host_key", COMMAND),
        (255, "ssh: connect to host 10.0.0.2 port 22: Connection refused", "no_sshd", "port 22"),
        (255, "ssh: connect to host 10.0.0.2 port 22: Connection timed out", "unreachable", "timed out"),
        (255, "ssh: connect to host 10.0.0.2 port 22: No route to host", "unreachable", "No route"),
        (255, "Timeout, server 10.0.0.2 not responding.", "unreachable", "not responding"),
        (255, "command-line: line 0: Bad configuration option: colour", "ssh_options", "ssh_options"),
        (255, "", "killed", "was skd-cluster receive killed there?"),
        (255, "something else", "ssh", "something else"),
        (127, "bash: line 1: skd-cluster: command not found", "not_installed", "install"),
        (78, "/usr/local/x.conf:3: password: nothing, expected text", "peer_config", "password"),
        (1, "boom", "receive", "boom"),
        (0, "", "ended", "ended"),
    ],
)
def test_what_is_said(code, errors, kind, words):
    trouble = explain(code, errors, PEER, COMMAND)
    assert trouble.kind == kind
    assert words in trouble.text
    assert "10.0.0.2" in trouble.text or kind in ("key_file", "ssh_options")
    assert "\n" not in trouble.text


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ("root@10.0.0.2: Permission denied (publickey).", "refused_key"),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "host_key"),
    ],
)
def test_once_paired_it_is_the_pairing_that_is_to_be_mended(errors, kind):
    trouble = explain(255, errors, PEER, "", pinned=True)
    assert trouble.kind == kind
    assert "skd-cluster pair" in trouble.text
    assert "ssh root@" not in trouble.text
    assert explain(255, "Connection refused", PEER, "", pinned=True) == explain(255, "Connection refused", PEER, "")
