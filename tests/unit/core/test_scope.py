import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.scope import Scope, Verdict, sound

SCOPE = Scope.of(["*.tmp", "/secret/"], ["/etc/extra", "/etc/one.conf"])


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        ("config/if_eth0_conf", Verdict.NODE_LOCAL),
        ("config/if_eth0.100_conf", Verdict.NODE_LOCAL),
        ("config/if_eth0_conf.bak", Verdict.NODE_LOCAL),
        ("config/if_eth0:web_conf", Verdict.REPLICATED),
        ("config/if_eth0.100:app_conf", Verdict.REPLICATED),
        ("config/ipds/if_eth0_conf", Verdict.REPLICATED),
        ("config/local/apt_message.txt", Verdict.NODE_LOCAL),
        ("config/local", Verdict.REPLICATED),
        ("config/ipds/local/x", Verdict.REPLICATED),
        ("config/global.conf", Verdict.REPLICATED),
        ("config/.global.conf.swp", Verdict.SCRATCH),
        ("config/zlb-start~", Verdict.SCRATCH),
        ("config/#zlb-stop#", Verdict.SCRATCH),
        ("config/ipds/waf/sets/.#base-rules.conf", Verdict.SCRATCH),
        ("config/ipds/waf/sets/waf_rulesets.build", Verdict.SCRATCH),
        ("config/.skd-4711", Verdict.SCRATCH),
        ("config/x.tmp", Verdict.EXCLUDED),
        ("config/secret/deep/x", Verdict.EXCLUDED),
        ("config", Verdict.REPLICATED),
        ("rt_tables", Verdict.REPLICATED),
        ("extra/etc/extra/if_eth0_conf", Verdict.REPLICATED),
    ],
)
def test_verdicts(key, verdict):
    assert SCOPE.verdict(key, folder=False) is verdict


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("config/a", True),
        ("config", True),
        ("rt_tables", True),
        ("extra/etc/extra/a", True),
        ("extra/etc/one.conf", True),
        ("extra/etc/shadow", False),
        ("config/../etc/shadow", False),
        ("config/a/..", False),
        ("config/./a", False),
        ("config//a", False),
        ("config/", False),
        ("configuration/a", False),
        ("/etc/shadow", False),
        ("", False),
        ("config/a\0b", False),
        ("config/" + "d/" * 255 + "f", True),
        ("config/" + "d/" * 256 + "f", False),
        ("config/" + "f" * 3500, False),
    ],
)
def test_keys_from_outside(key, expected):
    assert sound(SCOPE, key) is expected


NAMES = st.sampled_from(
    [
        "a",
        "local",
        "secret",
        "if_eth0_conf",
        "if_eth0:web_conf",
        "x.tmp",
        "x~",
        ".skd-1",
        "4913",
        "deep",
        "waf_rulesets.build",
    ]
)


@given(
    st.sampled_from(["config", "rt_tables", "extra/etc/extra"]), st.lists(NAMES, min_size=1, max_size=4), st.booleans()
)
def test_that_its_folder_travels_changes_no_verdict(root, names, folder):
    key = "/".join([root, *names])
    if SCOPE.verdict(key.rpartition("/")[0], folder=True) is Verdict.REPLICATED:
        assert SCOPE.verdict(key, folder=folder, led=True) is SCOPE.verdict(key, folder=folder)
