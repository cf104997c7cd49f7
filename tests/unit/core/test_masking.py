import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.masking import HIDDEN, masked, secrets
from skd_cluster.core.textdiff import LARGEST, Version, shown, text_of, unified

KEY = "-----BEGIN PRIVATE KEY-----\nQUJDREVGR0g=\nSUpLTE1OT1A=\n-----END PRIVATE KEY-----\n"


def lines(text):
    return [one.shown for one in masked(text)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('$password="hunter22";', f"$password={HIDDEN}"),
        ('$zapikey = "hunter22";', f"$zapikey = {HIDDEN}"),
        ("password_file=/etc/hunter22", f"password_file={HIDDEN}"),
        ("  passwd: hunter22", f"  passwd: {HIDDEN}"),
        ('{"user": "me", "Password": "hunter22", "x": 1}', f'{{"user": "me", "Password": {HIDDEN}'),
        ("<secret>hunter22</secret>", f"<secret>{HIDDEN}"),
        ("Key hunter22", f"Key {HIDDEN}"),
        ("client_secret => 'hunter22',", f"client_secret => {HIDDEN}"),
        ("$db{password}='hunter22'", f"$db{{password}}={HIDDEN}"),
        ("# the old password was hunter22", f"# the old password {HIDDEN}"),
        ("exec --api-key hunter22 --verbose", f"exec --api-key {HIDDEN}"),
        ("auth = hunter22", f"auth = {HIDDEN}"),
        ("url https://me:hunter22@example.org/x", f"url https://{HIDDEN}@example.org/x"),
        ("root:$6$salt$hunter22:1:2", f"root:{HIDDEN}:1:2"),
        ("Header: Basic aHVudGVyMjI=", f"Header: Basic {HIDDEN}"),
    ],
)
def test_a_value_behind_a_telling_name_is_not_shown(line, found):
    assert lines(line) == [found]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Address 192.0.2.1",
        "# keyboard layout: us",
        "SecDefaultAction \"pass,log,logdata:'client:%{REMOTE_ADDR}',phase:1\"",
        "-----BEGIN CERTIFICATE-----",
        "see https://example.org/a@b",
    ],
)
def test_other_lines_are_shown_as_they_are(line):
    assert lines(line) == ([line] if line else [])


def test_a_private_key_is_one_line():
    assert lines(f"a\n{KEY}b\n") == ["a", "(private key, 4 lines, not shown)", "b"]
    assert lines(KEY.replace("PRIVATE", "EC PRIVATE")) == ["(private key, 4 lines, not shown)"]
    assert lines(KEY.replace("PRIVATE", "CERTIFICATE").replace("KEY", "")) != ["(private key, 4 lines, not shown)"]


def test_a_private_key_without_begin_or_end_is_not_shown_either():
    begin, first, second, end = KEY.splitlines(keepends=True)
    assert lines(f"a\n{begin}{first}{second}") == ["a", "(private key, 3 lines, not shown)"]
    assert lines(f"{first}{second}{end}b\n") == ["(private key, 3 lines, not shown)", "b"]


def test_a_private_key_within_one_line_takes_the_line():
    text = '{"x": "' + KEY.replace("\n", "\\n") + '"}'
    assert lines(text) == ["(private key, 1 lines, not shown)"]


def test_values_on_the_lines_after_their_name():
    assert lines("secret: |\n  one\n\n  two\nnext: 1\n") == ["secret: |", HIDDEN, "", HIDDEN, "next: 1"]
    assert lines("  password:\n    one\n  other\n") == ["  password:", HIDDEN, "  other"]
    assert lines("password='one\ntwo'\nthree\n") == [f"password={HIDDEN}", HIDDEN, "three"]
    assert lines('password="one\ntwo\nit\'s\nthree"\nfour\n') == [f"password={HIDDEN}", *[HIDDEN] * 3, "four"]
    assert lines("password one\\\ntwo\\\nthree\nfour\n") == [f"password {HIDDEN}", HIDDEN, HIDDEN, "four"]


def test_a_value_is_hidden_wherever_it_stands_again():
    assert lines('a hunter22 b\npassword="hunter22"; # me\n') == [f"a {HIDDEN} b", f"password={HIDDEN}"]
    assert lines("key = true\nssl = true\n") == [f"key = {HIDDEN}", "ssl = true"]
    assert [one.shown for one in masked("a hunter22 b", secrets("password: hunter22"))] == [f"a {HIDDEN} b"]


def test_a_secret_of_one_side_is_hidden_on_the_other_as_well():
    found = unified(Version("lb1", b"password=hunter22\n"), Version("lb2", b"see hunter22\n"))
    assert found[-2:] == [f"-password={HIDDEN}", f"+see {HIDDEN}"]


def test_what_is_all_secrets_has_no_diff():
    many = "".join(f"password=hunter{number}\n" for number in range(600)).encode()
    assert unified(Version("one", many), Version("two", b"")) is None
    assert shown(many) is None


def test_an_endless_line_is_not_looked_at():
    assert lines("x" * 3000) == ["(a line of 3000 characters, not shown)"]


def test_a_secret_that_differs_is_seen_to_differ():
    found = unified(
        Version("lb1", b'a\n$password="hunter22";\nb\n'), Version("lb2", b'a\n$password="correcthorse";\nb\n')
    )
    assert found == [
        *("--- lb1", "+++ lb2", "@@ -1,3 +1,3 @@"),
        *(" a", f"-$password={HIDDEN}", f"+$password={HIDDEN}", " b"),
    ]


def test_a_unified_diff_as_diff_writes_it():
    old = "".join(f"{number}\n" for number in range(20))
    new = old.replace("3\n", "three\n", 1).replace("17\n", "").removesuffix("\n")
    found = unified(Version("one", old.encode()), Version("two", new.encode()))
    assert found == [
        *("--- one", "+++ two", "@@ -1,7 +1,7 @@", " 0", " 1", " 2", "-3", "+three", " 4", " 5", " 6"),
        *("@@ -15,6 +15,5 @@", " 14", " 15", " 16", "-17", " 18", "-19", "+19", "\\ No newline at end of file"),
    ]
    assert unified(Version("one", b"same"), Version("two", b"same")) == []
    assert unified(Version("one", b""), Version("two", b"a\n"))[2:] == ["@@ -0,0 +1 @@", "+a"]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a\0b", b"x\n" * LARGEST, b"\n" * 30_000])
def test_what_is_no_text_has_no_diff(body):
    assert unified(Version("one", b"a\n"), Version("two", body)) is None
    assert shown(body) is None


def test_nothing_in_a_line_moves_the_cursor():
    assert shown("a\x1b[2Jb\r\tc\u202e\n".encode()) == ["a\\x1b[2Jb\\r\tc\\u202e"]
    assert text_of("é".encode()) == "é"


SECRET = st.text("QWXZqwxz0123456789!%^&*+~", min_size=4, max_size=24)
NAMES = ["$password", "passwd", "client_secret", "key", "apikey", "ssl-key", "PRIVATE_KEY", "token", '"secret"']
SIGNS = ["=", ": ", " = ", " => ", '="{}";', " = '{}'", ': "{}",', '=["{}"]']
HARMLESS = st.text(string.ascii_lowercase.translate({ord(one): None for one in "qwxz"}) + " .,", max_size=20)


@st.composite
def documents(draw):
    """Text with values that nobody may see, made of signs that stand nowhere else in it."""
    hidden, text = [], []
    for kind in draw(st.lists(st.sampled_from(["plain", "named", "block", "again", "pem", "url"]), max_size=12)):
        secret = draw(SECRET)
        if kind == "plain":
            text.append(draw(HARMLESS))
            continue
        if kind == "again":
            secret = draw(st.sampled_from(hidden)) if hidden else "none yet"
            text.append(f"{draw(HARMLESS)} {secret} {draw(HARMLESS)}" if hidden else "none yet")
            continue
        hidden.append(secret)
        if kind == "named":
            sign = draw(st.sampled_from(SIGNS))
            value = sign.format(secret) if "{}" in sign else sign + secret
            text.append(f"{draw(HARMLESS)}\n{draw(st.sampled_from(NAMES))}{value}")
        elif kind == "block":
            text.append(f"{draw(st.sampled_from(NAMES))}:\n    {secret}\n    {secret}")
        elif kind == "pem":
            text.append(f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----")
        else:
            secret = "".join(one for one in secret if one.isalnum()) + "0Q0Q"
            hidden[-1] = secret
            text.append(f"https://{secret}@example.org/")
    return "\n".join(text), hidden


@given(documents(), documents())
def test_no_part_of_a_secret_is_shown(one, other):
    found = unified(Version("lb1", one[0].encode()), Version("lb2", other[0].encode()))
    output = "\n".join([*found, *shown(one[0].encode()), *shown(other[0].encode())])
    parts = {secret[at : at + 4] for secret in (*one[1], *other[1]) for at in range(len(secret) - 3)}
    assert [part for part in parts if part in output] == []


@given(st.text(max_size=300))
def test_no_text_raises_and_every_line_has_its_own(text):
    found = masked(text)
    assert "".join(one.raw for one in found) == text
    assert all(one.shown is not None for one in found)
