import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.authorized import admit, expel, is_ours, known_hosts, permission, plain_name, public_key


def line(kind: str, size: int = 32) -> str:
    raw = b"".join(struct.pack("!I", len(part)) + part for part in (kind.encode(), bytes(range(size))))
    return f"{kind} {base64.b64encode(raw).decode()}"


ED25519 = line("ssh-ed25519")
OURS = permission(public_key(ED25519), "lb1", "/usr/bin/skd-cluster receive --restricted", "10.0.0.1")
OLD = 'restrict,command="/opt/old receive",from="10.0.0.9" ssh-ed25519 AAAA skd-cluster:gone'


def test_a_public_key_is_read_without_its_comment():
    key = public_key(f"{ED25519} root@lb1 and more\n")
    assert str(key) == ED25519
    assert key.fingerprint == "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"  # as ssh-keygen -l says


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 not!base64",
        ED25519.replace("ssh-ed25519 ", "ssh-rsa "),
        f'command="id" {ED25519}',
        "ssh-dss AAAAB3NzaC1kc3M=",
        line("sk-ssh-ed25519@openssh.com"),
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="not a"):
        public_key(text)


@pytest.mark.parametrize("text", [line("ssh-rsa", 256), line("ssh-ed25519", 33)])
def test_only_what_a_pairing_makes_may_log_in(text):
    public_key(text)
    with pytest.raises(ValueError, match="expected ssh-ed25519"):
        public_key(text, login=True)


def test_the_line():
    assert (
        f'restrict,command="/usr/bin/skd-cluster receive --restricted",from="10.0.0.1" {ED25519} skd-cluster:lb1'
    ) == OURS
    assert is_ours(OURS.encode())
    odd = permission(public_key(ED25519), 'a"b c\nd', """/x receive --config '/a"b'""", "fe80::1")
    assert """command="/x receive --config '/a\\"b'",""" in odd
    assert odd.endswith(" skd-cluster:a_b_c_d")
    with pytest.raises(ValueError, match="cannot be written"):
        permission(public_key(ED25519), "lb1", "/x\nssh-ed25519", "10.0.0.1")
    assert plain_name("") == "peer"


@pytest.mark.parametrize(
    "text",
    [b"", b"# skd-cluster: is not ours\n", b"ssh-ed25519 AAAA root@skd-cluster:x y\n", b"ssh-rsa A skd-cluster:x\n"],
)
def test_what_others_wrote_is_not_ours(text):
    assert expel(text) == text
    assert not any(is_ours(one) for one in text.split(b"\n"))


def test_an_older_line_of_ours_is_replaced_where_it_is():
    content = b"a\r\n\n" + OLD.encode() + b"\nb\n" + OLD.encode() + b"\nc"
    assert admit(content, OURS) == b"a\r\n\n" + OURS.encode() + b"\nb\nc"
    assert admit(admit(content, OURS), OURS) == admit(content, OURS)


others = st.lists(st.binary(max_size=30).filter(lambda one: b"\n" not in one and not is_ours(one)), max_size=6)


@given(others, st.booleans())
def test_taking_our_line_away_gives_back_every_byte(lines, ended):
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    new = admit(content, OURS)
    assert OURS.encode() in new.split(b"\n")
    assert expel(new) == content
    assert [one for one in new.split(b"\n") if one not in (b"", OURS.encode())] == [
        one for one in content.split(b"\n") if one
    ]


def test_pins():
    keys = [public_key(line("ssh-rsa", 256)), public_key(ED25519)]
    lines = known_hosts("10.0.0.2", 22, keys).decode().splitlines()
    assert [one.split()[:2] for one in lines[1:]] == [["10.0.0.2", "ssh-ed25519"], ["10.0.0.2", "ssh-rsa"]]
    assert known_hosts("::2", 2222, keys).decode().splitlines()[1].startswith("::2,[::2]:2222 ssh-ed25519 ")
