"""Names lose control characters, and what is no UTF-8 is marked."""

from __future__ import annotations

import pytest

from osect_sensor.protocols.cleaning import with_valid_utf8, without_control_characters


def test_control_characters_are_removed_and_others_stay():
    assert without_control_characters(b"\x00a\x1f b\x7f\x80\xff") == b"a b\x80\xff"


@pytest.mark.parametrize(
    "text", ["", "plain\x00", "é", "日本", "\U0001f600", "\ud7ff\ue000", "\U0010ffff"]
)
def test_valid_text_is_unchanged(text):
    assert with_valid_utf8(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("octets", "marks"),
    [
        (b"\x80", 1),
        (b"\xc0\xaf", 2),
        (b"\xc1\xbf", 2),
        (b"\xe0\x80\x80", 3),
        (b"\xed\xa0\x80", 3),
        (b"\xf0\x80\x80\x80", 4),
        (b"\xf4\x90\x80\x80", 4),
        (b"\xf5\x80\x80\x80", 4),
        (b"\xe3\x81", 2),
    ],
)
def test_every_octet_of_what_is_no_character_is_marked(octets, marks):
    assert with_valid_utf8(b"a" + octets + b"b").decode() == "a" + "\ufffd" * marks + "b"
