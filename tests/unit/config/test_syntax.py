"""The text of the file: statements, strings, names, and that nothing can upset the parser."""

# ruff: noqa: RUF001 -- typographic characters are what is tested

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skd_cluster.config.problems import MAX_PROBLEMS, is_secret
from skd_cluster.config.quoting import MAX_VALUE
from skd_cluster.config.syntax import MAX_BYTES, parse


def values(text: str | bytes) -> dict[str, str | None]:
    return {one.key: one.value for one in parsed(text).statements}


def parsed(text: str | bytes):
    return parse(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text, "x.conf")


def kinds(text: str | bytes) -> list[tuple[int | None, str]]:
    return [(one.line, str(one.kind)) for one in parsed(text).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'$a="";', ""),
        (r'$a = "b" ;', "b"),
        (r"$a='it''s';", None),
        (r"$a='it\'s';", "it's"),
        (r"$a='\n';", r"\n"),
        (r'$a="x\ty\\z";', "x\ty\\z"),
        (r'$a="\%\w";', "%w"),
        ("$a=\n  'b'\n;", "b"),
        ("$a=-1.5;", "-1.5"),
        ("$a=010;", None),  # eight, to Perl
        ("$a=1_000;", None),
        ('$a="b" x 3;', None),
        ("$a=$b;", None),
        ("$a=;", None),
        ("$a=", None),
        ("$a=qw(b);", None),
        ("$a=<<E;", None),
        (r'$a="\x41";', None),
        (r'$a="\Uabc";', None),
        ("$a=«b»;", "b"),
        ("$a=“b';c”;", "b';c"),
        ('$a="b”c";', "b”c"),
        ('$a=‘b"c’;', 'b"c'),
        ('$a="5” disk"; $b="c";', "5” disk"),
        ('$a="x”; $b="y";', "x"),
    ],
)
def test_value(text, value):
    assert values(text)["a"] == value
    assert (value is None) == any(one.is_error for one in parsed(text).problems)


@pytest.mark.parametrize(
    ("string", "value", "warned"),
    [
        ("$n", "N", []),
        ("${n}x", "Nx", []),
        ("$n:x $n-x", "N:x N-x", []),
        ("${n}[0]", "N[0]", []),
        ("$nx", "$nx", ["$nx"]),
        ("$n's", "$n's", ["$n's"]),
        ("$n::x", "$n::x", ["$n::x"]),
        ("$n::", "$n::", ["$n::"]),
        ("$x[1]", "$x[1]", ["$x"]),
        ("a@b.org", "a@b.org", ["@b"]),
        ("a@ b", "a@ b", []),
        ("a@.b", "a@.b", []),
        ("$$", "$$", ["$$"]),
        ("$1.50", "$1.50", ["$1"]),
        ("$!", "$!", ["$!"]),
        ("$", "$", []),
        ("@n", "@n", ["@n"]),
        ("@{n}", "@{n}", ["@{n}"]),
        ("$#n", "$#n", ["$#n"]),
    ],
)
def test_names_in_double_quotes(string, value, warned):
    """What Perl 5.36 reads differently is warned of, and only that: each was compared with it."""
    result = parsed(f'$n="N";$a="{string}";')
    assert result.statements[1].value == value
    assert [one.found for one in result.problems] == warned
    assert not any(one.is_error for one in result.problems)


@pytest.mark.parametrize(
    "string", ["@{[ 1 ]}", r"${\ 1}", "$n[0]", "$n{x}", "$n->[0]", "$x[f()]", "@x[`ls`]", "$#{n()}", "${n"]
)
def test_expressions_in_double_quotes_are_refused(string):
    assert (1, "not-a-plain-value") in kinds(f'$n="N";$a="{string}";')


def test_a_name_counts_from_its_assignment_on_and_with_the_value_it_has_there():
    text = '$a="$b"; $b="1"; $c="$b"; $b="2"; $d="$b";'
    assert values(text) == {"a": "$b", "b": "2", "c": "1", "d": "2"}


def test_a_name_whose_value_is_broken_breaks_those_that_use_it_without_another_problem():
    assert values('$a=`x`; $b="$a/x";') == {"a": None, "b": None}
    assert kinds('$a=`x`; $b="$a/x";') == [(1, "not-a-plain-value")]


def test_what_follows_an_error_on_its_line_is_read():
    assert values('print "a;b"; $c="d";')["c"] == "d"
    assert values("$a=join(';', 1); $c='d';")["c"] == "d"


def test_missing_semicolon_before_an_assignment_on_the_same_line():
    assert kinds('$a="b" $c="d";') == [(1, "missing-semicolon")]
    assert values('$a="b" $c="d";') == {"a": "b", "c": "d"}


def test_lines_and_columns():
    statements = parsed('# x\r\n\r\n  $a="1"; $b=\n"2";\n$c="3";').statements
    assert [(one.key, one.line, one.column) for one in statements] == [("a", 3, 3), ("b", 3, 11), ("c", 5, 1)]


def test_one_stray_statement_is_one_problem_a_line():
    assert kinds("if (1) { x(); y(); }\nz();") == [(1, "not-an-assignment"), (2, "not-an-assignment")]


def test_utf16_is_named():
    (problem,) = parsed('$a="b";'.encode("utf-16")).problems
    assert (problem.kind, problem.found, problem.is_error) == ("not-utf8", "UTF-16", True)


def test_names_of_names_do_not_explode():
    text = '$a0="xxxxxxxxxxxxxxxx";' + "".join(f'$a{n + 1}="{f"$a{n}" * 40}";\n' for n in range(60))
    started = time.monotonic()
    result = parsed(text)
    assert time.monotonic() - started < 1
    assert any(one.kind == "too-long" for one in result.problems)
    assert all(len(one.value or "") <= MAX_VALUE for one in result.statements)


@pytest.mark.parametrize(
    "unit", ['"', "'", "$", "$a=", '$a="', '$a="”;"b', "@a[", "$a='';", "`", "\\", "$a=1;", "#\n", "(\n", '$b="@b[";\n']
)
def test_time_grows_with_size(unit):
    text = (unit * (MAX_BYTES // len(unit.encode())))[:MAX_BYTES].encode()[:MAX_BYTES]
    started = time.monotonic()
    parse(text, "x.conf")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("key", ["password", "password_also", "pasword", "PASSWD", "dbpwd"])
def test_a_secret_is_not_shown_whatever_is_wrong_with_it(key):
    for wrong in ('"hidden', "'hid' . 'den'", "hidden()", '"$hidden"', '"x@hidden"', "hidden", '"a\\xhidden"'):
        for problem in parsed(f"${key}={wrong}\n;").problems:
            assert "hid" not in f"{problem} {problem!r}"
    assert is_secret(key)
    assert not is_secret("password_file")


def test_the_rest_of_a_broken_password_is_not_shown():
    text = "\n".join(map(str, parsed('$password="hid\nden";\npassword = "hidden";\npassword hidden;').problems))
    text += "\n".join(map(str, parsed('$password="x"hid;\nden words;').problems))
    assert "hid" not in text
    assert "den" not in text


def test_found_cannot_break_the_line_or_the_terminal():
    (problem,) = [one for one in parsed("$a=\x1b[2J\x07\udcff()").problems if one.kind == "not-a-plain-value"]
    assert str(problem) == 'x.conf:1: error: $a: found \\x1b[2J\\x07\\udcff(), expected a plain "value" and a semicolon'


PIECES = st.sampled_from(
    ['"', "'", "$", "@", "{", "}", "[", "\\", ";", "=", "\n", "\r", "#", "`", "(", ")", "“", "”", "‘", "’", "\u00a0", " ", "1",
     "$a", "$password", '="', '";\n', "--exclude ", "\udcff", "\0", "${", "@{[", "word", "–"]
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.lists(PIECES, max_size=60).map(lambda all_: "".join(all_).encode("utf-8", "surrogateescape")),
    )
)
@example(b"$a")
@example(b'$a="')
@example(b"\xef\xbb\xbf")
def test_any_bytes_give_statements_and_problems_within_the_file(data):
    result = parse(data, "x.conf")
    lines = data.count(b"\n") + 1
    assert len(result.problems) <= MAX_PROBLEMS + 1
    assert all(one.line is None or 1 <= one.line <= lines for one in result.problems)
    assert all(1 <= one.line <= lines and one.column >= 1 for one in result.statements)
    assert all(one.value is not None or result.problems for one in result.statements)
    assert all("\n" not in str(one) for one in result.problems)


PLAIN = st.text(st.characters(blacklist_characters="\n", blacklist_categories=("Cs",)), max_size=40)


@given(PLAIN)
def test_what_is_escaped_for_single_quotes_comes_back(text):
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    assert values(f"$a='{escaped}';") == {"a": text}


@given(PLAIN)
def test_what_is_escaped_for_double_quotes_comes_back(text):
    escaped = "".join("\\" + one if one in '\\"$@' else one for one in text)
    assert values(f'$a="{escaped}";') == {"a": text}
    assert not parsed(f'$a="{escaped}";').problems
