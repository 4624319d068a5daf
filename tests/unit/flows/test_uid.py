import re

from osect_sensor.flows.uid import UidSource

ONE = b"\x0a\0\0\x01"
OTHER = b"\x0a\0\0\x02"
START = 1_700_000_000_000_000


def test_uid_has_the_shape_of_zeeks() -> None:
    uid = UidSource(7).uid(6, ONE, 1025, OTHER, 80, START, 0)
    assert re.fullmatch("C[0-9A-Za-z]{17}", uid)


def test_same_connection_has_the_same_uid_from_either_end_and_in_another_process() -> None:
    first = UidSource(7).uid(6, ONE, 1025, OTHER, 80, START, 0)
    assert UidSource(7).uid(6, OTHER, 80, ONE, 1025, START, 0) == first


def test_each_part_of_a_connection_changes_its_uid() -> None:
    source = UidSource(7)
    uids = {
        source.uid(6, ONE, 1025, OTHER, 80, START, 0),
        source.uid(17, ONE, 1025, OTHER, 80, START, 0),
        source.uid(6, ONE, 1026, OTHER, 80, START, 0),
        source.uid(6, ONE, 1025, OTHER, 81, START, 0),
        source.uid(6, ONE, 80, OTHER, 1025, START, 0),
        source.uid(6, OTHER, 1025, ONE, 80, START, 0),
        source.uid(6, ONE, 1025, OTHER, 80, START + 1, 0),
        source.uid(6, ONE, 1025, OTHER, 80, START, 1),
        UidSource(8).uid(6, ONE, 1025, OTHER, 80, START, 0),
        UidSource(7 << 60).uid(6, ONE, 1025, OTHER, 80, START, 0),
    }
    # Exchanging ports and exchanging addresses describe the same pair of ends.
    assert len(uids) == 9


def test_uids_of_many_connections_differ() -> None:
    source = UidSource(1)
    v4 = {
        source.uid(6, ONE, port, OTHER, 502, START + moment, 0)
        for port in range(200)
        for moment in range(100)
    }
    assert len(v4) == 20_000
    long = b"\xfe\x80" + bytes(14)
    v6 = {
        source.uid(17, long, 1, bytes(8) + number.to_bytes(8, "big"), 2, START, twin)
        for number in range(2_000)
        for twin in range(3)
    }
    assert len(v6) == 6_000
