"""Setting keys in a file: nothing else changes, and both we and Perl read what was set."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skd_cluster.config.build import as_version_2_read
from skd_cluster.config.edit import CannotEditError, assign, quoted
from skd_cluster.config.problems import Severity
from skd_cluster.config.syntax import parse


def values(data):
    return {one.key: one.value for one in parse(data, "x").statements}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b'$transport="carp";\n'),
        (b'$a="1";\n', b'$a="1";\n$transport="carp";\n'),
        (b'$a="1"; # no newline', b'$a="1"; # no newline\n$transport="carp";\n'),
        (b'$a="1";\r\n$b=2;', b'$a="1";\r\n$b=2;\r\n$transport="carp";\r\n'),
        (b'$a="1" # the last\n', b'$a="1"; # the last\n$transport="carp";\n'),
        (b"$a=1;\n1;\n", b'$a=1;\n1;\n$transport="carp";\n'),
        (b"\xef\xbb\xbf$a=1;\n", b'\xef\xbb\xbf$a=1;\n$transport="carp";\n'),
        (b"\xef\xbb\xbf$transport= 'udp' ;#\xe9\n", b'\xef\xbb\xbf$transport= "carp" ;#\xe9\n'),
        (b'$transport="udp"; $transport=vrrp; $a=1', b'$transport="udp"; $transport="carp"; $a=1'),
        (b"$transport=\n  'udp'\n  ;", b'$transport=\n  "carp"\n  ;'),
        (b'$transport="udp"', b'$transport="carp"'),
        (b'# $transport="udp";\n', b'# $transport="udp";\n$transport="carp";\n'),
    ],
)
def test_the_smallest_change(before, after):
    assert assign(before, {"transport": "carp"}) == after
    assert assign(after, {"transport": "carp"}) == after


def test_several_keys_in_and_out_of_the_file():
    before = b'$b="2"; $a="$b$b";\n$c=3 # end'
    assert assign(before, {"c": "x y", "new": "1", "a": "$b"}) == b'$b="2"; $a=\'$b\';\n$c="x y"; # end\n$new="1";\n'


def test_a_value_that_others_are_made_of_is_not_changed_under_them():
    with pytest.raises(CannotEditError, match="without changing another key"):
        assign(b'$b="2"; $a="$b$b";\n', {"b": "3"})


@pytest.mark.parametrize("broken", [b'$a="1', b"rm -rf /;", b'$a="1" $b="2"', b"\xff\xfe$", b"#" * 300_000])
def test_a_broken_file_is_not_edited(broken):
    with pytest.raises(CannotEditError):
        assign(broken, {"a": "2"})


KEYS = st.sampled_from(["transport", "password", "a", "b", "zeninolog"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PIECES = st.sampled_from(
    ["$a='1';", '$b="x$a";', "$transport=udp;", "# c\n", "\n", "\r\n", " ", ";", "1;", "$b=2", '$password="P@ss";', "é"]
)


@settings(max_examples=300)
@given(pieces=st.lists(PIECES, max_size=8), key=KEYS, value=TEXTS)
def test_only_the_key_changes_whatever_the_file(pieces, key, value):
    before = "".join(pieces).encode()
    try:
        after = assign(before, {key: value})
    except CannotEditError:
        return
    assert values(after) == values(before) | {key: value}
    assert not [one for one in parse(after, "x").problems if one.severity is Severity.ERROR]
    if key not in values(before):
        at = 0
        for byte in before:  # nothing was taken away: what was there is still there, in its order
            at = after.index(byte, at) + 1
    assert assign(after, {key: value}) == after


AWKWARD = ["a\\", "\\\\", "\\'", "a\\b", "it's", "x@home\n", 'a"$b@c\\\t', "$x\n@y\\n", "@", "$", ""]


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("key", ["password", "zeninolog"])
def test_awkward_values_are_read_as_they_were(value, key):
    statements = parse(f"${key}={quoted(key, value)};".encode(), "x").statements
    assert [one.value for one in statements] == [value]
    assert as_version_2_read(statements) == {key: value}
    if shutil.which("perl"):
        assert asked_perl(f"${key}={quoted(key, value)};", key) == [value]


@given(value=TEXTS, key=KEYS)
def test_what_is_quoted_is_read_as_it_was(value, key):
    data = f"${key}={quoted(key, value)};".encode("utf-8", "surrogateescape")
    parsed = parse(data, "x")
    assert [one.value for one in parsed.statements] == [value]
    assert as_version_2_read(parsed.statements) == {key: value}


def asked_perl(text, *names):
    words = "; ".join(f"print ${name}, qq(\\0)" for name in names)
    done = subprocess.run(["perl", "-e", f"{text}\n{words}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    "literal",
    [
        '"P@ssw0rd"', "'P@ssw0rd'", '"P\\@ss"', '"a$b"', '"a$ssw0rd"', '"pa${word}x"', '"$known-$unknown"', '"$known@x"',
        '"--exclude if_$interface_conf"', '"x@{y}z"', '"a\\"b\\$c\\\\d#e;f"', "'a\\'b\\\\c\\d'", '"tab\\tnew\\n"', '"a@ b"', '"a@"',
        '"two@one@two"', '"100%"', '"$known$known"', '"mail@example.org"', '"é@x"',
    ],
)  # fmt: skip
def test_perl_reads_what_we_say_it_reads(literal):
    text = f"$known='it is';\n$password={literal};"
    statements = parse(text.encode(), "x").statements
    ours = as_version_2_read(statements)["password"]
    assert ours is not None
    assert asked_perl(text, "password") == [ours]


@pytest.mark.parametrize(
    "literal", ['"a$$b"', '"$x[0]"', '"@x[1]"', '"$1"', '"@INC"', '"$main::x"', '"@-"', '"a$ b"', '"@1x"']
)
def test_what_perl_makes_of_it_is_not_known(literal):
    assert as_version_2_read(parse(f"$password={literal};".encode(), "x").statements) == {"password": None}


@settings(max_examples=40, deadline=None)
@given(value=st.text(st.sampled_from("ab01 '\"\\$@#;{}[]()%&é\n\t~`-"), max_size=12))
def test_perl_reads_what_we_quote(value):
    assert asked_perl(f"$password={quoted('password', value)};", "password") == [value]
