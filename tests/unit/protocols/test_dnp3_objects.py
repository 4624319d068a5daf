from __future__ import annotations

import pytest

from osect_sensor.protocols.dnp3_objects import AUTHENTICATE_FILE, skip_objects
from osect_sensor.protocols.fields import FieldReader


def walk(data: bytes, in_request: bool = False, function: int = 1) -> tuple[bool, int]:
    """Whether all went well, and how many octets are left."""
    reader = FieldReader(data, 0, len(data))
    skip_objects(reader, in_request, function)
    return not reader.failed, reader.remaining()


RESPONSES = [
    b"\x01\x02\x00\x00\x01" + bytes(2),
    b"\x01\x01\x00\x00\x08" + bytes(2),
    b"\x02\x02\x17\x02" + (b"\x05" + bytes(7)) * 2,
    b"\x02\x02\x28\x01\x00" + b"\x05\x00" + bytes(7),
    b"\x1e\x05\x01\x00\x00\x01\x00" + bytes(10),
    b"\x1e\x06\x02\x00\x00\x00\x00\x00\x00\x00\x00" + bytes(9),
    b"\x20\x08\x07\x01" + bytes(15),
    b"\x21\x04\x07\x01" + bytes(11),
    b"\x00\xfa\x00\x00\x00\x01\x03abc",
    b"\x6e\x05\x00\x00\x01" + bytes(10),
    b"\x46\x05\x5b\x01" + b"\x0a\x00" + bytes(10),
    b"\x46\x04\x5b\x01" + b"\x0e\x00" + bytes(14),
    b"\x46\x03\x07\x01" + b"\x1a\x00\x02\x00" + bytes(22) + b"ab",
    b"\x46\x07\x07\x01" + b"\x14\x00\x02\x00" + bytes(16) + b"ab",
    b"\x46\x02\x07\x01" + b"\x0c\x00\x01\x00\x0d\x00\x02\x00" + bytes(4) + b"upp",
    b"\x52\x01\x07\x01" + bytes(8) + b"\x01\x00" + bytes(4),
    b"\x53\x01\x07\x01" + bytes(6) + b"\x02\x00ab",
    b"\x53\x02\x07\x01" + bytes(6) + b"\x01\x00" + bytes(4),
    b"\x5b\x01\x07\x01" + bytes(4) + b"\x01\x03\x00ab",
    b"\x78\x01\x5b\x01\x0c\x00" + bytes(12),
    b"\x78\x05\x5b\x01\x0f\x00" + bytes(9) + b"\x02\x00" + bytes(4),
    b"\x78\x0a\x5b\x01\x00\x00" + bytes(10) + b"\x01\x00\x01\x00\x01\x00abc",
    b"\x78\x0b\x5b\x01\x00\x00" + b"\x00\x01\x00\x01\x00ab",
    b"\x78\x0c\x5b\x01\x00\x00" + bytes(8) + b"\x01\x00a",
    b"\x78\x0d\x5b\x01\x00\x00" + bytes(6) + b"\x01\x00a",
]


@pytest.mark.parametrize("data", RESPONSES)
def test_responses_carry_objects_of_known_sizes(data: bytes) -> None:
    assert walk(data) == (True, 0)
    assert walk(data + b"\xaa\xbb\xcc") == (True, 3)
    assert walk(data[:-1])[0] is False


@pytest.mark.parametrize("data", [b"\x3c\x01\x06", b"\x1e\x01\x06", b"\x01\x00\x00\x00\x05"])
def test_requests_name_objects_without_carrying_them(data: bytes) -> None:
    assert walk(data + b"\x01", in_request=True) == (True, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"\x0c\x01\x17\x01\x05" + bytes(11),
        b"\x0c\x03\x07\x09" + bytes(2),
        b"\x32\x01\x07\x01" + bytes(6),
        b"\x33\x02\x07\x01" + bytes(6),
        b"\x34\x02\x07\x01" + bytes(2),
        b"\x78\x03\x07\x01" + bytes(6),
    ],
)
def test_requests_carry_commands_times_and_authentication(data: bytes) -> None:
    assert walk(data, in_request=True) == (True, 0)
    assert walk(data[:-1], in_request=True)[0] is False


def test_credentials_count_only_in_their_request() -> None:
    data = b"\x46\x02\x07\x01" + b"\x0c\x00\x01\x00\x0d\x00\x02\x00" + bytes(4) + b"upp"
    assert walk(data, in_request=True, function=AUTHENTICATE_FILE) == (True, 0)
    assert walk(data, in_request=True, function=2) == (True, 15)


def test_internal_indications_in_requests_take_the_rest() -> None:
    assert walk(b"\x50\x01\x00\x07\x07\x00\x01", in_request=True) == (True, 0)


def test_ranges_that_run_backwards_are_malformed() -> None:
    assert walk(b"\x1e\x01\x00\x05\x01" + bytes(50))[0] is False


def test_packed_ranges_that_run_backwards_a_little_hold_nothing() -> None:
    assert walk(b"\x01\x01\x00\x05\x01" + bytes(4)) == (True, 4)
    assert walk(b"\x01\x01\x00\x1f\x01" + bytes(4))[0] is False


def test_counts_beyond_what_is_there_are_malformed_at_once() -> None:
    assert walk(b"\x1e\x01\x09\xff\xff\xff\x7f" + bytes(20))[0] is False


def test_unknown_objects_take_the_rest() -> None:
    assert walk(b"\x63\x01\x07\x01" + bytes(9)) == (True, 0)
