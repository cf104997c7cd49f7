"""Health checks, tracked interfaces, priorities and a change of password, on a running pair."""

from tests.labkit import Lab, Node, eventually

CHECKS = "/usr/local/skudonet/app/ucarp/checks.d"


def roles(lb1: Node, lb2: Node, *wanted: str) -> None:
    eventually(lambda: (lb1.role(), lb2.role()) == wanted, within=10, what=f"roles {wanted}")


def start(lb1: Node, lb2: Node, **keys: str) -> None:
    for node in (lb1, lb2):
        node.write_config(floating="listed", advert_interval="0.1", **keys)
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon()
    roles(lb1, lb2, "master", "backup")
    eventually(lambda: lb1.status()["peer"]["heard"], within=5, what="they hear each other")


def test_a_check_that_fails_hands_over_and_its_recovery_ends_the_fault(lab: Lab, lb1: Node, lb2: Node) -> None:
    for node in (lb1, lb2):
        node.write(f"{CHECKS}/farm", "#!/bin/sh\n[ ! -e /run/broken ] || { echo the farm is down; exit 1; }\n", 0o755)
    start(lb1, lb2, check_interval="1", check_fall="2", check_rise="1")
    lb1.write("/run/broken", "")
    roles(lb1, lb2, "fault", "master")
    assert any("the farm is down" in problem for problem in lb1.status()["problems"])
    assert lb2.status()["reason"] == "peer_resigned"

    lb1.path("/run/broken").unlink()
    roles(lb1, lb2, "backup", "master")


def test_a_check_that_hangs_is_ended_with_all_its_children_and_counts_as_failed(lab: Lab, lb1: Node, lb2: Node) -> None:
    start(lb1, lb2, check_interval="1", check_timeout="1", check_fall="1")
    lb1.write(f"{CHECKS}/stuck", "#!/bin/sh\nsleep 987 & wait\n", 0o755)
    roles(lb1, lb2, "fault", "master")

    lb1.path(f"{CHECKS}/stuck").unlink()
    roles(lb1, lb2, "backup", "master")
    eventually(lambda: not lb1.run("pgrep -f 'sleep 987'", check=False).stdout, within=5, what="nothing is left of it")


def test_a_tracked_interface_is_a_fault_when_it_goes_down(lab: Lab, lb1: Node, lb2: Node) -> None:
    lab.second_cable(lb1, lb2, "10.88.0.1", "10.88.0.2")
    start(lb1, lb2, track_interfaces="eth1")
    lb1.run("ip link set eth1 down")  # the other end of the cable loses its carrier too
    roles(lb1, lb2, "fault", "fault")
    assert any("eth1" in problem for problem in lb1.status()["problems"])
    lb1.run("ip link set eth1 up")

    eventually(lambda: {lb1.role(), lb2.role()} == {"master", "backup"}, within=10, what="one master again")


def test_the_preferred_node_gets_the_mastership_without_a_second_master(lab: Lab, lb1: Node, lb2: Node) -> None:
    for node, priority in ((lb1, "100"), (lb2, "150")):
        node.write_config(floating="listed", advert_interval="0.1", priority=priority, preempt="true")
        node.make_tree(farms=2)
    lab.trust()
    lb1.add_address()
    lb1.start_daemon()
    eventually(lambda: lb1.role() == "master", within=5, what="lb1 alone")
    with lab.watch_holders() as watch:
        lb2.start_daemon()
        roles(lb1, lb2, "backup", "master")

        assert watch.overlap_seconds() == 0


def test_the_password_is_changed_without_a_second_master(lab: Lab, lb1: Node, lb2: Node) -> None:
    """Both accept the new one first; then each begins to use it, one after the other."""
    start(lb1, lb2, password="old", password_also="new")
    with lab.watch_holders() as watch:
        for node, other in ((lb2, lb1), (lb1, lb2)):
            node.write_config(floating="listed", advert_interval="0.1", password="new", password_also="old")
            node.stop_daemon()
            node.start_daemon()
            eventually(lambda other=other: other.status()["peer"]["heard"], within=5, what="they hear each other")

        assert watch.overlap_seconds() == 0
    assert sorted((lb1.role(), lb2.role())) == ["backup", "master"]
    dropped = lb1.status()["counters"].get("dropped.bad_key", 0) + lb2.status()["counters"].get("dropped.bad_key", 0)
    assert dropped == 0
