"""Headers as lenient readers understand them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osect_sensor.protocols.mime import (
    TYPE_MESSAGE,
    TYPE_MULTIPART,
    TYPE_OTHER,
    ContentType,
    Header,
)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b"Host: example.org", b"Host", b"example.org"),
        (b"Host:example.org ", b"Host", b"example.org "),
        (b"Host  :\t a", b"Host", b"a"),
        (b"X (note): a", b"X", b"a"),
        (b": odd: a", b"odd", b"a"),
        (b"no colon", b"", b""),
        (b"\x80\xff", b"", b""),
        (b"Empty:", b"Empty", b""),
    ],
)
def test_header_field(line: bytes, name: bytes, value: bytes) -> None:
    header = Header(line)
    assert (header.name, header.value) == (name.upper(), value)


@pytest.mark.parametrize(
    ("value", "token", "rest"),
    [
        (b"close", b"close", b""),
        (b"bytes 0-1/2", b"bytes", b" 0-1/2"),
        (b"(a (b) \\) c) chunked, gzip", b"chunked", b", gzip"),
        (b",;close", b"close", b""),
        (b"", b"", b""),
        (b"()", b"", b""),
    ],
)
def test_first_token(value: bytes, token: bytes, rest: bytes) -> None:
    header = Header(b"X: " + value)
    assert (header.token(), header.after_token()) == (token, rest)


@pytest.mark.parametrize(
    ("value", "kind", "boundary"),
    [
        (b"text/html; charset=utf-8", TYPE_OTHER, None),
        (b"message/rfc822", TYPE_MESSAGE, None),
        (b"multipart/mixed; boundary=abc", TYPE_MULTIPART, b"abc"),
        (b'Multipart/Form-Data; charset=x; BOUNDARY="a b"', TYPE_MULTIPART, b"a b"),
        (b'multipart/mixed; boundary="a\\"b"', TYPE_MULTIPART, b'a"b'),
        (b"multipart/mixed; boundary=a:b;c d", TYPE_MULTIPART, b"a:b;c"),
        (b'multipart/mixed; x="q;\\";"; boundary=z', TYPE_MULTIPART, b"z"),
        (b"multipart/mixed", TYPE_OTHER, None),
        (b'multipart/mixed; boundary="open', TYPE_OTHER, None),
        (b"multipart/mixed; boundary", TYPE_OTHER, None),
        (b"multipart", TYPE_OTHER, None),
    ],
)
def test_content_type(value: bytes, kind: int, boundary: bytes | None) -> None:
    content_type = ContentType()
    content_type.parse(value)
    assert (content_type.kind, content_type.boundary) == (kind, boundary)


def test_unreadable_content_type_changes_nothing() -> None:
    content_type = ContentType()
    content_type.parse(b"message/http")
    content_type.parse(b"/")
    assert content_type.kind == TYPE_MESSAGE


@given(st.binary(max_size=60))
def test_no_octets_raise(data: bytes) -> None:
    header = Header(data)
    header.token()
    header.after_token()
    ContentType().parse(data)
    ContentType().parse(b"multipart/mixed;" + data)
