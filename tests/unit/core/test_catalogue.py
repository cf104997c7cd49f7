from skd_cluster.core.catalogue import ADVICE, TROUBLES, catalogue
from skd_cluster.core.events import EVENTS, message_id
from skd_cluster.core.session import Refusal
from skd_cluster.core.sshfault import _SSH, explain


def test_every_event_says_what_to_do():
    assert set(ADVICE) == set(EVENTS)


def test_every_trouble_that_replication_can_tell_says_what_to_do():
    assert {kind for kind, _, _ in _SSH} | set(Refusal) <= set(TROUBLES)
    for code, errors in ((127, ""), (78, "x"), (255, ""), (255, "what?"), (0, ""), (1, "x")):
        assert explain(code, errors, "peer", "ssh").kind in TROUBLES


def test_the_catalogue_is_in_the_form_of_the_journal():
    entries = catalogue().split("-- ")[1:]
    words = [*EVENTS, *(f"replication_{kind}" for kind in TROUBLES)]
    assert [entry.partition("\n")[0] for entry in entries] == [message_id(word) for word in words]
    for entry in entries:
        head, _, advice = entry.partition("\n\n")
        assert [line.partition(":")[0] for line in head.splitlines()[1:]] == ["Subject", "Defined-By", "Documentation"]
        assert advice.strip()
        assert "@" not in entry, "the journal would put a field there"
