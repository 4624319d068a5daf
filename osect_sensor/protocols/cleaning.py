"""What the field's logs do to names before they are written."""

from __future__ import annotations

from typing import Final

_CONTROL_CHARACTERS: Final = bytes(range(0x20)) + b"\x7f"
_REPLACEMENT: Final = b"\xef\xbf\xbd"
"""U+FFFD in UTF-8."""


def without_control_characters(text: bytes) -> bytes:
    """``text`` without the control characters of ASCII."""
    return text.translate(None, _CONTROL_CHARACTERS)


def with_valid_utf8(text: bytes) -> bytes:
    """``text`` with U+FFFD in the place of every octet that belongs to no UTF-8 character."""
    if text.isascii():
        return text
    result = b""
    offset = 0
    while offset < len(text):
        length = _character_length(text, offset)
        if length == 0:
            result += _REPLACEMENT
            offset += 1
        else:
            result += text[offset : offset + length]
            offset += length
    return result


def _character_length(text: bytes, offset: int) -> int:
    """Octets of the UTF-8 character (RFC 3629) at ``offset``, 0 where there is none."""
    lead = text[offset]
    if lead < 0x80:
        return 1
    if 0xC2 <= lead <= 0xDF:
        length = 2
    elif 0xE0 <= lead <= 0xEF:
        length = 3
    elif 0xF0 <= lead <= 0xF4:
        length = 4
    else:
        return 0
    if offset + length > len(text):
        return 0
    second = text[offset + 1]
    low = 0x80
    high = 0xBF
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    if second < low or second > high:
        return 0
    for index in range(offset + 2, offset + length):
        if text[index] & 0xC0 != 0x80:
            return 0
    return length
