"""Our reading of `exclude` against rsync's own, on the product's tree."""

import subprocess

import pytest

from skd_cluster.core.patterns import Pattern, Patterns
from tests.fixtures.skudonet_tree import make_tree

PATTERNS = [
    "if_eth0_conf", "/if_eth0_conf", "if_*", "*_conf", "*.pem", "certificates/", "certificates", "/waf", "waf", "waf/sets",
    "/ipds/waf/sets", "ipds/*/sets", "ipds/**", "**.data", "sets/**.conf", "/ipds/waf/**.conf", "live/***", "/live/***",
    "[a-m]*_proxy.cfg", "[!a-m]*_proxy.cfg", "*-2_*", "?iki*", "*(2025)*", r"\*.example.net.pem", r"*\*.pem", "shop*/", "oldzone_gslb.cfg/",
    "[[:upper:]]*", "www.example.org/fullchain.pem", "live/*/*.pem", "**/archive", "two*", "/*", "*/", "*", "**", "caf?.csr", "x[", "a/**/b",
    "letsencrypt/**/privkey*", "-*", "--delete.data", " edges .data",
]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("patterns") / "tree"
    make_tree(root, farms=20)
    return root


def below(root):
    return {(str(path.relative_to(root)), path.is_dir() and not path.is_symlink()) for path in root.rglob("*")}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_as_rsync_reads_it(pattern, tree, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["rsync", "-a", f"--exclude={pattern}", f"{tree}/", f"{copy}/"], check=True)
    everything = below(tree)
    ours = {(path, folder) for path, folder in everything if not Patterns([Pattern(pattern)]).take(path, folder=folder)}
    theirs = below(copy)
    assert sorted(ours ^ theirs) == []
