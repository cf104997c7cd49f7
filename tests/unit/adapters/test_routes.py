"""The kernel's default gateways."""

from ipaddress import IPv4Address
from pathlib import Path

from skd_cluster.adapters.routes import default_gateways

TABLE = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0101A8C0	0003	0	0	0	00000000	0	0	0
eth1	00000000	0102A8C0	0003	0	0	0	00000000	0	0	0
eth0	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


def test_only_the_default_route_of_the_interface_counts(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(TABLE)

    assert default_gateways("eth0", table) == (IPv4Address("192.168.1.1"),)
    assert default_gateways("eth2", table) == ()


def test_a_host_without_the_table_has_none(tmp_path: Path) -> None:
    assert default_gateways("eth0", tmp_path / "none") == ()
