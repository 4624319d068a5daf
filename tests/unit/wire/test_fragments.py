"""Reassembly of IP fragments, apart from any IP header."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.wire import fragments
from osect_sensor.wire.fragments import FRAGMENT_TIMEOUT, FragmentTable

KEY = b"source, destination, identification"
HEADER = b"<header>"
NOON = 1_700_000_000_000_000
CONTENT = bytes(range(64))


def put(
    table: FragmentTable,
    offset: int,
    content: bytes,
    more: bool = True,
    *,
    key: bytes = KEY,
    header: bytes = HEADER,
    now: int = NOON,
) -> bytes | None:
    return table.add(key, now, header, content, offset, more)


def pieces(size: int) -> list[tuple[int, bytes, bool]]:
    return [
        (offset, CONTENT[offset : offset + size], offset + size < len(CONTENT))
        for offset in range(0, len(CONTENT), size)
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_yields_the_datagram_with_the_last_piece(order: tuple[int, ...]) -> None:
    table = FragmentTable()
    parts = pieces(16)
    results = [put(table, *parts[index]) for index in order]
    assert results[:-1] == [None] * 3
    assert results[-1] == HEADER + CONTENT
    assert len(table) == 0


def test_the_first_to_arrive_gives_the_header() -> None:
    table = FragmentTable()
    put(table, 32, CONTENT[32:], False, header=b"second")
    assert put(table, 0, CONTENT[:32], header=b"first") == b"second" + CONTENT


def test_a_datagram_in_one_fragment_is_whole() -> None:
    assert put(FragmentTable(), 0, CONTENT, False) == HEADER + CONTENT


def test_repeated_pieces_change_nothing() -> None:
    table = FragmentTable()
    for _ in range(3):
        assert put(table, 0, CONTENT[:32]) is None
    assert put(table, 32, CONTENT[32:], False) == HEADER + CONTENT


def test_of_overlapping_octets_those_that_came_first_stay() -> None:
    table = FragmentTable()
    put(table, 8, b"b" * 16)
    put(table, 0, b"a" * 32)
    assert put(table, 24, b"c" * 16, False) == HEADER + b"a" * 8 + b"b" * 16 + b"a" * 8 + b"c" * 8


def test_one_piece_can_fill_several_holes() -> None:
    table = FragmentTable()
    put(table, 8, b"1" * 8)
    put(table, 24, b"2" * 8)
    put(table, 40, b"3" * 8, False)
    whole = put(table, 0, b"x" * 48)
    assert whole == HEADER + b"x" * 8 + b"1" * 8 + b"x" * 8 + b"2" * 8 + b"x" * 8 + b"3" * 8


def test_a_fragment_beyond_the_last_one_makes_the_datagram_longer() -> None:
    table = FragmentTable()
    put(table, 16, b"b" * 8, False)
    put(table, 24, b"c" * 8)
    assert put(table, 0, b"a" * 16) == HEADER + b"a" * 16 + b"b" * 8 + b"c" * 8


def test_what_lies_beyond_a_hole_after_the_end_is_left_out() -> None:
    """Fragments of an older datagram with the same identification."""
    table = FragmentTable()
    put(table, 40, b"old" * 8)
    put(table, 16, b"b" * 8, False)
    whole = put(table, 0, b"a" * 16)
    assert whole is not None
    assert whole.startswith(HEADER + b"a" * 16 + b"b" * 8)


def test_datagrams_are_kept_apart_by_their_key() -> None:
    table = FragmentTable()
    put(table, 0, b"1" * 8, key=b"one")
    put(table, 0, b"2" * 8, key=b"two")
    assert len(table) == 2
    assert put(table, 8, b"end", False, key=b"two") == HEADER + b"2" * 8 + b"end"
    assert len(table) == 1


def test_an_identification_can_be_used_again() -> None:
    table = FragmentTable()
    for content in (b"a" * 8, b"b" * 8):
        put(table, 0, content)
        assert put(table, 8, b"end", False) == HEADER + content + b"end"


def test_missing_fragments_are_not_waited_for_longer_than_the_timeout() -> None:
    table = FragmentTable()
    put(table, 0, CONTENT[:32])
    late = NOON + FRAGMENT_TIMEOUT
    assert put(table, 32, CONTENT[32:], False, now=late) is None
    assert table.expired == 1
    assert put(table, 0, CONTENT[:32], now=late) == HEADER + CONTENT


def test_fragments_just_in_time_are_used() -> None:
    table = FragmentTable()
    put(table, 0, CONTENT[:32])
    assert put(table, 32, CONTENT[32:], False, now=NOON + FRAGMENT_TIMEOUT - 1) is not None
    assert table.expired == 0


def test_the_oldest_datagrams_make_room() -> None:
    table = FragmentTable()
    for number in range(fragments.MAX_DATAGRAMS + 1):
        put(table, 0, b"x" * 8, key=number.to_bytes(4, "big"))
    assert len(table) == fragments.MAX_DATAGRAMS + 1 - fragments.EVICTED_AT_ONCE
    assert table.refused == fragments.EVICTED_AT_ONCE
    assert put(table, 8, b"end", False, key=bytes(4)) is None
    assert put(table, 8, b"end", False, key=(1000).to_bytes(4, "big")) is not None


def test_kept_octets_are_bounded() -> None:
    table = FragmentTable()
    big = bytes(65_000)
    for number in range(fragments.MAX_OCTETS // len(big) + 10):
        put(table, 0, big, key=number.to_bytes(4, "big"))
    assert len(table) * len(big) <= fragments.MAX_OCTETS + len(big)
    assert table.refused > 0


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8191), st.binary(max_size=24), st.booleans()), max_size=12)
)
def test_any_fragments_are_survived(parts: list[tuple[int, bytes, bool]]) -> None:
    table = FragmentTable()
    for unit, content, more in parts:
        whole = put(table, unit * 8, content, more)
        assert whole is None or whole.startswith(HEADER)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_datagram_cut_and_shuffled_comes_back(data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=1, max_size=200))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(content) // 8, 1)), max_size=6)))
    edges = [0, *(cut * 8 for cut in cuts if cut * 8 < len(content)), len(content)]
    parts = [
        (begin, content[begin:end], end < len(content)) for begin, end in itertools.pairwise(edges)
    ]
    table = FragmentTable()
    results = [put(table, *part) for part in data.draw(st.permutations(parts))]
    assert [whole for whole in results if whole is not None] == [HEADER + content]
