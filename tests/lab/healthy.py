"""A pair that works: trees, keys, roles decided, everything replicated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.labkit import Lab, Node, eventually


@contextmanager
def healthy_pair(
    lab: Lab, lb1: Node, lb2: Node, prepare: Callable[[], object] = lambda: None
) -> Iterator[tuple[Node, Node]]:
    """Two nodes in sync, lb1 master; none of them may have said a traceback in the end. `prepare` is called before they start."""
    for node in (lb1, lb2):
        node.make_tree(farms=4)
        node.write_config(floating="listed", advert_interval="0.1", exclude=None)
    lab.trust()
    prepare()
    lb1.add_address()
    for node in (lb1, lb2):
        node.start_daemon()
    eventually(lambda: (lb1.role(), lb2.role()) == ("master", "backup"), within=5, what="roles")
    eventually(lambda: lb1.status()["replication"]["in_sync"], within=20, what="in sync")
    yield lb1, lb2
    for node in (lb1, lb2):
        assert "Traceback" not in node.output()
