import dataclasses
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.pairing import (
    Answer,
    Done,
    Echo,
    PairingError,
    Request,
    Stage,
    Step,
    View,
    decode_answer,
    decode_echo,
    decode_request,
    encode_answer,
    encode_echo,
    encode_request,
    mismatches,
)

LB1 = View("lb1", "3.0.0", "/c", "10.0.0.1", "10.0.0.2", 1)
LB2 = View("lb2", "3.0.0", "/c", "10.0.0.2", "10.0.0.1", 1)


def test_two_that_mirror_each_other_are_a_pair():
    assert mismatches(LB1, LB2) == mismatches(LB2, LB1) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"local_ip": "10.0.0.3"}, "lb2 has $local_ip=10.0.0.3 in /c, expected 10.0.0.2, the remote_ip of lb1"),
        ({"remote_ip": "10.0.0.3"}, "lb2 has $remote_ip=10.0.0.3 in /c, expected 10.0.0.1, the local_ip of lb1"),
        ({"cluster_id": 2}, "lb2 has $cluster_id=2 in /c, expected 1, the cluster_id of lb1"),
        ({"ssh_key": "/k"}, "lb2 has $ssh_key=/k in /c"),
    ],
)
def test_what_does_not_match_is_named_with_both_values(change, words):
    (found,) = mismatches(LB1, dataclasses.replace(LB2, **change))
    assert found.startswith(words)


def test_what_is_said_arrives_whatever_the_login_prints_around_it():
    request = Request(Stage.OFFER, LB1, "ssh-ed25519 AAAA", ["ssh-rsa BBBB"], dry=True)
    assert decode_request(encode_request(request)) == request
    answer = Answer(True, "", LB2, "k", ["h"], [Step("lb2", Done.MADE, "a key")], ["PermitRootLogin no"])
    noise = '{"a": 1}\nWelcome to lb2\n'
    assert decode_answer(f"{noise}{encode_answer(answer)}\nbye\n".encode()) == answer
    assert decode_answer(noise.encode()) is None
    echo = Echo(LB2, "")
    assert decode_echo(f"{noise}{encode_echo(echo)}".encode()) == echo
    assert decode_echo(encode_answer(answer).encode()) is None


def test_no_password_has_a_place_in_what_is_said():
    assert "password" not in {one.name for kind in (View, Request, Answer, Echo) for one in dataclasses.fields(kind)}


def test_another_version_is_named():
    data = json.loads(encode_request(Request(Stage.OFFER, LB1)))
    with pytest.raises(PairingError, match="install the same on both"):
        decode_request(json.dumps({**data, "pairing": 2}).encode())


def test_a_number_that_is_none_is_not_taken():
    data = encode_request(Request(Stage.OFFER, LB1)).replace(b'"cluster_id": 1', b'"cluster_id": 1e999')
    assert b"1e999" in data
    with pytest.raises(PairingError):
        decode_request(data)
    assert decode_echo(data.replace(b'"request"', b'"echo"').replace(b"{", b'{"back": null, ', 1)) is None


def test_what_came_over_the_net_cannot_move_a_cursor():
    answer = Answer(False, "\x1b[2Jall well\n", LB2)
    found = decode_answer(encode_answer(answer).encode())
    assert found is not None
    assert found.text == "?[2Jall well?"


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(lambda one: json.dumps(one).encode())
)
def test_whatever_comes_is_no_traceback(data):
    with pytest.raises(PairingError):
        decode_request(data)
    assert decode_answer(data) is None
    assert decode_echo(data) is None


@given(
    st.sampled_from(["view", "steps", "host_keys", "key", "ok", "stage", "dry"]),
    st.none() | st.integers() | st.lists(st.none()),
)
def test_a_damaged_message_is_no_traceback(name, value):
    answer = json.loads(encode_answer(Answer(True, view=LB2)))
    decode_answer(json.dumps({**answer, name: value}).encode())
    if name == "view":
        assert decode_echo(json.dumps({**json.loads(encode_echo(Echo(LB2))), name: value}).encode()) is None
    request = json.loads(encode_request(Request(Stage.OFFER, LB1)))
    with suppress(PairingError):
        decode_request(json.dumps({**request, name: value}).encode())
