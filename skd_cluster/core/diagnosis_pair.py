"""Rules of `skd-cluster doctor` about the two nodes as a pair: ssh, clocks, versions, configurations that mirror each other."""

import re
from collections.abc import Iterator

from skd_cluster.core.diagnosis import NodeRule, PairRule, Verdict, beside, ok, problem, warning
from skd_cluster.core.diagnosis_facts import ASKED_NOBODY, NodeFacts

_SERVICE = "skudonet-ce-cluster"

EQUAL = (
    *("cluster_id", "cluster_ip", "floating", "transport", "udp_mode", "udp_port", "multicast_group"),
    *("configdir", "rttables", "replicate"),
)
"""Keys that must be the same on both nodes, or they are no pair."""

SIMILAR = ("advert_interval", "dead_ratio", "detection", "vip_lease", "exclude", "max_delete", "witness")
"""Keys that should be the same: what differs works, and surprises."""

_RELOADED = {"cluster_ip", "floating", "replicate", *SIMILAR}
"""Of these, what a reload puts in force."""

_CLOCK_OFF, _CLOCK_WRONG = 2.0, 60.0
"""Seconds. The election looks at no clock; logs, certificates and the product's sessions do."""

NEEDED = re.compile(
    r"config/(if_[^:/]+:[^:/]+_conf|(?!.*_(status|sessions)\.cfg$)[^/]+\.cfg|global\.conf|farmguardian\.conf|(certificates|ipds|letsencrypt)(/.*)?)"
)
"""What of the product's tree a node needs to be master of it."""

_SSH = (
    ("no sshd answers", "systemctl enable --now ssh"),
    ("no command skd-cluster", "apt install ./skudonet-ce-cluster_*.deb"),
    ("has errors", "skd-cluster check"),
)
"""What is to be typed on the other node."""


def written(node: NodeFacts, key: str, value: str) -> str:
    """Return the command that writes a key into a node's file, in place of what it has."""
    verb = "reload" if key in _RELOADED else "restart"
    if not re.fullmatch(r"[A-Za-z0-9_.:/@,*= >-]+", value):
        return f"edit ${key} in {node.config}, then systemctl {verb} {_SERVICE}"
    return f"{_without(node, key)} && printf '\\n%s\\n' '${key}=\"{value}\";' >> {node.config} && systemctl {verb} {_SERVICE}"


def _without(node: NodeFacts, key: str) -> str:
    return f"sed -i '/^[[:space:]]*${key}[[:space:]]*=/d' {node.config}"


def _ssh(node: NodeFacts) -> Iterator[Verdict]:
    if node.there == ASKED_NOBODY:
        yield beside("not tried")
    elif not node.there:
        yield ok(f"root logs in to {node.remote_ip} without a question, as the replication does")
    else:
        for words, remedy in _SSH:
            if words in node.there:
                yield problem(node.there, remedy, node.remote_ip)
                return
        again = "skd-cluster pair --remove; skd-cluster pair" if "pinned" in node.there else "skd-cluster pair"
        reached = "cannot be reached" not in node.there
        yield problem(node.there, again if reached else f"ping -c 3 -I {node.local_ip} {node.remote_ip}")


def _pairing(node: NodeFacts) -> Iterator[Verdict]:
    for path, what in node.loose:
        yield problem(f"{path}: {what}", _tightened(path, what))
    for one in node.sshd:
        yield problem(
            f"sshd: {one}", "sshd -T -C user=root | less; edit /etc/ssh/sshd_config, then systemctl reload ssh"
        )
    if not node.paired:
        words = "no key of the pair's own: replication logs in with root's, and the host key is whatever ssh knows"
        yield warning(words, "skd-cluster pair")
    elif not node.loose and not node.sshd:
        yield ok("a key of the pair's own, the peer's host keys pinned, nothing in sshd against it")


def _tightened(path: str, what: str) -> str:
    if "owner" in what:
        return f"chown root:root {path}"
    return f"chmod go-w {path}" if "write" in what else f"chmod 600 {path}"


def _clock(ours: NodeFacts, theirs: NodeFacts) -> Iterator[Verdict]:
    if len(theirs.offset) < 2:
        yield beside("not measured")
        return
    offset, exact = theirs.offset[:2]
    words = f"{theirs.node}'s clock is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} {ours.node}'s"
    remedy = "systemctl enable --now systemd-timesyncd; timedatectl set-ntp true"
    wrong = next((node.node for node in (theirs, ours) if node.synchronized == 0), theirs.node)
    if abs(offset) - exact > _CLOCK_WRONG:
        yield problem(words, remedy, wrong)
    elif abs(offset) - exact > _CLOCK_OFF:
        yield warning(words, remedy, wrong)
    else:
        yield ok(f"less than {abs(offset) + exact:.1f} s apart")


def _versions(ours: NodeFacts, theirs: NodeFacts) -> Iterator[Verdict]:
    found = []
    for name, a, b in (("skd-cluster", ours.software, theirs.software), ("SKUDONET", ours.product, theirs.product)):
        if a != b:
            older = ours if _numbers(a) < _numbers(b) else theirs
            package = "skudonet-ce-cluster" if name == "skd-cluster" else "skudonet"
            words = f"{name} {a or 'unknown'} on {ours.node}, {b or 'unknown'} on {theirs.node}"
            found.append(warning(words, f"apt update && apt install {package}", older.node))
    if found:
        yield from found
        return
    product = f", SKUDONET {ours.product}" if ours.product else ""
    yield ok(f"skd-cluster {ours.software}{product} on both")


def _libraries(node: NodeFacts) -> Iterator[Verdict]:
    missing = sorted(name for name, version in node.libraries.items() if not version)
    if missing:
        packages = " ".join(f"python3-{'systemd' if name == 'systemd-python' else name}" for name in missing)
        yield problem(f"not installed: {' '.join(missing)}", f"apt install {packages}")
        return
    shown = ", ".join(f"{name} {version}" for name, version in sorted(node.libraries.items()))
    yield ok(f"Python {node.python}, {shown}" if shown else f"Python {node.python}")


def _numbers(version: str) -> list[int]:
    return [int(one) for one in re.findall(r"\d+", version)]


def _names(ours: NodeFacts, theirs: NodeFacts) -> Iterator[Verdict]:
    if ours.node == theirs.node:
        yield warning(
            f"both nodes are called {ours.node}: nobody knows whose line in a log it is",
            "hostnamectl set-hostname NAME",
        )
    else:
        yield ok(f"{ours.node} and {theirs.node}")


def _mirror(ours: NodeFacts, theirs: NodeFacts) -> Iterator[Verdict]:
    found = []
    for here, there in (("local_ip", "remote_ip"), ("remote_ip", "local_ip")):
        mine, yours = ours.setting(here), theirs.setting(there)
        if mine != yours:
            words = f"{theirs.node} has ${there} {yours}, expected {mine}, the ${here} of {ours.node}"
            found.append(problem(words, written(theirs, there, mine), theirs.node))
    for key in EQUAL:
        a, b = ours.setting(key), theirs.setting(key)
        if a != b:
            words = f"${key} is {a or 'empty'} on {ours.node} and {b or 'empty'} on {theirs.node}"
            found.append(problem(words, written(theirs, key, a), theirs.node))
    if ours.password and theirs.password and ours.password != theirs.password:
        words = f"the passwords of {ours.node} and {theirs.node} are different"
        found.append(
            problem(words, f"edit $password in {theirs.config}, then systemctl reload {_SERVICE}", theirs.node)
        )
    wrong = {"exclude"} if ours.excluded or theirs.excluded else set()  # then that is said elsewhere
    for key in SIMILAR:
        a, b = ours.setting(key), theirs.setting(key)
        if a != b and key not in wrong:
            words = f"${key} is {a or 'empty'} on {ours.node} and {b or 'empty'} on {theirs.node}"
            found.append(warning(words, written(theirs, key, a), theirs.node))
    yield from found or [ok("the two configurations mirror each other, the passwords are the same")]


def _exclude(node: NodeFacts) -> Iterator[Verdict]:
    if not node.excluded:
        yield ok("nothing of the product's shared files is excluded")
        return
    shown = " ".join(node.excluded[:5]) + (" …" if len(node.excluded) > 5 else "")
    yield problem(
        f"`exclude` keeps from the peer what it needs as a master: {shown}",
        f"{_without(node, 'exclude')} && systemctl reload {_SERVICE}",
    )


def _roles(ours: NodeFacts, theirs: NodeFacts) -> Iterator[Verdict]:
    roles = [str(node.status.get("role", "")) for node in (ours, theirs)]
    if not all(roles):
        yield beside("not both services answer")
    elif roles.count("master") == 2:
        words = "both nodes are master: they do not hear each other"
        yield problem(words, f"tcpdump -ni {ours.interface} udp port {ours.setting('udp_port')}; nft list ruleset")
    elif "master" not in roles:
        yield problem(f"neither node is master: {' and '.join(roles)}", "skd-cluster online; skd-cluster status")
    else:
        yield ok(f"{ours.node} is {roles[0]}, {theirs.node} is {roles[1]}")


RULES = (
    PairRule("mirror", "The two files are those of a pair: addresses swapped, the rest alike; passwords are compared as digests.", _mirror),
    NodeRule("ssh", "The login of root to the other node without a question, as the replication does it; each way.", _ssh),
    NodeRule(
        "pairing",
        "A key of the pair's own with pinned host keys (`skd-cluster pair`), what sshd is told about root, and the permissions "
        "that sshd and ssh insist on.",
        _pairing,
    ),
    PairRule("names", "The nodes have different host names.", _names),
    PairRule("roles", "Exactly one node is master.", _roles),
    PairRule("clock", "How far the clocks are apart. The election needs no clock; logs, certificates and sessions do.", _clock),
    PairRule("versions", "skd-cluster and the product have the same version on both.", _versions),
    NodeRule("libraries", "Python and the libraries the package needs.", _libraries),
    NodeRule("exclude", "`exclude` does not keep farms, certificates or virtual interfaces from the peer; files of NICs stay by themselves.", _exclude),
)  # fmt: skip
