import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.patterns import Pattern, Patterns

# pattern, path, is a folder, matches
TABLE = [
    ("if_eth0_conf", "if_eth0_conf", False, True),
    ("if_eth0_conf", "sub/if_eth0_conf", False, True),
    ("if_eth0_conf", "if_eth0_conf.bak", False, False),
    ("/if_eth0_conf", "sub/if_eth0_conf", False, False),
    ("/if_eth0_conf", "if_eth0_conf", False, True),
    ("*.cfg", "shop_proxy.cfg", False, True),
    ("*.cfg", "a/b/shop_proxy.cfg", False, True),
    ("a*c", "a/c", False, False),
    ("a?c", "a/c", False, False),
    ("local/", "local", True, True),
    ("local/", "local", False, False),
    ("waf/sets", "ipds/waf/sets", True, True),
    ("waf/sets", "ipds/mywaf/sets", True, False),
    ("/waf/sets", "ipds/waf/sets", True, False),
    ("waf/*.data", "ipds/waf/x.data", False, True),
    ("waf/*.data", "ipds/waf/sets/x.data", False, False),
    ("waf/**.data", "ipds/waf/sets/x.data", False, True),
    ("/ipds/**", "ipds/waf/sets", True, True),
    ("/ipds/**", "ipds", True, False),
    ("ipds/***", "ipds", True, True),
    ("if_[ab]_conf", "if_a_conf", False, True),
    ("if_[!ab]_conf", "if_a_conf", False, False),
    ("if_[^ab]_conf", "if_c_conf", False, True),
    ("if_[a-c]_conf", "if_b_conf", False, True),
    ("x[[:digit:]]", "x7", False, True),
    ("x[[:digit:]]", "xa", False, False),
    ("x[]]", "x]", False, True),
    ("x[ab", "xa", False, False),
    (r"\*.pem", "*.pem", False, True),
    (r"a\*b*", "a*bc", False, True),
    (r"a\b", r"a\b", False, True),
    ("two\nlines*", "two\nlines.data", False, True),
    ("*.data", "two\nlines.data", False, True),
    ("caf?.csr", "caf\udce9.csr", False, True),
]


def taken(patterns, path, *, folder):
    return Patterns(Pattern(one) for one in patterns).take(path, folder=folder)


@pytest.mark.parametrize(("pattern", "path", "folder", "expected"), TABLE)
def test_table(pattern, path, folder, expected):
    assert taken([pattern], path, folder=folder) is expected


def test_what_is_in_an_excluded_folder_is_excluded():
    assert taken(["ipds/"], "ipds/waf/sets/x.data", folder=False)
    assert not taken(["/waf/"], "ipds/waf/sets/x.data", folder=False)


def test_several_are_asked_as_one():
    assert taken(["a", "*.tmp", "b/"], "x.tmp", folder=False)
    assert taken(["a", "*.tmp", "b/"], "b", folder=True)
    assert not taken(["a", "*.tmp", "b/"], "b", folder=False)
    assert taken(["a|x", "b"], "a|x", folder=False)
    assert not taken([], "a", folder=True)


@given(st.text("ab/*?[]!\\-", max_size=12), st.text("ab/", min_size=1, max_size=8), st.booleans())
def test_no_pattern_raises_and_stars_only_widen(pattern, path, folder):
    path = path.strip("/") or "a"
    taken([pattern], path, folder=folder)
    assert taken(["**"], path, folder=folder)
