"""Browser announcements are found by parsing, wherever they are."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.logs.rows import BrowserRow
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.protocols.browser import browser_datagram
from osect_sensor.wire.packet import Packet

NAME = b"\x20" + b"CA" * 16 + b"\x00"


def announcement(opcode: int = 1, name: bytes = b"BOX", comment: bytes = b"a box\x00") -> bytes:
    return (
        bytes((opcode, 3))
        + struct.pack("<I", 720000)
        + name.ljust(16, b"\x00")
        + b"\x06\x01"
        + struct.pack("<I", 0x00011003)
        + b"\x0f\x01"
        + struct.pack("<H", 0xAA55)
        + comment
    )


def datagram(
    message: bytes,
    *,
    kind: int = 0x11,
    flags: int = 0x0A,
    names: bytes = NAME + NAME,
    magic: bytes = b"\xffSMB",
    command: int = 0x25,
    mailslot: bytes = b"\\MAILSLOT\\BROWSE\x00",
    padding: bytes = b"",
    offset: int = -1,
    setup: int = 3,
) -> bytes:
    words = 14 + setup
    if offset < 0:
        offset = 32 + 1 + 2 * words + 2 + len(mailslot) + len(padding)
    parameters = struct.pack("<HHHHBBHIHHHHHBB", 0, len(message), 0, 0, 0, 0, 0, 0, 0, 0, 0,
                             len(message), offset, setup, 0)  # fmt: skip
    smb = magic + bytes((command,)) + bytes(27) + bytes((words,)) + parameters + bytes(2 * setup)
    smb += struct.pack("<H", len(mailslot) + len(padding) + len(message))
    return bytes((kind, flags)) + bytes(12) + names + smb + mailslot + padding + message


def rows(payload: bytes) -> list[BrowserRow]:
    packet = Packet()
    packet.timestamp = 7
    packet.ip_version = 4
    packet.data = b"\x0a\0\0\1" + payload + b"\xff" * 80
    packet.link = b"\xff" * 6 + bytes.fromhex("020000000001")
    packet.source_mac = 6
    sink = CollectingSink()
    browser_datagram(packet, 4, 4 + len(payload), sink)
    return sink.browser_rows


@pytest.mark.parametrize("opcode", [0x01, 0x0F])
def test_announcement(opcode):
    (row,) = rows(datagram(announcement(opcode)))
    assert (row.ts, row.src_ip, row.src_mac) == (7, "10.0.0.1", "02:00:00:00:00:01")
    assert (row.server_name, row.host_comment) == (b"BOX", b"a box")
    assert (row.os_version, row.browser_version) == ("6.1", "15.1")
    assert (row.server_type, row.signature) == ("0x11003", "0xaa55")


def test_announcement_is_found_behind_padding_and_scoped_names():
    scoped = NAME[:-1] + b"\x03com\x00"
    assert len(rows(datagram(announcement(), padding=b"\x00\x00\x00", names=scoped + NAME))) == 1


def test_rest_of_the_name_field_is_logged_too():
    (row,) = rows(datagram(announcement(name=b"BOX\x00ab\x01")))
    assert row.server_name == b"BOXab"


def test_empty_comment_is_empty():
    assert rows(datagram(announcement(comment=b"\x00")))[0].host_comment == b""
    assert rows(datagram(announcement(comment=b"")))[0].host_comment == b""


def test_other_messages_may_follow_the_announcement_in_the_datagram():
    assert rows(datagram(announcement()) + b"trailer")[0].host_comment == b"a box"


@pytest.mark.parametrize(
    "payload",
    [
        datagram(announcement(0x02)),
        datagram(announcement(), kind=0x13),
        datagram(announcement(), flags=0x01),
        datagram(announcement(), names=b"\xc0\x0c" + NAME),
        datagram(announcement(), magic=b"\xfeSMB"),
        datagram(announcement(), command=0x73),
        datagram(announcement(), mailslot=b"\\MAILSLOT\\LANMAN\x00"),
        datagram(announcement(), offset=10),
        datagram(announcement(), offset=5000),
        datagram(announcement()[:31]),
        datagram(b""),
    ],
)
def test_anything_else_makes_no_row(payload):
    assert rows(payload) == []


def test_cut_off_makes_no_row():
    whole = datagram(announcement())
    for length in range(len(whole)):
        assert rows(whole[:length]) == []
