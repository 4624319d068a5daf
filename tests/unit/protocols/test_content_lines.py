"""Where lines end, and how runs of plain octets interrupt them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osect_sensor.protocols.content_lines import MAX_KEPT_LINE, MAX_LINE_LENGTH, ContentLines

Piece = tuple[bytes, int, bool]


def pull(lines: ContentLines) -> list[Piece]:
    pieces = []
    while lines.next():
        pieces.append((lines.line, lines.length, lines.plain))
    return pieces


def feed(lines: ContentLines, *chunks: bytes) -> list[bytes]:
    found = []
    for chunk in chunks:
        lines.feed(chunk)
        found += [line for line, _, _ in pull(lines)]
    return found


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([b"a\r\nb\r\n"], [b"a", b"b"]),
        ([b"a\nb\rc\r\n"], [b"a", b"b", b"c"]),
        ([b"a\r", b"\nb\n"], [b"a", b"b"]),
        ([b"a", b"b", b"\r\n"], [b"ab"]),
        ([b"\r\n\r\n"], [b"", b""]),
        ([b"\n\n\r\r"], [b"", b"", b"", b""]),
        ([b"\r", b"\r", b"\n", b"\n"], [b"", b"", b""]),
        ([b"a\0b\n"], [b"a\0b"]),
        ([b"open"], []),
    ],
)
def test_any_line_end_counts_once(chunks: list[bytes], found: list[bytes]) -> None:
    assert feed(ContentLines(), *chunks) == found


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([b"a\rb\nc\r\n"], [b"a\rb\nc"]),
        ([b"a\r", b"\nb\r\n"], [b"a", b"b"]),
        ([b"a\r", b"b\r\n"], [b"a\rb"]),
        ([b"\n\r\n"], [b"\n"]),
    ],
)
def test_only_both_together_count_where_asked_for(chunks: list[bytes], found: list[bytes]) -> None:
    lines = ContentLines()
    lines.single_ends = False
    assert feed(lines, *chunks) == found


def test_line_feed_after_a_switch_belongs_to_the_line_before() -> None:
    lines = ContentLines()
    assert feed(lines, b"a\r") == [b"a"]
    lines.single_ends = False
    assert feed(lines, b"\nb\r\n") == [b"b"]


def test_plain_octets_are_counted_across_deliveries() -> None:
    lines = ContentLines()
    lines.feed(b"head\r\n12")
    assert lines.next()
    assert lines.line == b"head"
    assert lines.remaining() == 2
    lines.set_plain(4)
    assert pull(lines) == [(b"12", 2, True)]
    lines.feed(b"34tail\n")
    assert pull(lines) == [(b"34", 2, True), (b"tail", 4, False)]


def test_line_feed_of_a_line_is_no_plain_octet() -> None:
    lines = ContentLines()
    assert feed(lines, b"head\r") == [b"head"]
    lines.set_plain(2)
    lines.feed(b"\n12")
    assert pull(lines) == [(b"12", 2, True)]


def test_announced_end_of_delivery_ends_the_line() -> None:
    lines = ContentLines()
    lines.set_delivery(4)
    assert feed(lines, b"ab") == []
    assert feed(lines, b"cd") == [b"abcd"]
    assert feed(lines, b"ef") == []


def test_revoked_end_of_delivery_does_not() -> None:
    lines = ContentLines()
    lines.set_delivery(2)
    lines.set_delivery(-1)
    assert feed(lines, b"ab") == []


def test_end_of_stream_ends_the_line() -> None:
    lines = ContentLines()
    assert feed(lines, b"last") == []
    lines.feed_end()
    assert pull(lines) == [(b"last", 4, False)]
    lines.feed_end()
    assert pull(lines) == []


def test_skipping_ignores_everything_from_then_on() -> None:
    lines = ContentLines()
    lines.feed(b"a\nb\nc\n")
    assert lines.next()
    lines.skipping = True
    assert pull(lines) == []
    assert feed(lines, b"d\n") == []


def test_kept_octets_of_a_line_are_bounded() -> None:
    lines = ContentLines()
    lines.feed(b"x" * (MAX_KEPT_LINE - 4))
    assert pull(lines) == []
    lines.feed(b"y" * 6 + b"z\r\n")
    (piece,) = pull(lines)
    assert piece == (b"x" * (MAX_KEPT_LINE - 4) + b"yyyy", MAX_KEPT_LINE + 3, False)


def test_long_lines_are_cut_and_lose_two_octets() -> None:
    lines = ContentLines()
    lines.feed(b"x" * (MAX_LINE_LENGTH - 3))
    assert pull(lines) == []
    lines.feed(b"123456\n")
    pieces = [(length, plain) for _, length, plain in pull(lines)]
    assert pieces == [(MAX_LINE_LENGTH - 1, False), (2, False)]
    lines.feed(b"x" * MAX_LINE_LENGTH + b"\n" + b"y\n")
    assert [length for _, length, _ in pull(lines)] == [MAX_LINE_LENGTH - 1, 1]


@given(st.lists(st.binary(max_size=12)), st.booleans())
def test_delivery_does_not_matter_to_lines(chunks: list[bytes], single_ends: bool) -> None:
    apart, joined = ContentLines(), ContentLines()
    apart.single_ends = joined.single_ends = single_ends
    assert feed(apart, *chunks) == feed(joined, b"".join(chunks))
