"""A packet's raw signature reads as p0f would write it."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.fingerprint.signature import Signature, guessed_distance, window_multiple

SYN = 0x02
SYN_ACK = 0x12


def signature(
    *,
    options: bytes = b"",
    flags: int = SYN,
    window: int = 8192,
    sequence: int = 1,
    acknowledgment: bytes = bytes(4),
    urgent: int = 0,
    reserved: int = 0,
    payload: int = 0,
    ttl: int = 64,
    identification: int = 1,
    fragment: int = 0x4000,
    service: int = 0,
    ip_options: bytes = b"",
    version: int = 4,
    class_and_label: int = 0,
) -> Signature:
    tcp = (
        struct.pack(">HHI", 1024, 80, sequence)
        + acknowledgment
        + struct.pack(">BBHHH", (5 + len(options) // 4) << 4 | reserved, flags, window, 0, urgent)
        + options
    )
    if version == 4:
        ip = struct.pack(
            ">BBHHHBBH4s4s",
            0x45 + len(ip_options) // 4,
            service,
            20 + len(ip_options) + len(tcp) + payload,
            identification,
            fragment,
            ttl,
            6,
            0,
            bytes(4),
            bytes(4),
        )
        ip += ip_options
    else:
        ip = struct.pack(">IHBB", 6 << 28 | class_and_label, len(tcp) + payload, 6, ttl) + bytes(32)
    result = Signature()
    if version == 4:
        result.read_ipv4(ip + tcp, 0)
    else:
        result.read_ipv6(ip + tcp, 0)
    result.read_tcp(ip + tcp, len(ip), payload)
    return result


def quirks(text: str) -> list[str]:
    names = text.split(":")[6]
    return names.split(",") if names else []


def test_ordinary_syn_reads_as_in_p0f():
    options = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307")
    text = signature(options=options, window=29200).text(0)
    assert text == "4:64+0:0:1460:mss*20,7:mss,sok,ts,nop,ws:df,id+:0"


def test_ipv6_syn_has_flow_and_no_identification_quirks():
    options = bytes.fromhex("020405a0 01 030308 0101 0402")
    text = signature(version=6, class_and_label=0x12345, options=options, ttl=128).text(0)
    assert text == "6:128+0:0:1440:8192,8:mss,nop,ws,nop,nop,sok:flow:0"


def test_payload_and_ip_options_are_told():
    assert signature(payload=3).text(0).endswith(":+")
    assert signature(ip_options=b"\x01\x01\x01\x01").text(0).startswith("4:64+0:4:")


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(0, "0+32"), (32, "32+0"), (33, "33+31"), (120, "120+8"), (200, "200+?"), (255, "255+0")],
)
def test_distance_is_guessed_up_to_what_is_plausible(ttl, expected):
    assert signature(ttl=ttl).text(0).split(":")[1] == expected


def test_guessed_distance_counts_from_the_next_usual_initial_ttl():
    assert [guessed_distance(ttl) for ttl in (1, 64, 65, 129)] == [31, 0, 63, 126]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"identification": 0}, ["df"]),
        ({"identification": 0, "fragment": 0}, ["id-"]),
        ({"identification": 9, "fragment": 0}, []),
        ({"fragment": 0xC000}, ["df", "id+", "0+"]),
        ({"service": 2}, ["df", "id+", "ecn"]),
        ({"flags": SYN | 0x80}, ["df", "id+", "ecn"]),
        ({"reserved": 1}, ["df", "id+", "ecn"]),
        ({"reserved": 2}, ["df", "id+"]),
        ({"sequence": 0}, ["df", "id+", "seq-"]),
        ({"urgent": 1}, ["df", "id+", "uptr+"]),
        ({"urgent": 1, "flags": SYN | 0x20}, ["df", "id+", "urgf+"]),
        ({"flags": SYN | 0x08}, ["df", "id+", "pushf+"]),
        ({"flags": SYN_ACK}, ["df", "id+", "ack-"]),
        ({"flags": SYN_ACK, "acknowledgment": b"\0\0\0\1"}, ["df", "id+"]),
    ],
)
def test_header_quirks_in_order(fields, expected):
    assert quirks(signature(**fields).text(0)) == expected


@pytest.mark.parametrize(
    ("acknowledgment", "told"), [(b"\x01\0\0\0", True), (b"\xfe\xff\xff\xff", False)]
)
def test_nonzero_acknowledgment_is_told_by_the_lowest_bit_of_its_first_octet(acknowledgment, told):
    assert ("ack+" in quirks(signature(acknowledgment=acknowledgment).text(0))) is told


@pytest.mark.parametrize(
    ("options", "layout", "expected"),
    [
        ("020405b4", "mss", []),
        ("0101 0402", "nop,nop,sok", []),
        ("00000000", "eol+3", []),
        ("00000100", "eol+3", ["opt+"]),
        # p0f does not see the very last octet.
        ("00000001", "eol+3", []),
        ("020305b4", "mss", ["bad"]),
        ("010204b4", "nop,mss", ["bad"]),
        ("0303 0f 01", "ws,nop", ["exws"]),
        ("1e04 0000", "?30", []),
        ("1e01 0000", "?30", ["bad"]),
        ("1e28 0000", "?30", ["bad"]),
        ("0101 011e", "nop,nop,nop,?30", ["bad"]),
        ("050a 0000 0000 0000 0000 0101", "sack,nop,nop", []),
        ("0504 0101", "sack", ["bad"]),
        ("080a 00000000 00000000 0101", "ts,nop,nop", ["ts1-"]),
        ("080a 00000001 00000001 0101", "ts,nop,nop", ["ts2+"]),
        ("080a 0000 0000 0000 0000", "ts,eol+1", ["ts1-"]),
    ],
)
def test_options_and_their_quirks(options, layout, expected):
    octets = bytes.fromhex(options)
    if layout == "ts,eol+1":
        octets += b"\0\0"
    text = signature(options=octets).text(0)
    assert text.split(":")[5] == layout
    assert quirks(text) == ["df", "id+", *expected]


def test_more_options_than_p0f_looks_at_are_bad():
    text = signature(options=b"\x01" * 28).text(0)
    assert text.split(":")[5] == ",".join(["nop"] * 24)
    assert "bad" in quirks(text)


@pytest.mark.parametrize(
    ("mss", "window", "with_timestamp", "peer", "expected"),
    [
        (1000, 3000, False, 0, (3, False)),
        (1012, 3000, True, 0, (3, False)),
        (1012, 3000, False, 0, (2, True)),
        (536, 2920, False, 0, (2, False)),
        (536, 2896, False, 0, (2, False)),
        (1000, 3120, False, 0, (3, True)),
        (536, 4500, False, 0, (3, True)),
        (536, 2000, False, 500, (4, False)),
        (536, 1952, False, 500, (4, False)),
        (536, 2001, False, 500, (-1, False)),
        (99, 99, False, 0, (-1, False)),
        (536, 40000, False, 1, (-1, False)),
    ],
)
def test_window_is_told_as_a_multiple(mss, window, with_timestamp, peer, expected):
    options = b"\x02\x04" + mss.to_bytes(2, "big")
    if with_timestamp:
        options += bytes.fromhex("080a 00000001 00000000 0101")
    assert window_multiple(signature(options=options, window=window), peer) == expected


def test_answer_that_echoes_the_probe_mss_has_a_wildcard():
    options = b"\x02\x04" + (1331).to_bytes(2, "big")
    assert signature(options=options, flags=SYN_ACK).text(0).split(":")[3] == "*"
    assert signature(options=options).text(0).split(":")[3] == "1331"
