import re
from pathlib import Path

from skd_cluster.core import events
from skd_cluster.core.events import EVENTS, Repeats, message_id, reference, role_sentence
from skd_cluster.core.messages import RoleChange
from skd_cluster.core.model import Reason, Role, nanos

DOCS = Path(__file__).parents[3] / "docs"


def test_a_message_id_never_changes():
    assert message_id("role_changed") == "caafd759216256a5afc1bc3323132814"
    assert len({message_id(event) for event in EVENTS}) == len(EVENTS)


def test_the_manual_lists_every_event():
    assert (DOCS / "logging.md").read_text() == reference(), "write core.events.reference() to docs/logging.md"


def test_every_word_in_the_code_is_listed_and_every_listed_one_is_in_the_code():
    package = Path(events.__file__).parents[1]
    code = "\n".join(path.read_text() for path in package.rglob("*.py") if path.name != "events.py")
    used = set(re.findall(r'(?:\.log|\bNote|[Tt]ell(?:_once)?)\(\s*"(\w+)"', code))
    assert used - {"max_delete", "peer_newer"} == set(EVENTS)  # these are kinds of replication_


def test_five_of_a_kind_pass_in_ten_seconds_then_a_count():
    repeats = Repeats()
    assert [repeats.allow("a", nanos(1)) for _ in range(8)] == [True] * 5 + [False] * 3
    assert repeats.allow("b", nanos(2))
    assert repeats.deadline == nanos(11)
    assert repeats.on_timer(nanos(10.9)) == []
    assert repeats.on_timer(nanos(12)) == [("a", 3)]
    assert repeats.deadline is None
    assert repeats.allow("a", nanos(13))


def test_every_reason_has_words():
    for reason in Reason:
        sentence = role_sentence("lb1", RoleChange(0, Role.BACKUP, Role.MASTER, reason, 7))
        assert sentence.startswith("lb1 is master now, epoch 7: ")
        assert sentence.split(": ")[1] != reason


def test_a_change_of_role_is_one_sentence_with_all_that_is_known():
    told = RoleChange(0, Role.BACKUP, Role.MASTER, Reason.PEER_SILENT, 7, "eth0", nanos(0.6), nanos(0.0012))
    words = "the master was not heard for 600 ms (eth0), addresses up after 1.2 ms"
    assert role_sentence("lb1", told) == f"lb1 is master now, epoch 7: {words}"


def test_a_reason_of_a_later_release_is_told_as_it_is():
    assert role_sentence("lb1", RoleChange(0, Role.BACKUP, Role.MASTER, "eclipse", 7)).endswith(": eclipse")
