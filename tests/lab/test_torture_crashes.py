"""The receiver dies at each system call that changes something: nothing is torn, nothing is lost, the next push ends well.

Kill points are sampled evenly, those about modes and owners in the tree apart. SKD_TORTURE=all takes each of them.
"""

import pytest

from skd_cluster.core.session import Confirm
from tests.lab.conftest import thorough
from tests.lab.crash_site import Site, fill

SAMPLE = 24

PLACES = {
    "one file system": ("/usr/local/skudonet/state", "/usr/local/skudonet/rt_tables"),
    "history and routing tables on others": ("/var/lib/skd-cluster", "/etc/iproute2/rt_tables"),
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("places", PLACES)
def test_a_receiver_killed_at_any_system_call_tears_and_loses_nothing(lab, places):
    state, tables = PLACES[places]
    node = lab.node("lb2", "10.77.0.2")
    fill(node, tables)
    site = Site(node, state=state, tables=tables)
    site.keep()
    site.calls()  # once more below: the first run may still write what later ones find
    site.restore()
    calls = site.calls()
    step = 1 if thorough() else max(1, len(calls) // SAMPLE)
    chosen = [one for number, one in enumerate(calls) if number % step == 0 or rights(one)]
    wrong, survived = [], 0
    for name, number, line in chosen:
        site.restore()
        survived += not site.kill_at(name, number)
        found = site.wrong()
        answer, left = site.push()
        found += [f"left behind: {one}" for one in left]
        if not isinstance(answer, Confirm):
            found.append(f"the next push: {answer}")
        if site.seen() != site.after:
            found.append("the next push did not make the trees equal")
        found += site.wrong() + site.untold()
        wrong += [f"killed at {line}:\n    " + "\n    ".join(found)] if found else []
    print(f"{len(chosen)} of {len(calls)} kill points, {survived} not reached")
    assert not wrong, "\n".join(wrong)
    assert survived == 0


def rights(call: tuple[str, int, str]) -> bool:
    """Return whether this is a step from one owner or mode to another, between which a key may be too open."""
    name, _, line = call
    return name in ("chmod", "lchown", "chown", "fchownat", "fchmodat") and "/skudonet/config/" in line
