import threading

from skd_cluster.adapters.journal import Journal, Line, choose_sink, to_journal, to_stderr


def test_lines_arrive_in_order_and_what_is_too_much_is_counted():
    found, go = [], threading.Event()

    def sink(line):
        go.wait()
        found.append(line)

    journal = Journal(sink, depth=3)
    for number in range(5):
        journal.log("started", f"line {number}", node=number)
    assert journal.dropped == 2
    go.set()
    journal.start()
    journal.close()
    assert [line.text for line in found] == ["line 0", "line 1", "line 2"]
    assert found[0] == Line("started", "line 0", "info", {"node": 0})


def test_a_journal_that_hangs_delays_the_end_by_no_more_than_its_patience():
    go = threading.Event()
    journal = Journal(lambda _line: go.wait() and None, depth=2)
    journal.start()
    for _ in range(5):
        journal.log("started", "x")
    journal.close(patience=0.05)
    assert journal.dropped >= 2
    go.set()


def test_a_sink_that_fails_is_counted():
    def sink(_line):
        raise OSError

    journal = Journal(sink)
    journal.start()
    journal.log("started", "x")
    journal.close()
    assert journal.dropped == 1


def test_a_line_on_stderr(capfd):
    to_stderr(Line("hook_failed", "it\nbroke", "warning", {"hook": "up", "why": "no luck", "empty": ""}))
    assert capfd.readouterr().err == 'WARNING hook_failed it broke hook=up why="no luck" empty=""\n'


def test_the_journal_is_used_when_stderr_leads_there_only():
    assert choose_sink({}) is to_stderr
    assert choose_sink({"JOURNAL_STREAM": "1:1"}) in (to_stderr, to_journal)
    assert choose_sink({"JOURNAL_STREAM": "nonsense"}) is to_stderr


def test_the_last_lines_that_matter_are_remembered():
    journal = Journal(lambda _line: None, depth=100)
    journal.log("started", "first")
    for number in range(30):
        journal.log("hook_output", "chatter")
        journal.log("check_failed", f"{number} " + "x" * 1000, "warning", check="web")
    found = journal.recent()
    assert [one["text"].split()[0] for one in found] == [str(number) for number in range(10, 30)]
    assert {one["event"] for one in found} == {"check_failed"}
    assert (found[0]["severity"], len(found[0]["text"])) == ("warning", 300)
    assert found[0]["at"] <= found[-1]["at"]
