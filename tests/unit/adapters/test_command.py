import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from skd_cluster.adapters.clock import monotonic
from skd_cluster.adapters.command import PIPE, CannotStartError, attend, run, start, watch
from skd_cluster.core.model import Nanos, nanos


def test_code_and_both_outputs():
    done = run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], nanos(5))
    assert (done.code, done.output, done.timed_out, done.ok) == (3, b"out\nerr\n", False, False)
    assert done.last_line == "err"


def test_attended_it_stays_in_our_session_and_its_errors_are_passed_on():
    heard = []
    done = attend(["/bin/sh", "-c", "echo out; echo one >&2; ps -o sid= -p $$ >&2; exit 3"], heard.append)
    assert (done.code, done.ok, done.timed_out) == (3, False, False)
    assert done.output == b"".join(heard)
    assert done.output.split() == [b"one", str(os.getsid(0)).encode()]


def test_input_larger_than_a_pipe_and_environment():
    done = run(["/bin/sh", "-c", 'wc -c; echo "$WORD"'], nanos(5), stdin=b"x" * 300_000, env={"WORD": "a b"})
    assert done.output.split() == [b"300000", b"a", b"b"]


def test_a_program_that_does_not_read_its_input():
    assert run(["true"], nanos(5), stdin=b"x" * 300_000).ok


def test_the_last_of_a_long_output_is_kept():
    done = run(["/bin/sh", "-c", "yes | head -c 200000; echo; echo end"], nanos(5))
    assert len(done.output) == 64 * 1024
    assert done.last_line == "end"


def test_odd_bytes_reach_the_program():
    name = os.fsdecode(b"caf\xe9\n$(x) ;")
    assert run(["printf", "%s", name], nanos(5)).output == os.fsencode(name)


def test_no_time_left_ends_the_whole_group(tmp_path):
    note = tmp_path / "child"
    done = run(["/bin/sh", "-c", f"sleep 100 & echo $! > {note}; wait"], nanos(0.05))
    assert done.timed_out
    assert done.code == -signal.SIGTERM
    with suppress(ProcessLookupError):
        child = os.pidfd_open(int(note.read_text()))
        assert select.select([child], [], [], 5)[0], "the child lives"
        os.close(child)


def test_who_does_not_heed_is_killed():
    watched = watch(["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"], nanos(60))
    while not watched.running.read():
        pass
    later = Nanos(monotonic() + nanos(61))
    assert watched.step(later) is None
    assert watched.step(later) is None, "the grace is not over"
    watched.step(Nanos(later + nanos(2)))
    os.waitid(os.P_PID, watched.running.pid, os.WEXITED | os.WNOWAIT)
    finished = watched.step(Nanos(later + nanos(2)))
    assert finished is not None
    assert (finished.code, finished.timed_out) == (-signal.SIGKILL, True)


def test_something_left_in_the_background_is_not_waited_for():
    began = monotonic()
    done = run(["/bin/sh", "-c", "sleep 30 & echo $!"], nanos(20))
    assert done.ok
    assert monotonic() - began < nanos(10)
    os.kill(int(done.output), signal.SIGKILL)


@pytest.mark.parametrize("program", ["/nonexistent/program", "no-such-program", "/etc/passwd"])
def test_what_cannot_be_started_is_one_line(program):
    with pytest.raises(CannotStartError) as caught:
        start([program])
    assert program in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pipes_of_its_own_and_a_session_of_its_own():
    running = start(["/bin/sh", "-c", "read x; echo got $x; echo bad >&2"], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert os.getsid(running.pid) == running.pid
    assert running.poll() is None
    os.write(running.input, b"it\n")
    os.waitid(os.P_PIDFD, running.pidfd, os.WEXITED | os.WNOWAIT)
    assert running.poll() == 0
    assert (running.read(), running.read_errors()) == (b"got it\n", b"bad\n")
    running.read()
    assert running.output is None, "the end was seen"
    assert running.close() == 0
    assert running.close() == 0


def test_closing_kills():
    running = start(["sleep", "100"])
    assert running.close() == -signal.SIGKILL


def test_no_descriptor_is_lost():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run(["true"], nanos(5))
        start(["sleep", "100"], stdin=PIPE, stderr=subprocess.PIPE).close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
