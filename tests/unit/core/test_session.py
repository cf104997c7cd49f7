import json
import struct
from contextlib import suppress
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core.session import (
    About,
    Ask,
    AskFlights,
    AskKept,
    Begin,
    Commit,
    Confirm,
    Decoder,
    Examine,
    Examined,
    Facts,
    Flights,
    Generations,
    Get,
    Hello,
    Holds,
    ListKept,
    Message,
    Open,
    Pack,
    ProtocolError,
    Put,
    Ready,
    Recall,
    Refusal,
    Refused,
    Resolve,
    Restore,
    encode,
    not_understood,
    packs,
)

MESSAGES = [
    Hello(1, "3.0.0", 7),
    Hello(1, "3.0.0", 7, "backup", 3, 12, "ab", ["split-x"], "lb2"),
    Ask(),
    Holds({"config/caf\udce9": ["f", 420, 0, 0, "x", 1, 2]}),
    Holds({}, 3, 12, {"config/a": "no permission"}),
    Begin(7),
    Ready("/var/lib/skd-cluster/staging/1/tree"),
    Pack({"config/a": ["f", 420, 0, 0, "ab", 2, 5], "config/b": ["f", 384, 0, 0, "", 0, 5]}, [3, 0], b"\0\xff\n"),
    Pack({}, []),
    Put("config/two\nlines", b"\0\xff\n"),
    Put("config/empty"),
    Put("config/large", b"end", 1 << 20),
    Commit(7, 3, 12, "ab", {"config": ["d", 493, 0, 0, "", 0, 0]}, ["config/a"], ["config/b"]),
    Confirm("ab", 3, 4, ["kept"]),
    Refused(Refusal.MASTER.value, "the peer is master itself"),
    Get("config/a"),
    ListKept(),
    Generations([41, 41, 40], [2, 1, 1]),
    About(41, 2),
    Facts(41, {"epoch": 3, "made": ["config/a"]}),
    AskKept(41, 2),
    Recall(41, "config/a", 1 << 20, 2),
    Resolve("split-2026-11-24T20-15-30-lb2"),
    Examine("0f"),
    Examined({"node": "lb2", "disks": [["/etc", 1, 2, 3, 4]]}, 1.5, 2.5),
    AskFlights(),
    Flights([{"node": "lb2", "packets": [[1, 0, 2, 100]]}], 1.5, 2.5),
    Open(),
    Restore("41@lb2", {"config": ["d", 493, 0, 0, "", 0, 0]}, ["config/a"], ["config/b"]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_there_and_back(message):
    assert list(Decoder().feed(encode(message))) == [message]


def test_every_message_is_among_those_above():
    assert {type(one) for one in MESSAGES} == set(get_args(Message))


CONTENTS = st.dictionaries(st.text(), st.binary(max_size=3000), max_size=300)


@given(CONTENTS)
def test_what_goes_in_packs_comes_out_again(contents):
    given = [(key, ["f", len(key)], body) for key, body in contents.items()]
    found = list(packs(given))
    assert [one for pack in found for one in pack.contents()] == given
    assert all(0 < len(pack.sizes) <= 128 for pack in found)


def test_a_pack_is_full_at_128_contents_or_a_quarter_of_a_megabyte():
    assert [len(pack.sizes) for pack in packs((str(one), [], b"") for one in range(257))] == [128, 128, 1]
    large = b"x" * (1 << 17)
    assert [len(pack.sizes) for pack in packs((str(one), [], large) for one in range(5))] == [2, 2, 1]


@pytest.mark.parametrize("sizes", [[], [1], [3], [4, -1], [2, 0], [1, 1, 1]])
def test_a_pack_whose_sizes_are_not_those_of_its_contents(sizes):
    with pytest.raises(ValueError, match="sizes"):
        list(Pack({"a": [], "b": []}, sizes, b"xyz").contents())


def test_byte_by_byte_and_all_at_once():
    data = b"".join(encode(one) for one in MESSAGES)
    slow = Decoder()
    assert [found for byte in data for found in slow.feed(bytes([byte]))] == MESSAGES
    assert list(Decoder().feed(data)) == MESSAGES


def frame(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("!II", len(text), len(body)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"Welcome to lb2! Last login: yesterday\n",
        frame(b"{}"),
        frame(b"[]"),
        frame(b"null"),
        frame(b"\xff\xff"),
        frame({"kind": "Nothing"}),
        frame({"kind": "Begin"}),
        frame({"kind": "Begin", "epoch": "7"}),
        frame({"kind": "Commit", "epoch": 1}),
        frame({"kind": "Holds", "entries": []}),
        frame({"kind": "Recall", "generation": 41}),
        frame({"kind": "Restore", "source": 7, "entries": {}, "fetch": [], "delete": []}),
        frame({"kind": "Restore", "source": "7", "entries": {}, "fetch": [[]], "delete": []}),
        frame({"kind": "Generations", "numbers": [1, "2"]}),
        frame({"kind": "Recall", "generation": 41, "key": "config/a", "at": 1 << 63}),
        struct.pack("!II", 2, 1 << 30),
        struct.pack("!II", 0, 0),
    ],
)
def test_what_is_not_ours_is_said_so(data):
    with pytest.raises(ProtocolError):
        list(Decoder().feed(data))


def test_a_field_of_a_newer_side_is_no_trouble():
    assert list(Decoder().feed(frame({"kind": "Begin", "epoch": 7, "colour": "red"}))) == [Begin(7)]


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    with suppress(ProtocolError):
        list(Decoder().feed(data))


@given(st.sampled_from(MESSAGES), st.integers(8, 200), st.integers(0, 255))
def test_no_changed_byte_raises_anything_else(message, at, value):
    data = bytearray(encode(message))
    data[at % len(data)] = value
    with suppress(ProtocolError):
        list(Decoder().feed(bytes(data)))


def test_two_versions_that_speak_differently_are_both_named():
    assert not_understood("4.0.0", "3.1.0") == (
        "the peer has skd-cluster 4.0.0 and this node 3.1.0: they do not understand each other"
    )
