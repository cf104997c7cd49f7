import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.webrequest import MOST, Request, answer, complete, parse


def test_what_prometheus_asks():
    asked = (
        b"GET /metrics?x=1 HTTP/1.1\r\nHost: lb1:9869\r\nACCEPT: application/openmetrics-text\r\nAccept: */*\r\n\r\n"
    )
    assert complete(asked)
    assert parse(asked) == Request("GET", "/metrics", "application/openmetrics-text,*/*")


def test_basic_authentication():
    words = base64.b64encode("prom:pass:word é".encode()).decode()
    found = parse(f"GET / HTTP/1.1\r\nAuthorization: basic {words}\r\n\r\n".encode())
    assert isinstance(found, Request)
    assert (found.user, found.password) == ("prom", "pass:word é".encode())
    assert "word" not in repr(found)


@pytest.mark.parametrize(
    "header", ["Basic %%%", "Basic", "Bearer abc", "Basic " + base64.b64encode(b"nocolon").decode()]
)
def test_no_credentials(header):
    found = parse(f"GET / HTTP/1.1\r\nAuthorization: {header}\r\n\r\n".encode())
    assert isinstance(found, Request)
    assert found.user is None


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"GET /metrics", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * MOST, 431),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * MOST + b"\r\n\r\n", 431),
    ],
)
def test_refused(received, status):
    assert parse(received) == status


@given(st.binary(max_size=300), st.booleans())
def test_nothing_that_comes_in_raises(received, ended):
    parse(b"GET / HTTP/1.1\r\n" + received + b"\r\n\r\n" * ended)
    parse(received)


def test_reading_ends_in_any_case():
    assert not complete(b"GET / HTTP/1.1\r\n")
    assert complete(b"x" * (MOST + 1))


def test_answers():
    assert answer(200, b"ab", kind="a/b", more={"X-Frame-Options": "deny"}) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\nConnection: close\r\nX-Frame-Options: deny\r\n\r\nab"
    )
    assert b"WWW-Authenticate: Basic realm=" in answer(401)
    assert b"Allow: GET, HEAD\r\n" in answer(405)
    assert answer(404, head=True).endswith(b"\r\n\r\n")
