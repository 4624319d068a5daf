"""What a DNS message says, and how much of a broken one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osect_sensor.protocols.dns_message import (
    INCOMPLETE,
    MAX_POINTER_DEPTH,
    PARSED,
    TOO_MANY_QUESTIONS,
    TOO_SHORT,
    UNSUPPORTED_OPCODE,
    DnsMessage,
    netbios_name,
    parse_message,
)


def name(text: str) -> bytes:
    labels = text.encode().split(b".") if text else []
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def header(flags: int = 0x8180, counts: tuple[int, int, int, int] = (0, 1, 0, 0)) -> bytes:
    return struct.pack("!6H", 0x1234, flags, *counts)


def record(record_type: int, data: bytes, owner: bytes = b"\x01a\0", ttl: int = 60) -> bytes:
    return owner + struct.pack("!HHIH", record_type, 1, ttl, len(data)) + data


def response(*records: bytes) -> DnsMessage:
    message = header(counts=(0, len(records), 0, 0)) + b"".join(records)
    return parse_message(message, False, False)


def answer_text(record_type: int, data: bytes) -> bytes:
    message = response(record(record_type, data))
    assert message.status == PARSED
    assert len(message.answers) == 1
    return message.answers[0].text


RRSIG = struct.pack("!HBBIIIH", 1, 8, 2, 300, 0, 0, 7) + name("Example.org") + bytes(32)


@pytest.mark.parametrize(
    ("record_type", "data", "text"),
    [
        (1, bytes((192, 0, 2, 1)), b"192.0.2.1"),
        (28, bytes.fromhex("20010db8") + bytes(11) + b"\x01", b"2001:db8::1"),
        (28, bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 1)), b"192.0.2.1"),
        (38, bytes(15) + b"\x01", b"::1"),
        (2, name("NS.Example.org"), b"ns.example.org"),
        (5, name("www.example.org"), b"www.example.org"),
        (12, name("host.example.org"), b"host.example.org"),
        (6, name("ns.example.org") + name("root.example.org") + bytes(20), b"ns.example.org"),
        (15, b"\0\x0a" + name("mx.example.org"), b"mx.example.org"),
        (16, b"\x05hello\x00\x03a b", b"TXT 5 hello TXT 0  TXT 3 a b"),
        (99, b"\x0bv=spf1 -all", b"SPF 11 v=spf1 -all"),
        (33, bytes(6) + name("srv.example.org"), b"srv.example.org"),
        (
            35,
            b"\0\x64\0\x0a\x01u\x07E2U+sip\x05!a!b!" + b"\0",
            b"NAPTR 100 10 u E2U+sip !a!b!",
        ),
        (
            35,
            b"\0\x64\0\x0a\x01s\x03SIP\x00" + name("Sip.example.org"),
            b"NAPTR 100 10 s SIP Sip.example.org",
        ),
        (46, RRSIG, b"RRSIG 1 example.org"),
        (46, RRSIG[:18] + b"\0" + bytes(32), b"RRSIG 1 <Root>"),
        (48, b"\x01\x01\x03\x08" + bytes(16), b"DNSKEY 8"),
        (43, b"\0\x07\x08\x02" + bytes(32), b"DS 8 2"),
        (47, name("b.example.org") + b"\0\x02\x40\x01", b"NSEC a b.example.org"),
        (50, b"\x01\x00\x00\x0a\x02\xaa\xbb\x03abc\0\x01\x40", b"NSEC3"),
        (51, b"\x01\x00\x00\x0a\x02\xaa\xbb", b"NSEC3PARAM"),
        (65534, b"\x08\0\x07\0\x01", b"BIND9 signing signal"),
        (44, b"\x04\x02\xde\xad\xbe\xef", b"SSHFP: deadbeef"),
        (29, b"\x00\x12\x16\x13" + bytes(12), b"LOC:  18 22 19"),
        (24, b"\x01\x02", b"<unknown type=24>"),
        (11, bytes(5), b""),
    ],
)
def test_record_data_is_shown_as_zeek_shows_it(record_type: int, data: bytes, text: bytes) -> None:
    assert answer_text(record_type, data) == text


@pytest.mark.parametrize(
    ("record_type", "data"),
    [
        (13, b"\x03PDP\x04UNIX"),
        (257, b"\0\x05issueca.example.net"),
        (249, b"key"),
        (32, bytes(6)),
        (64, b"\0\x01\0"),
        (65, b"\0\x01\0\0\x01\0\x03\x02h2"),
        (250, name("hmac-sha256") + bytes(10) + b"\0\0\0\0\0\0"),
    ],
)
def test_types_that_are_not_shown_are_passed_over(record_type: int, data: bytes) -> None:
    message = response(record(record_type, data), record(1, bytes((192, 0, 2, 7))))
    assert message.status == PARSED
    assert [answer.text for answer in message.answers] == [b"192.0.2.7"]


def test_options_swallow_the_rest_of_the_message() -> None:
    options = b"\0\x0a\0\x08" + bytes(8)
    message = response(record(41, options))
    assert message.status == PARSED
    assert response(record(41, options), record(1, bytes(4))).status == INCOMPLETE


def test_header_bits() -> None:
    message = parse_message(header(flags=0x8775, counts=(0, 0, 0, 0)), False, False)
    assert message.status == PARSED
    assert message.identifier == 0x1234
    assert message.response
    assert message.authoritative
    assert message.truncated
    assert message.recursion_desired
    assert not message.recursion_available
    assert message.z == 7
    assert message.rcode == 5


def test_question_is_lower_case() -> None:
    data = header(0x0100, (1, 0, 0, 0)) + name("WWW.Example.ORG") + b"\0\x01\0\x01"
    message = parse_message(data, False, False)
    assert message.status == PARSED
    question = message.questions[0]
    assert (question.name, question.qtype, question.qclass) == (b"www.example.org", 1, 1)


def test_root_is_an_empty_name() -> None:
    message = parse_message(header(0, (1, 0, 0, 0)) + b"\0\0\x02\0\x01", False, False)
    assert message.questions[0].name == b""


def test_compression_pointer_continues_the_name() -> None:
    data = header(0x8180, (1, 1, 0, 0)) + name("example.org") + b"\0\x01\0\x01"
    data += b"\x03www\xc0\x0c" + struct.pack("!HHIH", 5, 1, 1, 2) + b"\xc0\x0c"
    message = parse_message(data, False, False)
    assert message.status == PARSED
    assert message.answers[0].name == b"www.example.org"
    assert message.answers[0].text == b"example.org"


def test_pointer_to_itself_or_ahead_ends_the_name() -> None:
    for target in (0x0C, 0x20):
        data = header(0, (1, 0, 0, 0)) + b"\xc0" + bytes([target]) + b"\0\x01\0\x01"
        message = parse_message(data, False, False)
        assert message.status == PARSED
        assert message.questions[0].name == b""


def test_long_pointer_chain_is_bounded() -> None:
    chain = b"\x01x\0"
    for index in range(MAX_POINTER_DEPTH + 5):
        chain += struct.pack("!H", 0xC000 | (12 if index == 0 else 15 + 2 * (index - 1)))
    start = 12 + len(chain) - 2
    prefix = header(0x8180, (0, 1, 0, 0)) + chain
    # The chain sits where the first record's name is read from.
    data = prefix + record(5, struct.pack("!H", 0xC000 | start), owner=b"")
    assert parse_message(data, False, False).status in (PARSED, INCOMPLETE)


def test_labels_beyond_63_octets_only_for_netbios() -> None:
    question = bytes([64]) + b"x" * 64 + b"\0" + b"\0\x20\0\x01"
    data = header(0, (1, 0, 0, 0)) + question
    assert parse_message(data, False, True).questions[0].name == b"x" * 64
    assert parse_message(data, False, False).questions[0].name == b""


def test_too_many_questions_is_not_dns() -> None:
    assert parse_message(header(0, (26, 0, 0, 0)), False, False).status == TOO_MANY_QUESTIONS


def test_other_opcodes_only_for_netbios() -> None:
    data = header(0x2800, (0, 0, 0, 0))
    assert parse_message(data, False, False).status == UNSUPPORTED_OPCODE
    assert parse_message(data, True, True).status == PARSED


def test_node_status_record_is_not_read_as_a_service() -> None:
    message = header() + record(33, b"\x01" + bytes(20))
    parsed = parse_message(message, True, True)
    assert parsed.status == PARSED
    assert parsed.answers == []


def test_record_without_data_stops_unless_it_is_last() -> None:
    assert response(record(5, b""), record(1, bytes(4))).status == INCOMPLETE
    assert response(record(5, b"")).status == PARSED


def test_string_beyond_its_record_stops_but_shows_what_was_read() -> None:
    message = response(record(16, b"\x02ab\x09c"), record(1, bytes(4)))
    assert message.status == INCOMPLETE
    assert message.answers[0].text == b"TXT 2 ab"


def test_broken_naptr_is_not_dns() -> None:
    message = response(record(35, b"\0\x64\0\x0a\x09u"))
    assert message.status == INCOMPLETE
    assert message.not_dns


def test_every_truncation_yields_a_prefix_of_the_answers() -> None:
    records = [record(1, bytes((192, 0, 2, index)), ttl=index) for index in range(4)]
    data = header(counts=(0, 4, 0, 0)) + b"".join(records)
    full = [answer.text for answer in parse_message(data, False, False).answers]
    for end in range(len(data)):
        message = parse_message(data[:end], False, False)
        assert message.status == (TOO_SHORT if end < 12 else INCOMPLETE)
        assert [answer.text for answer in message.answers] == full[: len(message.answers)]


def test_trailing_octets_are_ignored() -> None:
    message = parse_message(header() + record(1, bytes((192, 0, 2, 1))) + b"junk", False, False)
    assert message.status == PARSED
    assert [answer.text for answer in message.answers] == [b"192.0.2.1"]


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_no_octets_raise(data: bytes, netbios: bool, to_netbios: bool) -> None:
    parse_message(data, netbios, to_netbios)


@given(st.sampled_from(range(270)), st.binary(max_size=64), st.binary(max_size=16))
def test_no_record_raises(record_type: int, data: bytes, rest: bytes) -> None:
    parse_message(header(counts=(0, 2, 0, 0)) + record(record_type, data) + rest, False, False)


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"fhepfcelehfcepfffacacacacacacaca", b"WORKGROUP"),
        (b"FHEPFCELEHFCEPFFFACACACACACACABN", b"WORKGROUP"),
        (b"ABACFPFPENFDECFCEPFHFDEFFPFPACAB", b"\x01\x02__MSBROWSE__\x02"),
        (b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", b"*"),
        (b"ckaa", b""),
        (b"zzzzfcelehfcepfffacacacacacacaca", b""),
        (b"CACACACACACACACACACACACACACACACA", b""),
        (b"EBIPECACACACACACACACACACACACACAC", b"A"),
    ],
)
def test_netbios_names(encoded: bytes, decoded: bytes) -> None:
    assert netbios_name(encoded) == decoded
