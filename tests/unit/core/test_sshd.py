import pytest

from skd_cluster.core.sshd import host_key_files, keys_file, obstacles, read_settings

USUAL = """\
port 22
permitrootlogin without-password
pubkeyauthentication yes
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
authenticationmethods any
forcecommand none
pubkeyacceptedalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,rsa-sha2-512
hostkey /etc/ssh/ssh_host_rsa_key
hostkey /etc/ssh/ssh_host_ed25519_key
"""


def test_debian_s_defaults_and_silence_are_no_obstacle():
    for text in (USUAL, ""):
        assert obstacles(read_settings(text)) == []
        assert keys_file(read_settings(text), "/root") == "/root/.ssh/authorized_keys"
    assert host_key_files(read_settings(USUAL)) == ["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ed25519_key"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("permitrootlogin no", "PermitRootLogin no"),
        ("pubkeyauthentication no", "PubkeyAuthentication no"),
        ("authorizedkeysfile none", "AuthorizedKeysFile none"),
        ("forcecommand /bin/audit", "ForceCommand /bin/audit"),
        ("pubkeyacceptedalgorithms rsa-sha2-512", "without ssh-ed25519"),
        ("authenticationmethods publickey,password", "AuthenticationMethods publickey,password"),
        ("allowusers admin", "AllowUsers admin"),
        ("allowgroups ssh", "AllowGroups ssh"),
        ("denyusers root@*", "DenyUsers root@*"),
    ],
)
def test_what_keeps_root_out_is_named(line, words):
    (found,) = obstacles(read_settings(line + "\n" + USUAL))
    assert words in found


@pytest.mark.parametrize(
    "line", ["permitrootlogin forced-commands-only", "allowusers admin\nallowusers root@10.0.0.1", "allowusers *"]
)
def test_what_lets_root_in(line):
    assert obstacles(read_settings(f"{line}\n")) == []


@pytest.mark.parametrize(
    ("value", "file"),
    [
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/root"),
        ("%h/keys%%", "/root/keys%"),
        ("keys", "/root/keys"),
        ("none", ""),
    ],
)
def test_where_the_keys_of_root_are(value, file):
    assert keys_file(read_settings(f"authorizedkeysfile {value}"), "/root") == file
