"""Announcements against what real announcers sent."""

import json
import struct
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from skd_cluster.core.frames import announcement, gratuitous_arp, neighbour_advertisement
from skd_cluster.core.wire import checksum

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"
sys.path.insert(0, str(CAPTURES))
from frames import read  # noqa: E402 -- the fixtures' own reader, which shares nothing with our code

MAC = bytes.fromhex("020000000001")


def test_rfc_5227_both_forms_of_gratuitous_arp() -> None:
    request, reply = gratuitous_arp(IPv4Address("192.0.2.10"), MAC)

    assert request.hex() == "ffffffffffff02000000000108060001080006040001020000000001c000020affffffffffffc000020a"
    assert reply == request[:20] + b"\0\2" + request[22:]


@pytest.mark.parametrize("capture", ["announcements-keepalived-ipv4", "announcements-keepalived-ipv6"])
def test_our_frames_are_keepalived_s_but_for_its_choice_of_form(capture: str) -> None:
    """keepalived sends the request form; both agree byte for byte on it, and on the neighbour advertisement."""
    side = json.loads((CAPTURES / f"{capture}.json").read_text())
    compared = 0
    for frame, packet in zip(read(CAPTURES / side["capture"]), side["packets"], strict=True):
        if packet["kind"] not in ("arp", "na", "neighbour-advertisement"):
            continue
        address = ip_address(packet.get("sender_ip") or packet.get("target") or packet.get("address"))
        ours = announcement(address, frame.data[6:12])
        if address.version == 4:
            assert ours[0] == frame.data[:42]
        else:
            assert _without_router_flag(ours[0]) == _without_router_flag(frame.data)
        compared += 1

    assert compared >= 5


def _without_router_flag(frame: bytes) -> bytes:
    """keepalived says router only where forwarding is on: blank that flag, the sum over it and the flow label."""
    return frame[:14] + frame[18:56] + frame[59:]


def test_rfc_4861_the_checksum_of_a_neighbour_advertisement_is_right() -> None:
    frame = neighbour_advertisement(IPv6Address("2001:db8::10"), MAC)
    ip, message = frame[14:54], frame[54:]

    pseudo = ip[8:40] + struct.pack("!II", len(message), 58)
    assert checksum(pseudo + message) == 0
    assert ip[7] == 255
