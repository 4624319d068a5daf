from __future__ import annotations

import struct

import pytest
from detected import ORIG, RESP, Detected, services_of
from handshakes import client_hello, record

PLUGIN_AUTH, ATTRS, DEPRECATE_EOF, QUERY_ATTRIBUTES = 0x80000, 0x100000, 0x1000000, 0x8000000


def packet(sequence: int, body: bytes) -> bytes:
    return struct.pack("<I", len(body))[:3] + bytes([sequence]) + body


def text(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def handshake(capabilities: int = PLUGIN_AUTH) -> bytes:
    body = b"\x0a8.0\x00" + bytes(4) + b"saltsalt\x00" + struct.pack("<H", capabilities & 0xFFFF)
    body += b"\x21" + bytes(2) + struct.pack("<HB", capabilities >> 16, 21) + bytes(10) + bytes(13)
    return packet(0, body + (b"plugin\x00" if capabilities & PLUGIN_AUTH else b""))


def response(flags: int = PLUGIN_AUTH, attributes: bytes = b"") -> bytes:
    body = struct.pack("<IIB", flags, 0, 0x21) + bytes(23) + b"user\x00" + text(b"hash")
    if flags & PLUGIN_AUTH:
        body += b"plugin\x00"
    if flags & ATTRS:
        body += text(attributes)
    return packet(1, body)


OK = b"\x00\x00\x00\x02\x00\x00\x00"
EOF = b"\xfe\x00\x00\x02\x00"
DEFINITION = text(b"def") * 6 + b"\x0c" + bytes(12)
LOGIN = [(RESP, handshake()), (ORIG, response()), (RESP, packet(2, OK))]
QUERY = (ORIG, packet(0, b"\x03select 1"))


def mysql(*turns: tuple[bool, bytes]) -> list[str]:
    return services_of(list(turns), port=3306)


def test_the_answer_to_the_handshake_confirms_on_the_port_only() -> None:
    assert mysql(LOGIN[0]) == []
    assert mysql(*LOGIN[:2]) == ["mysql"]
    assert services_of(LOGIN) == []


def test_packets_may_be_cut_anywhere() -> None:
    assert mysql(*[(side, data[i : i + 1]) for side, data in LOGIN for i in range(len(data))]) == [
        "mysql"
    ]


def test_a_client_that_speaks_first_is_not_mysql() -> None:
    assert mysql((ORIG, response()), *LOGIN) == []


def test_tls_follows_a_request_for_it() -> None:
    ssl_request = packet(1, struct.pack("<IIB", 0x800, 0, 0x21) + bytes(23))
    turns = [LOGIN[0], (ORIG, ssl_request), (ORIG, record(22, client_hello()))]
    assert mysql(*turns) == ["mysql", "ssl"]


def test_attributes_of_the_connection_are_read() -> None:
    flags = PLUGIN_AUTH | ATTRS
    assert mysql(LOGIN[0], (ORIG, response(flags, text(b"a") + text(b"b")))) == ["mysql"]
    assert mysql(LOGIN[0], (ORIG, response(flags, text(b"a")))) == []


def test_another_method_may_be_asked_for() -> None:
    switch = (RESP, packet(2, b"\xfeplugin\x00data"))
    more = [(ORIG, packet(3, b"opaque")), (RESP, packet(4, b"\x01\x03")), (RESP, packet(5, OK))]
    assert mysql(*LOGIN[:2], switch, *more) == ["mysql"]
    assert mysql(*LOGIN[:2], (RESP, packet(2, b"\xfe"))) == []


RESULT = [b"\x01", DEFINITION, EOF, text(b"1"), text(b"2"), EOF]


@pytest.mark.parametrize("answer", [[OK], [b"\xff\x28\x04#42000no"], RESULT])
def test_answers_to_a_query(answer: list[bytes]) -> None:
    turns = [(RESP, packet(1 + number, body)) for number, body in enumerate(answer)]
    assert mysql(*LOGIN, QUERY, *turns, QUERY, *turns) == ["mysql"]


@pytest.mark.parametrize(
    "answer",
    [[b""], [b"\xff\x28"], [b"\xfc\x01"], [b"\x01", b"\x03def"], [b"\x01", DEFINITION, b"\xfe"],
     [*RESULT[:3], b"\x05ab"]],
    ids=["empty", "error", "count", "definition", "end", "row"],
)  # fmt: skip
def test_malformed_answers_disown(answer: list[bytes]) -> None:
    turns = [(RESP, packet(1 + number, body)) for number, body in enumerate(answer)]
    assert mysql(*LOGIN, QUERY, *turns) == []


def test_the_end_of_definitions_may_be_left_out() -> None:
    flags = PLUGIN_AUTH | DEPRECATE_EOF
    answer = [b"\x01", DEFINITION, text(b"1"), b"\xfe\x00\x00\x02\x00\x00\x00"]
    turns = [(RESP, packet(1 + number, body)) for number, body in enumerate(answer)]
    assert mysql(LOGIN[0], (ORIG, response(flags)), LOGIN[2], QUERY, *turns) == ["mysql"]


@pytest.mark.parametrize(
    ("attributes", "services"),
    [
        (b"\x00\x01select 1", ["mysql"]),
        (b"\x01\x01\x00\x01\xfe\x00" + text(b"n") + text(b"v") + b"select 1", ["mysql"]),
        (b"\x01\x01\x01\x01\xfe\x00" + text(b"n") + b"select 1", ["mysql"]),
        (b"\x01\x01\x00\x00\xfe\x00" + text(b"n") + text(b"v"), []),
        (b"\x01\x01\x00\x01\x60\x00" + text(b"n") + text(b"v"), []),
        (b"\x01\x01\x00\x01\x0c\x00" + text(b"n") + b"\x05" + bytes(5), []),
        (b"\x01\x01\x00\x01\x0c\x00" + text(b"n") + b"\x04" + bytes(4), ["mysql"]),
    ],
)
def test_attributes_of_a_query_are_read(attributes: bytes, services: list[str]) -> None:
    flags = PLUGIN_AUTH | QUERY_ATTRIBUTES
    turns = [(RESP, handshake(flags)), (ORIG, response(flags)), LOGIN[2]]
    assert mysql(*turns, (ORIG, packet(0, b"\x03" + attributes))) == services


def test_a_change_of_user_begins_anew() -> None:
    change = packet(0, b"\x11user\x00" + text(b"x") + b"db\x00\x21\x00plugin\x00")
    assert mysql(*LOGIN, (ORIG, change), (RESP, packet(1, OK)), QUERY) == ["mysql"]
    assert mysql(*LOGIN, (ORIG, packet(0, b"\x11user"))) == []


def test_the_old_handshake_is_known() -> None:
    old = packet(0, b"\x093.2\x00" + bytes(4) + b"salt\x00")
    assert mysql((RESP, old), (ORIG, packet(1, bytes(5) + b"user\x00auth\x00"))) == ["mysql"]


def test_a_server_that_refuses_confirms_nothing() -> None:
    assert mysql((RESP, packet(0, b"\xff\x10\x04Too many connections"))) == []


def test_a_gap_ends_the_analysis() -> None:
    detected = Detected(port=3306)
    for turn in LOGIN:
        detected.send(*turn)
    detected.gap(RESP, 10)
    assert "mysql" not in detected.attached
    assert detected.services == ["mysql"]
