"""Headers of Internet messages and MIME (RFC 5322 section 2.2, RFC 2045 section 5).

Read as leniently as Zeek reads them: comments may stand anywhere and junk before a token is
passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from mypy_extensions import i64

TYPE_MULTIPART: Final = 0
TYPE_MESSAGE: Final = 1
TYPE_OTHER: Final = 2

_TSPECIALS: Final = b'()<>@,;:\\"/[]?='


def _table(excluded: bytes) -> bytes:
    flags = bytearray(256)
    for octet in range(33, 127):
        flags[octet] = 0 if octet in excluded else 1
    return bytes(flags)


_FIELD_NAME_OCTETS: Final = _table(b":")
_TOKEN_OCTETS: Final = _table(_TSPECIALS)
_BOUNDARY_OCTETS: Final = _table(b'"')


def is_blank(octet: i64) -> bool:
    """Whether ``octet`` is linear white space: space or tab."""
    return octet == 0x20 or octet == 0x09


def _skip_comment(data: bytes, position: i64) -> i64:
    """Where the comment at ``position`` ends (RFC 5322 section 3.2.2)."""
    depth = 0
    while position < len(data):
        octet = data[position]
        if octet == 0x28:
            depth += 1
        elif octet == 0x29:
            depth -= 1
            if depth == 0:
                return position + 1
        elif octet == 0x5C:
            position += 1
        position += 1
    return len(data)


def _skip_blanks(data: bytes, position: i64) -> i64:
    """Where the white space and comments at ``position`` end."""
    while position < len(data):
        octet = data[position]
        if is_blank(octet):
            position += 1
        elif octet == 0x28:
            position = _skip_comment(data, position)
        else:
            return position
    return len(data)


def _find_word(data: bytes, position: i64, octets: bytes) -> tuple[i64, i64]:
    """The first run of the flagged ``octets``: start and end, or -1 and -1."""
    while position < len(data):
        if octets[data[position]] != 0:
            stop = position + 1
            while stop < len(data) and octets[data[stop]] != 0:
                stop += 1
            return position, stop
        after = _skip_blanks(data, position)
        position = after if after > position else position + 1
    return -1, -1


def _find_token(data: bytes, position: i64) -> tuple[i64, i64]:
    return _find_word(data, _skip_blanks(data, position), _TOKEN_OCTETS)


@final
class Header:
    """One header field, unfolded."""

    def __init__(self, line: bytes) -> None:
        self.name: bytes = b""
        """In upper case, as names do not depend on case; empty for a malformed line."""
        self.value: bytes = b""
        start, stop = _find_word(line, _skip_blanks(line, 0), _FIELD_NAME_OCTETS)
        if start < 0:
            return
        colon = _skip_blanks(line, stop)
        if colon < len(line) and line[colon] == 0x3A:
            self.name = line[start:stop].upper()
            self.value = line[colon + 1 :].lstrip()

    def token(self) -> bytes:
        """The value's first token, empty if there is none."""
        start, stop = _find_token(self.value, 0)
        return b"" if start < 0 else self.value[start:stop]

    def after_token(self) -> bytes:
        """What follows the value's first token."""
        start, stop = _find_token(self.value, 0)
        return b"" if start < 0 else self.value[stop:]


@final
class ContentType:
    """The content type of an entity, as its headers come in."""

    def __init__(self) -> None:
        self.kind: i64 = TYPE_OTHER
        self.boundary: bytes | None = None
        """Delimiter of a multipart's parts (RFC 2046 section 5.1.1)."""

    def parse(self, value: bytes) -> None:
        """Take the value of a Content-Type field; one that is none changes nothing."""
        start, stop = _find_token(value, 0)
        if start < 0:
            return
        slash = _skip_blanks(value, stop)
        if slash >= len(value) or value[slash] != 0x2F:
            return
        subtype_start, subtype_stop = _find_token(value, slash + 1)
        if subtype_start < 0:
            return
        main = value[start:stop].lower()
        if main == b"multipart":
            self.kind = TYPE_MULTIPART
            self._parse_parameters(value, subtype_stop)
            if self.boundary is None:
                self.kind = TYPE_OTHER
        elif main == b"message":
            self.kind = TYPE_MESSAGE
        else:
            self.kind = TYPE_OTHER

    def _parse_parameters(self, value: bytes, position: i64) -> None:
        while True:
            position = _skip_blanks(value, position)
            if position >= len(value) or value[position] != 0x3B:
                return
            start, stop = _find_token(value, position + 1)
            if start < 0:
                return
            position = stop
            equals = _skip_blanks(value, position)
            if equals >= len(value) or value[equals] != 0x3D:
                continue
            position = equals + 1
            is_boundary = value[start:stop].lower() == b"boundary"
            word_start = position if is_boundary else _skip_blanks(value, position)
            if word_start < len(value) and value[word_start] == 0x22:
                after = _quoted_end(value, word_start)
                if after < 0:
                    continue
                if is_boundary:
                    self.boundary = _unquote(value, word_start + 1, after - 1)
                position = after
                continue
            octets = _BOUNDARY_OCTETS if is_boundary else _TOKEN_OCTETS
            start, stop = _find_word(value, word_start, octets)
            if start < 0:
                continue
            if is_boundary:
                self.boundary = value[start:stop]
            position = stop


def _quoted_end(data: bytes, position: i64) -> i64:
    """Where the quoted string at ``position`` ends, or -1 (RFC 5322 section 3.2.4)."""
    position += 1
    while position < len(data):
        octet = data[position]
        if octet == 0x22:
            return position + 1
        if octet == 0x5C:
            position += 1
        position += 1
    return -1


def _unquote(data: bytes, start: i64, stop: i64) -> bytes:
    """The text of a quoted string's inside."""
    text: list[int] = []
    position = start
    while position < stop:
        if data[position] == 0x5C:
            position += 1
            if position >= stop:
                break
        text.append(data[position])
        position += 1
    return bytes(text)
