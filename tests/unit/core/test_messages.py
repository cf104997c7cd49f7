"""What the processes say to each other: there and back, and nothing raised by garbage."""

import json
from dataclasses import asdict, fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skd_cluster.core import messages
from skd_cluster.core.messages import Command, Mastership, Message, Note, decode, encode

KINDS = get_args(Message)

text, whole = st.text(max_size=20), st.integers(-(2**53), 2**63)
by_type = {
    str: text,
    int: whole,
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    list[str]: st.lists(text, max_size=3),
    list[list[str]]: st.lists(st.lists(text, max_size=3), max_size=3),
}
anything = text | whole | st.booleans() | st.dictionaries(text, whole, max_size=2)
every_message = st.one_of(
    st.builds(
        kind,
        **{
            one.name: by_type.get(one.type, st.lists(st.lists(anything, max_size=3), max_size=2))
            for one in fields(kind)
        },
    )
    for kind in KINDS
)
json_values = st.recursive(
    st.none() | st.booleans() | whole | text, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=4
)


@given(every_message)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    assert decode(encode(message)) == message


def test_every_kind_is_known() -> None:
    assert set(KINDS) == set(messages._KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_message_without_one_of_its_fields_is_none(kind: type) -> None:
    needed = [one.name for one in fields(kind) if one.default is one.default_factory]
    whole_message = dict.fromkeys(needed, 1)
    assert decode(json.dumps({"kind": kind.__name__, **whole_message}).encode()) is not None
    for name in needed:
        partial = {key: value for key, value in whole_message.items() if key != name}
        assert decode(json.dumps({"kind": kind.__name__, **partial}).encode()) is None


def test_unknown_fields_are_ignored() -> None:
    assert decode(b'{"kind":"Mastership","epoch":3,"later":true}') == Mastership(3)


def test_one_line_without_blanks() -> None:
    assert encode(Command("failover", 1)) == b'{"kind":"Command","verb":"failover","ident":1,"force":false}'
    assert b"\n" not in encode(Note("e", "two\nlines"))


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"", b"{", b"null", b"7", b"[]", b'"kind"', b"{}", b"\xff"),
        *(b'{"kind":"Nonsense"}', b'{"kind":{}}', b'{"kind":[]}', b'{"kind":"Command"}'),
        *(b"[" * 100_000, b'{"a":' * 100_000),
    ],
)
def test_garbage_is_none(garbage: bytes) -> None:
    assert decode(garbage) is None


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise(datagram: bytes) -> None:
    assert decode(datagram) is None


@given(json_values)
def test_no_value_of_a_known_kind_raises(value: object) -> None:
    for kind in KINDS:
        decode(json.dumps({"kind": kind.__name__, "extra": value}).encode())
        decode(json.dumps({**asdict(Command("stop", 1)), "kind": value}).encode())
