from __future__ import annotations

import struct

from osect_sensor.protocols.embedded import feed_embedded
from osect_sensor.protocols.ntlm import NtlmAnalyzer

VERSION = 0x02000000
TARGET_INFO = 0x00800000
REQUEST_TARGET = 0x00000004
OEM_DOMAIN = 0x00001000


def field(length: int, offset: int) -> bytes:
    return struct.pack("<HHI", length, length, offset)


def message(kind: int, body: bytes) -> bytes:
    return b"NTLMSSP\0" + struct.pack("<I", kind) + body


def negotiate(flags: int, domain: bytes = field(0, 0), payload: bytes = b"") -> bytes:
    return message(1, struct.pack("<I", flags) + domain + field(0, 0) + payload)


def challenge(flags: int, info: bytes) -> bytes:
    head = field(0, 48) + struct.pack("<I", flags) + bytes(16)
    return message(2, head + field(len(info), 48) + info)


def test_each_kind_of_message_confirms(tcp_connection) -> None:
    authenticate = message(3, field(0, 64) * 6 + bytes(4))
    for data in (negotiate(0), challenge(0, b""), authenticate, message(9, b"")):
        tcp_connection.services.clear()
        NtlmAnalyzer(tcp_connection).stream(True, data)
        assert tcp_connection.services == ["ntlm"]


def test_cut_messages_disown(tcp_connection) -> None:
    analyzer = NtlmAnalyzer(tcp_connection)
    analyzer.stream(True, negotiate(0))
    analyzer.stream(True, negotiate(0)[:-1])
    assert tcp_connection.services == []


def test_a_later_good_message_confirms_after_a_bad_one(tcp_connection) -> None:
    analyzer = NtlmAnalyzer(tcp_connection)
    feed_embedded(analyzer, True, negotiate(0)[:-1])
    assert tcp_connection.services == []
    feed_embedded(analyzer, True, negotiate(0))
    assert tcp_connection.services == ["ntlm"]


def test_strings_must_lie_in_the_payload(tcp_connection) -> None:
    NtlmAnalyzer(tcp_connection).stream(True, negotiate(OEM_DOMAIN, field(3, 32), b"DOM"))
    assert tcp_connection.services == ["ntlm"]
    for bad in (field(4, 32), field(3, 31), field(3, 33)):
        tcp_connection.services.clear()
        NtlmAnalyzer(tcp_connection).stream(True, negotiate(OEM_DOMAIN, bad, b"DOM"))
        assert tcp_connection.services == []


def test_target_information_of_known_pairs_confirms(tcp_connection) -> None:
    pairs = struct.pack("<HH", 1, 2) + b"A\0" + struct.pack("<HHQ", 7, 8, 0) + bytes(4)
    NtlmAnalyzer(tcp_connection).stream(False, challenge(TARGET_INFO, pairs))
    assert tcp_connection.services == ["ntlm"]


def test_unknown_pairs_disown(tcp_connection) -> None:
    pairs = struct.pack("<HH", 11, 0) + bytes(4)
    NtlmAnalyzer(tcp_connection).stream(False, challenge(TARGET_INFO, pairs))
    assert tcp_connection.services == []


def test_an_announced_version_must_be_there(tcp_connection) -> None:
    NtlmAnalyzer(tcp_connection).stream(False, challenge(VERSION, b""))
    assert tcp_connection.services == ["ntlm"]
    tcp_connection.services.clear()
    data = message(1, struct.pack("<I", VERSION) + field(0, 40) + field(0, 40) + bytes(7))
    NtlmAnalyzer(tcp_connection).stream(True, data)
    assert tcp_connection.services == []
