import json
import socket
import threading

import pytest

from skd_cluster.adapters.control import AlreadyRunningError, ControlServer, NotRunning, hint, request
from skd_cluster.core.model import Nanos


@pytest.fixture
def server(tmp_path):
    one = ControlServer(tmp_path)
    one.open()
    yield one
    one.close()


def connect(tmp_path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(tmp_path / "control.sock"))
    return sock


def accepted(server):
    client = server.accept(Nanos(0))
    assert client is not None
    assert client.allowed
    return client


def test_a_question_and_an_answer(server, tmp_path):
    found = []
    asking = threading.Thread(target=lambda: found.append(request(tmp_path, {"verb": "status"}, 5)))
    asking.start()
    server._sock.setblocking(True)
    client = accepted(server)
    client.sock.setblocking(True)
    assert client.request() == {"verb": "status"}
    client.answer({"ok": True, "text": "x" * 100_000}, Nanos(0))
    while not client.closed:
        client.flush()
    asking.join()
    assert found == [{"ok": True, "text": "x" * 100_000}]


def test_nobody_there(tmp_path):
    with pytest.raises(NotRunning):
        request(tmp_path, {}, 1)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "control.sock"))
    with pytest.raises(NotRunning):
        request(tmp_path, {}, 1)


def test_a_hint_waits_for_nobody(server, tmp_path):
    assert not hint(tmp_path / "elsewhere", {"verb": "refused"})
    assert hint(tmp_path, {"verb": "refused"})
    client = accepted(server)
    assert client.request() == {"verb": "refused"}
    client.answer({"ok": True}, Nanos(0))
    assert client.closed
    taken = [hint(tmp_path, {}) for _ in range(100)]  # nobody accepts: what does not fit is not waited for
    assert taken[0]
    assert not taken[-1]


def test_a_server_that_ends_without_an_answer(server, tmp_path):
    server._sock.setblocking(True)
    ending = threading.Thread(target=lambda: accepted(server).close())
    ending.start()
    with pytest.raises(NotRunning):
        request(tmp_path, {"verb": "status"}, 5)
    ending.join()


@pytest.mark.parametrize("garbage", [b"\n", b"null\n", b"[1]\n", b"\xff\n", b"{" * 70_000, b"[" * 60_000 + b"\n"])
def test_garbage_hangs_up(server, tmp_path, garbage):
    with connect(tmp_path) as sock:
        client = accepted(server)
        sender = threading.Thread(target=sock.sendall, args=(garbage,))
        sender.start()
        while not client.closed:
            assert client.request() is None
        sender.join()


def test_a_request_in_pieces_and_one_that_never_ends(server, tmp_path):
    with connect(tmp_path) as sock:
        client = accepted(server)
        for piece in (b'{"ve', b'rb":', b' "fence"}'):
            sock.sendall(piece)
            assert client.request() is None
        sock.sendall(b"\nrest")
        assert client.request() == {"verb": "fence"}
        client.close()


def test_a_client_that_does_not_read_blocks_nobody(server, tmp_path):
    with connect(tmp_path) as sock:
        client = accepted(server)
        sock.sendall(b'{"verb": "status"}\n')
        assert client.request()
        client.answer({"text": "x" * 5_000_000}, Nanos(7))
        assert not client.closed
        assert client.deadline == 7 + 3_000_000_000
        found = b""
        while not found.endswith(b"\n"):
            found += sock.recv(1 << 20)
            client.flush()
        assert len(json.loads(found)["text"]) == 5_000_000


def test_one_server_for_a_folder_and_a_socket_left_behind_is_no_obstacle(server, tmp_path):
    assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
    with pytest.raises(AlreadyRunningError):
        ControlServer(tmp_path).open()
    server.close()
    (tmp_path / "control.sock").write_text("")
    again = ControlServer(tmp_path)
    again.open()
    again.close()
    assert not (tmp_path / "control.sock").exists()
