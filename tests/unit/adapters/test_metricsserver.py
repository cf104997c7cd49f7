"""The server against clients that mean no good: by count, bytes and time, never by a clock of the test."""

import socket
import ssl
import subprocess
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPSConnection
from urllib.error import HTTPError
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, build_opener, urlopen

import bcrypt
import pytest

from skd_cluster.adapters import metricsserver, webconfig
from skd_cluster.adapters.metricsserver import CONNECTIONS, MetricsServer
from skd_cluster.core.model import nanos
from skd_cluster.core.webconfig import WebConfigError
from tests.labkit import eventually

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


@pytest.fixture
def server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()
    server = MetricsServer(listen, lambda accept: (accept or "text/plain", b"x 1\n"))
    server.open()
    yield server
    server.close()


def place(server):
    return server._listen


def url(server, path="/metrics", scheme="http"):
    return f"{scheme}://127.0.0.1:{place(server)[1]}{path}"


def asked(server, text):
    with socket.create_connection(place(server)) as client:
        client.sendall(text)
        return b"".join(iter(lambda: client.recv(4096), b""))


def gone(client):
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_metrics_and_a_page_that_leads_there(server):
    with urlopen(url(server)) as found:
        assert (found.status, found.read()) == (200, b"x 1\n")
    with urlopen(url(server, "/")) as found:
        assert b'href="/metrics"' in found.read()
    assert asked(server, b"HEAD /metrics HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")
    assert asked(server, b"POST /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    assert asked(server, b"GET /etc/passwd HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert asked(server, b"\x16\x03\x01\x02\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_format_is_the_clients_choice(server):
    connection = HTTPConnection(*place(server))
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    assert connection.getresponse().getheader("Content-Type") == "application/openmetrics-text"
    connection.close()


def test_whoever_asks_is_answered_while_a_thousand_connections_say_nothing(server):
    with ExitStack() as stack:
        for number in range(1000):
            silent = stack.enter_context(socket.create_connection(place(server)))
            silent.sendall(b"GET /metrics HTTP/1.1\r\nX: "[: number % 20])
        with urlopen(url(server), timeout=5) as found:
            assert found.status == 200
        assert len(server._clients) <= CONNECTIONS
        assert server._threads <= 2 * CONNECTIONS


def test_endless_headers_end(server):
    with socket.create_connection(place(server)) as client:
        client.settimeout(5)
        endless = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 100) for number in range(200_000))
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            client.sendall(endless)
    with urlopen(url(server), timeout=5) as found:
        assert found.status == 200


def test_half_a_request_is_hung_up_on_however_it_trickles(server, monkeypatch):
    monkeypatch.setattr(metricsserver, "PATIENCE", nanos(0.3))
    with socket.create_connection(place(server)) as client:
        client.settimeout(0.02)
        trickle = iter(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 10**5)

        def ended():
            try:
                client.sendall(bytes([next(trickle)]))
                return client.recv(1) == b""
            except TimeoutError:
                return False
            except (ConnectionResetError, BrokenPipeError):
                return True

        eventually(ended, within=10, what="it is hung up on")
    eventually(lambda: server._threads == 0, what="its thread ends")


def test_an_answer_that_nobody_reads_holds_nothing_for_ever(monkeypatch):
    monkeypatch.setattr(metricsserver, "PATIENCE", nanos(0.3))
    server = MetricsServer(("127.0.0.1", 0), lambda _accept: ("text/plain", b"x" * 50_000_000))
    server.open()
    with socket.create_connection(server._listener.getsockname()) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        eventually(lambda: server._threads == 1, what="it is served")
        eventually(lambda: server._threads == 0, within=10, what="it is given up")
    server.close()


def test_closing_hangs_up(server):
    with socket.create_connection(place(server)) as client:
        eventually(lambda: server._threads == 1, what="it is accepted")
        server.close()
        client.settimeout(5)
        assert gone(client)
    assert not server.listening
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place(server))


def test_a_port_in_use_is_refused_and_can_be_tried_again(server):
    other = MetricsServer(place(server), lambda _accept: ("", b""))
    with pytest.raises(OSError, match="in use"):
        other.open()
    server.close()
    other.open()
    assert other.listening
    other.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "client"):
        made = (
            f"-keyout {folder}/{name}.key -out {folder}/{name}.pem -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
        )
        command = ["openssl", *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"], *made.split()]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def protected(folder, text):
    (folder / "web.yml").write_text(text)
    return webconfig.load(folder / "web.yml")


TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"


def test_basic_authentication(server, tmp_path):
    server.protection = protected(tmp_path, f"basic_auth_users:\n  prom: {HASH}\nhttp_server_config: {{http2: true}}\n")
    for wanted in ({}, {"prom": "wrong"}, {"other": "secret"}):
        with pytest.raises(HTTPError, match="401"):
            opened(server, wanted)
    assert opened(server, {"prom": "secret"}) == b"x 1\n"


def opened(server, users):
    known = HTTPPasswordMgrWithDefaultRealm()
    for user, password in users.items():
        known.add_password(None, url(server), user, password)
    with build_opener(HTTPBasicAuthHandler(known)).open(url(server), timeout=10) as found:
        return found.read()


def test_tls_and_plain_talk_is_not_answered(server, certificates):
    server.protection = protected(certificates, TLS)
    trust = ssl.create_default_context(cafile=certificates / "server.pem")
    with urlopen(url(server, scheme="https"), context=trust, timeout=5) as found:
        assert found.read() == b"x 1\n"
    with suppress(ConnectionResetError):
        assert b"x 1" not in asked(server, b"GET /metrics HTTP/1.0\r\n\r\n")
    eventually(lambda: server._threads == 0, what="all threads end")


def test_a_handshake_that_is_never_finished_ends(server, certificates, monkeypatch):
    monkeypatch.setattr(metricsserver, "PATIENCE", nanos(0.3))
    server.protection = protected(certificates, TLS)
    with socket.create_connection(place(server)) as client:
        client.sendall(b"\x16\x03\x01")
        client.settimeout(10)
        assert gone(client)


def test_a_clients_certificate(server, certificates):
    more = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.pem\n  min_version: TLS12\n"
    server.protection = protected(certificates, TLS + more + "  max_version: TLS12\n")
    trust = ssl.create_default_context(cafile=certificates / "server.pem")
    with pytest.raises(OSError, match=r"."):
        urlopen(url(server, scheme="https"), context=trust, timeout=5)
    trust.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    connection = HTTPSConnection(*place(server), context=trust, timeout=5)
    connection.request("GET", "/metrics")
    assert connection.getresponse().read() == b"x 1\n"
    connection.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "web.yml line 2: not YAML"),
        ("tls: {}", "web.yml: tls: not supported"),
        ("tls_server_config: {cert_file: no.pem, key_file: server.key}", "no.pem"),
        ("tls_server_config: {cert_file: server.pem, key_file: client.key}", "web.yml: no use of"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(certificates, text, said):
    with pytest.raises(WebConfigError) as refused:
        protected(certificates, text + "\n")
    assert said in str(refused.value)


def test_a_changed_file_is_noticed(tmp_path):
    loaded = protected(tmp_path, "")
    assert not loaded.changed
    (tmp_path / "web.yml").write_text("http_server_config: {http2: false}\n")
    assert loaded.changed
    (tmp_path / "web.yml").unlink()
    assert loaded.changed
    with pytest.raises(WebConfigError, match="No such file"):
        webconfig.load(tmp_path / "web.yml")
