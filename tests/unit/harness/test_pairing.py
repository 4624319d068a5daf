"""Rows pair with the row they stand for."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from osect_harness import pairing
from osect_harness.contract import load
from osect_harness.pairing import Pairs, pair
from osect_harness.values import canonical

SSDP = load("ssdp")


def rows(*texts: str) -> list[tuple]:
    """Rows of ssdp.log: time in microseconds, address, method, server."""
    return [
        (int(ts), address.encode(), "00:00:5e:00:53:01", method, server)
        for ts, address, method, server in (text.split() for text in texts)
    ]


def paired(ours: list[tuple], expected: list[tuple]) -> Pairs:
    return pair(SSDP, range(5), ours, expected)


def test_rows_in_another_order_pair_with_their_equals():
    expected = rows(*(f"{n} a NOTIFY s{n}" for n in range(50)))
    order = list(range(50))
    random.Random(7).shuffle(order)
    found = paired([expected[at] for at in order], expected)
    assert (found.missing, found.extra) == ([], [])
    assert all(order[i] == j for i, j in found.pairs)


def test_equal_rows_pair_one_to_one():
    found = paired(rows("1 a NOTIFY x", "1 a NOTIFY x"), rows(*["1 a NOTIFY x"] * 3))
    assert len(found.pairs) == 2
    assert len(found.missing) == 1


def test_a_missing_and_an_extra_row_are_told():
    found = paired(
        rows("1 a NOTIFY x", "9000000 b NOTIFY y"), rows("1 a NOTIFY x", "5000000 c NOTIFY z")
    )
    assert (found.pairs, found.extra, found.missing) == ([(0, 0)], [1], [1])


def test_rows_of_different_packets_do_not_pair_however_alike():
    found = paired(rows("1 a NOTIFY x"), rows("2000000 a NOTIFY x"))
    assert found.pairs == []


def test_a_packet_with_a_wrong_sender_pairs_by_its_time():
    assert paired(rows("5 a NOTIFY x"), rows("5 b NOTIFY x")).pairs == [(0, 0)]


def test_the_most_alike_rows_pair_first():
    ours = rows("10 a NOTIFY y", "10 a NOTIFY x")
    expected = rows("10 a - x", "10 a - y")
    assert sorted(paired(ours, expected).pairs) == [(0, 1), (1, 0)]


def test_assignment_gives_up_one_good_pair_for_two():
    cost = [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.5, 9.0]]
    assert sorted(pairing._hungarian(cost, 2, 2)) == [(1, 2), (2, 1)]


@pytest.mark.parametrize("seed", range(20))
def test_assignment_is_the_cheapest(seed):
    source = random.Random(seed)
    size, others = source.randint(1, 4), source.randint(4, 6)
    cost = [[0.0] * (others + 1)]
    cost += [[0.0, *(float(source.randint(0, 9)) for _ in range(others))] for _ in range(size)]
    chosen = pairing._hungarian(cost, size, others)
    assert len({row for row, _ in chosen}) == len({other for _, other in chosen}) == size
    best = min(
        sum(cost[row + 1][other + 1] for row, other in enumerate(order))
        for order in permutations(range(others), size)
    )
    assert sum(cost[row][other] for row, other in chosen) == best


def conn(**values: str) -> tuple:
    log = load("conn")
    row = {
        "ts": "1.000000", "uid": "C1", "id.orig_h": "10.0.0.1", "id.orig_p": "1000",
        "id.resp_h": "10.0.0.2", "id.resp_p": "80", "proto": "tcp",
    } | values  # fmt: skip
    return tuple(canonical(field, row.get(field.name, "-")) for field in log.fields)


def plain() -> list[int]:
    return [at for at, name in enumerate(load("conn").field_names) if name != "uid"]


def test_a_connection_with_its_ends_swapped_pairs():
    ours = conn(**{"id.orig_h": "10.0.0.2", "id.orig_p": "80", "id.resp_h": "10.0.0.1",
                   "id.resp_p": "1000"})  # fmt: skip
    found = pair(load("conn"), plain(), [ours], [conn()])
    assert found.pairs == [(0, 0)]


def test_reused_ports_pair_by_time():
    expected = [conn(ts="1.000000", history="S"), conn(ts="900.000000", history="S")]
    ours = [conn(ts="900.000001", history="Sr"), conn(ts="1.000000", history="Sr")]
    found = pair(load("conn"), plain(), ours, expected)
    assert sorted(found.pairs) == [(0, 1), (1, 0)]


def test_equal_connections_pair_by_what_tells_them_apart():
    marks = {("ours", 0): "b", ("ours", 1): "a", ("expected", 0): "a", ("expected", 1): "b"}
    found = pair(
        load("conn"), plain(), [conn(), conn()], [conn(), conn()],
        lambda side, row: marks[side, row],
    )  # fmt: skip
    assert sorted(found.pairs) == [(0, 1), (1, 0)]


def test_a_large_group_of_unequal_rows_pairs_by_time():
    expected = rows(*(f"{n * 10} a NOTIFY x{n}" for n in range(500)))
    ours = rows(*(f"{n * 10} a NOTIFY y{n}" for n in range(500)))
    found = paired(ours, expected)
    assert all(i == j for i, j in found.pairs)
    assert len(found.pairs) == 500
