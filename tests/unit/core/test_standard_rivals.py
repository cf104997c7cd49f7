"""Two masters that have met by a standard."""

from ipaddress import ip_address

import pytest

from skd_cluster.core.actions import Advertise, Release
from skd_cluster.core.dialect import Bid, Carp, Dialect, Vrrp
from skd_cluster.core.model import SECOND, Nanos, Reason, Role
from skd_cluster.core.standard import StandardElection
from tests.unit.core.machines import LOWER, NOW


@pytest.mark.parametrize("kind", [Carp, Vrrp])
def test_who_yields_says_one_last_word_so_that_the_other_one_announces_again(kind: type[Dialect]) -> None:
    machine = StandardElection(LOWER, dialect=kind(ip_address("10.0.0.1")))
    machine.start(NOW, present=False)
    late = Nanos(NOW + 10 * SECOND)
    machine.on_timer(late)
    assert machine.role is Role.MASTER

    found = machine.on_bid(Bid((1000, 0), SECOND), late)
    assert (machine.role, machine.reason) == (Role.BACKUP, Reason.RIVAL_WON)
    assert found.index(Release()) < found.index(Advertise())
