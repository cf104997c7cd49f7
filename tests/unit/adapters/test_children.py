import os
import select
import signal
import subprocess
import sys

import pytest

from skd_cluster.adapters.children import find_program, spawn


def ended(process):
    assert select.select([process.pidfd], [], [], 5)[0]
    return process.reap()


def test_a_program_in_a_session_of_its_own_with_its_descriptor():
    reading, writing = os.pipe()
    process = spawn(["/bin/sh", "-c", f"ps -o sid= -p $$ > /proc/self/fd/{writing}; exit 3"], os.environ, [writing])
    os.close(writing)
    assert ended(process) == 3
    assert int(os.read(reading, 100)) == process.pid
    os.close(reading)


def test_its_whole_group_is_signalled():
    reading, writing = os.pipe()
    process = spawn(["/bin/sh", "-c", "cat /dev/zero > /dev/null & wait"], os.environ, [writing])
    os.close(writing)
    process.signal_group(signal.SIGKILL)
    assert ended(process) == -9
    assert os.read(reading, 1) == b""  # the cat held it too
    os.close(reading)
    process.signal_group(signal.SIGKILL)


def test_what_is_not_there_is_an_error_with_its_name():
    with pytest.raises(FileNotFoundError) as error:
        spawn(["/nonexistent/program"], {})
    assert error.value.filename == "/nonexistent/program"


def test_where_programs_are_found(tmp_path):
    program = tmp_path / "skd-test-program"
    assert find_program(program.name, {}) == program.name
    program.write_text("#!/bin/sh\n")
    assert find_program(program.name, {"SKD_CHILDREN_DIR": str(tmp_path)}) == program.name
    program.chmod(0o755)
    assert find_program(program.name, {"SKD_CHILDREN_DIR": str(tmp_path)}) == str(program)


def test_a_tied_child_ends_with_its_parent():
    tie = "from skd_cluster.adapters.children import tie_to_parent; tie_to_parent()"
    child = f"import signal; {tie}; print(flush=True); signal.pause()"
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        tied = os.pidfd_open(int(process.stdout.readline()))
        assert not select.select([tied], [], [], 0)[0]
        process.kill()
    try:
        assert select.select([tied], [], [], 10)[0]
    finally:
        os.close(tied)
