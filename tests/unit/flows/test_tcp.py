"""TCP seen from outside: states, history, octet counts, reassembly.

``Talk`` says how the words of a conversation are read.
"""

from __future__ import annotations

import pytest
from conversations import CLIENT, SERVER, Talk, Wire, ipv4, tcp_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from osect_sensor.flows import tcp
from osect_sensor.flows.recording import RecordingAnalyzer
from osect_sensor.logs.rows import UNSET, ConnRow

OPEN = "cS sSA cA "


def rows(words: str) -> list[ConnRow]:
    wire = Wire()
    Talk(wire).say(words)
    return wire.finish()


def row(words: str) -> ConnRow:
    found = rows(words)
    assert len(found) == 1
    return found[0]


def watched(words: str, *, client_isn: int = 1_000) -> tuple[RecordingAnalyzer, ConnRow]:
    wire = Wire(watching=True)
    Talk(wire, client_isn=client_isn).say(words)
    found = wire.finish()
    assert len(found) == 1
    assert len(wire.context.watchers) == 1
    return wire.context.watchers[0], found[0]


# States and history


@pytest.mark.parametrize(
    ("words", "state", "history"),
    [
        # Openings
        ("cS", "S0", "S"),
        ("cS sSA", "S1", "Sh"),
        ("cS sSA cA", "S1", "ShA"),
        ("cS sR", "REJ", "Sr"),
        ("cS sA", "S0", "Sa"),
        ("cS sA sSA cA", "S1", "SahA"),
        ("cS cRn", "RSTOS0", "SR"),
        ("cS cF", "SH", "SF"),
        # Joined in the middle
        ("cA", "OTH", "A"),
        ("c+5 s+5", "OTH", "Dd"),
        ("c+5 s+5 cF sF", "SF", "DdFf"),
        ("cF", "SH", "F"),
        ("cR", "OTH", "R"),
        ("c+5 sR", "RSTRH", "Dr"),
        ("c+5 s+5 sF", "SHR", "Ddf"),
        ("cn", "OTH", ""),
        # Ends
        (OPEN + "cF sF cA", "SF", "ShAFf"),
        (OPEN + "cF sA", "S2", "ShAFa"),
        (OPEN + "sF", "S3", "ShAf"),
        (OPEN + "cR", "RSTO", "ShAR"),
        (OPEN + "sR", "RSTR", "ShAr"),
        (OPEN + "cF sR", "RSTR", "ShAFr"),
        (OPEN + "cF cR", "RSTO", "ShAFR"),
        (OPEN + "cF sF cR", "SF", "ShAFfR"),
        # Flags that do not go together
        ("cFR", "OTH", "I"),
        ("cSF", "SH", "Q"),
        ("cSR", "OTH", "Q"),
        # Of a scan with SYN+ACK nothing shows who is who, until something else comes
        ("sSA", "OTH", "H"),
        ("sSA cRn", "REJ", "Hr"),
        ("sSA cA c+5 s+5", "OTH", "^hADd"),
        ("sSA c+5 cF sF", "SF", "^hDFf"),
    ],
)
def test_state_and_history(words: str, state: str, history: str) -> None:
    found = row(words)
    assert (found.conn_state, found.history) == (state, history)


@pytest.mark.parametrize(
    ("words", "history"),
    [
        ("cS cS^1", "S"),
        ("cS sSA sSA^1 cA", "ShA"),
        (OPEN + "cF cF^1", "ShAF"),
        (OPEN + "cR cR", "ShAR"),
        (OPEN + "c+5 s+5 c+5 s+5", "ShADd"),
    ],
)
def test_a_repeated_letter_is_written_once(words: str, history: str) -> None:
    assert row(words).history == history


@pytest.mark.parametrize(
    ("words", "history"),
    [(OPEN + "cF cF", "ShAFF"), (OPEN + "cR c~5 cR", "ShARR")],
)
def test_a_control_segment_with_another_number_is_written_again(words: str, history: str) -> None:
    assert row(words).history == history


def test_retransmissions_and_zero_windows_are_written_at_powers_of_ten() -> None:
    assert row(OPEN + "c+5 " + "c^5+5 " * 99).history == "ShADTT"
    assert row(OPEN + "c+5 " + "c^5+5 " * 100).history == "ShADTTT"
    assert row(OPEN + "sw0 " * 10).history == "ShAawww"[:-1]


@pytest.mark.parametrize("words", ["cRw0", "cFw0"])
def test_windows_of_zero_do_not_count_where_none_is_meant(words: str) -> None:
    assert "W" not in row(OPEN + "sF " + words).history


def test_a_syn_with_data_counts_as_a_retransmission() -> None:
    """The numbers begin behind the first segment, so its own payload lies before them."""
    analyzer, found = watched("cS+5 sSA cA")
    assert found.history == "SThA"
    assert analyzer.orig == b"abcde"
    assert found.orig_bytes == 5


def test_history_is_bounded() -> None:
    found = row(OPEN + "c~1 cR " * 600)
    assert len(found.history) == 512


def test_a_syn_that_comes_after_its_syn_ack_sets_the_roles_right() -> None:
    found = row("sSA=1 cSn cA c+5 s+5 cF sF")
    assert (found.id_orig_p, found.conn_state) == (40_000, "SF")
    assert found.history == "Hs^ADdFf"
    assert (found.orig_bytes, found.resp_bytes) == (5, 5)


def test_simultaneous_open_is_a_reuse_of_the_ports() -> None:
    assert [found.history for found in rows("cS sS")] == ["S", "S"]


# Octets


@pytest.mark.parametrize(
    ("words", "orig", "resp"),
    [
        (OPEN, 0, 0),
        (OPEN + "c+10 s+20", 10, 20),
        (OPEN + "c+10 s+20 cF sF", 10, 20),
        (OPEN + "c+10 c^10+10", 10, 0),
        (OPEN + "c~1000 c+10", 1010, 0),
        (OPEN + "sA=700", 700, 0),
        (OPEN + "c+10 cF sR", 10, 0),
        ("c+5 s+5", 5, 5),
        (OPEN + "c+10 cF+5 sF", 15, 0),
        (OPEN + "cR+9", 0, 0),
        ("cS sR+9", 0, 0),
    ],
)
def test_octets_are_read_off_the_sequence_numbers(words: str, orig: int, resp: int) -> None:
    found = row(words)
    assert (found.orig_bytes, found.resp_bytes) == (orig, resp)


def test_sequence_numbers_wrap_around() -> None:
    wire = Wire(watching=True)
    Talk(wire, client_isn=0xFFFFFFF8, server_isn=0xFFFFFFFF).say(OPEN + "c+10 s+20 c+10 cF sF cA")
    found = wire.finish()[0]
    assert (found.orig_bytes, found.resp_bytes) == (20, 20)
    assert (found.conn_state, found.history) == ("SF", "ShADdFf")
    assert wire.context.watchers[0].orig == b"abcdefghij" * 2


def test_more_than_four_gibibytes_are_counted() -> None:
    """Until the numbers wrap, those 2**31 beyond the first count as before it; hence this one."""
    quarter = 1 << 30
    analyzer, found = watched(
        OPEN + "c+1 sA " + f"c~{quarter} c+1 sA " * 5 + "cF sF", client_isn=0xFFFFFFF0
    )
    assert found.orig_bytes == 5 * (quarter + 1) + 1
    assert found.missed_bytes == 5 * quarter
    assert analyzer.gaps == [(True, quarter)] * 5


def test_a_fin_alone_tells_the_size_of_a_filtered_connection() -> None:
    assert row(f"cS sSA c~{(1 << 31) + 5} cF").orig_bytes == (1 << 31) + 5


def test_a_reset_with_a_number_far_off_tells_no_size() -> None:
    assert row(OPEN + "c+5 c~2000000 cR").orig_bytes == 5
    assert row(OPEN + "c+5 c~1000 cR").orig_bytes == 1005


def test_a_connection_of_one_moment_has_no_octets() -> None:
    found = row("cS")
    assert (found.duration, found.orig_bytes, found.resp_bytes) == (UNSET, UNSET, UNSET)
    assert (found.orig_pkts, found.orig_ip_bytes) == (1, 40)


def test_packets_count_for_who_sent_them_also_when_the_roles_change() -> None:
    found = row("sSA cA c+5 s+6 s+6")
    assert (found.id_orig_p, found.orig_pkts, found.resp_pkts) == (40_000, 2, 3)
    assert (found.orig_ip_bytes, found.resp_ip_bytes) == (85, 40 + 46 * 2)


# The stream


def test_octets_are_delivered_in_order_and_each_once() -> None:
    analyzer, _ = watched(OPEN + "c+10 s+5 c+10 c^20+20 c^5+15 s+5 cF sF")
    assert analyzer.orig == b"abcdefghij" * 3
    assert analyzer.resp == b"0123456789"
    assert analyzer.ended == [True, False]
    assert analyzer.finished == 1


def test_reordered_segments_wait_for_what_is_missing() -> None:
    analyzer, found = watched(OPEN + "c+5 c~5 c+5 c^10+5 cF sF")
    assert analyzer.orig == b"abcdefghijabcde"
    assert analyzer.gaps == []
    assert found.history == "ShADTFf"


def test_segments_beyond_several_holes_are_kept_sorted() -> None:
    analyzer, _ = watched(OPEN + "c~30 c^5+5 c^20+5 c^10+5 c^30+30 sA")
    assert analyzer.orig == b"abcdefghij" * 3
    assert analyzer.gaps == []


def test_the_first_octets_win_where_segments_overlap() -> None:
    wire = Wire(watching=True)
    talk = Talk(wire).say(OPEN + "c~20 c^10+10")
    talk.alphabet["c"] = b"ABCDEFGHIJ"
    talk.say("c^20+20 sA")
    assert wire.context.watchers[0].orig == b"ABCDEFGHIJabcdefghij"


def test_what_is_acknowledged_but_never_came_is_a_gap() -> None:
    analyzer, found = watched(OPEN + "c+10 c~7 c+10 sA s+5")
    assert analyzer.orig == b"abcdefghij" + b"hijabcdefg"
    assert analyzer.gaps == [(True, 7)]
    assert found.missed_bytes == 7
    assert found.history == "ShADaGd"


def test_several_gaps_under_one_acknowledgement() -> None:
    analyzer, found = watched(OPEN + "c~5 c+5 c~5 c+5 c~5 sA")
    assert analyzer.gaps == [(True, 5)] * 3
    assert analyzer.orig == b"fghij" * 2
    assert found.missed_bytes == 15
    assert found.history == "ShADaG"


def test_a_gap_of_a_connection_joined_in_the_middle_is_told_but_not_counted() -> None:
    analyzer, found = watched("c+10 s+5 c~7 c+10 sA")
    assert analyzer.gaps == [(True, 7)]
    assert found.missed_bytes == 0
    assert "G" not in found.history


def test_a_segment_that_the_capture_cut_off_is_lost() -> None:
    analyzer, found = watched(OPEN + "c+10|3 c+10 sA")
    assert analyzer.gaps == [(True, 10)]
    assert analyzer.orig == b"abcdefghij"
    assert found.missed_bytes == 10


def test_padding_is_no_payload() -> None:
    wire = Wire(watching=True)
    talk = Talk(wire).say(OPEN)
    segment = tcp_segment(40_000, 9_600, "A", talk.next["c"], talk.next["s"])
    wire.put(ipv4(CLIENT, SERVER, 6, segment) + bytes(6))
    assert wire.context.watchers == []


def test_a_late_segment_of_before_the_first_one_is_not_delivered() -> None:
    analyzer, _ = watched("c+10 c^20+10 s+5")
    assert len(analyzer.orig) == 10


def test_data_after_a_reset_is_not_delivered_with_the_reset() -> None:
    analyzer, _ = watched(OPEN + "c+5 cR+5")
    assert analyzer.orig == b"abcde"


def test_the_end_of_a_stream_waits_for_what_is_missing() -> None:
    wire = Wire(watching=True)
    talk = Talk(wire).say(OPEN + "c+5 c~5 cF")
    analyzer = wire.context.watchers[0]
    assert analyzer.ended == []
    talk.say("c^6+5")
    assert analyzer.orig == b"abcdefghij"
    assert analyzer.ended == [True]


def test_a_one_way_capture_is_delivered_without_acknowledgements() -> None:
    analyzer, found = watched("cS " + "c+1000 " * 100)
    assert len(analyzer.orig) == 100_000
    assert found.orig_bytes == 100_000


def test_octets_beyond_a_hole_are_not_held_forever_without_any_acknowledgement() -> None:
    wire = Wire(watching=True)
    Talk(wire).say(OPEN + "c+10 c~10 " + "c+1000 " * 17 + "c^17010+10")
    assert wire.context.watchers[0].orig == b"abcdefghij"
    assert wire.context.counters.values == {"TCP streams given up: too much held": 1}


def test_octets_beyond_a_hole_are_held_up_to_a_limit_with_acknowledgements() -> None:
    wire = Wire(watching=True)
    segments = tcp.MAX_UNACKED // 60_000
    talk = Talk(wire).say(OPEN + "c+10 sA c~10 " + "c+60000 " * segments)
    assert wire.context.counters.values == {}
    talk.say("c+60000")
    assert wire.context.counters.values == {"TCP streams given up: too much held": 1}


def test_a_hole_itself_is_not_held() -> None:
    wire = Wire(watching=True)
    Talk(wire).say(OPEN + f"c+10 sA c~{2 * tcp.MAX_UNACKED} c+10 sA")
    assert wire.context.counters.values == {}
    assert wire.context.watchers[0].gaps == [(True, 2 * tcp.MAX_UNACKED)]


def test_segments_beyond_a_hole_are_bounded() -> None:
    wire = Wire(watching=True)
    Talk(wire).say(OPEN + "c+10 sA c~10 " + "c+1 c~1 " * (tcp.MAX_PENDING_SEGMENTS + 1))
    assert wire.context.counters.values == {"TCP streams given up: too much held": 1}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_order_and_overlap_of_segments_gives_the_same_stream(data: st.DataObject) -> None:
    size = 60
    cuts = data.draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 25)), max_size=12))
    spans = [(begin, min(begin + length, size)) for begin, length in cuts]
    spans += [(begin, begin + 15) for begin in range(0, size, 15)]
    wire = Wire(watching=True)
    talk = Talk(wire).say(OPEN + f"c~{size}")
    for begin, end in data.draw(st.permutations(spans)):
        talk.say(f"c^{size - begin}+{end - begin}")
    talk.say("sA cF sF")
    assert wire.context.watchers[0].orig == b"abcdefghij" * 6
    assert wire.context.watchers[0].gaps == []


SIDES = st.sampled_from("cs")
WORDS = st.builds(
    lambda side, flags, back, size, ahead, bare: (
        f"{side}{flags}^{back}+{size}={ahead}" + ("n" if bare else "")
    ),
    SIDES,
    st.sampled_from(["", "S", "F", "R", "SA", "SF", "FR", "SR", "P"]),
    st.sampled_from([0, 0, 0, 1, 5, 5000, 1 << 31]),
    st.sampled_from([0, 0, 1, 10]),
    st.sampled_from([0, 0, 5, 1 << 20, 1 << 31]),
    st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS, max_size=15), st.sampled_from([1_000, 0, 0xFFFFFFFF, 0xFFFFFFFA]))
def test_any_segments_are_survived_and_counted(words: list[str], isn: int) -> None:
    wire = Wire(watching=True)
    Talk(wire, client_isn=isn, server_isn=isn).say(" ".join(words))
    found = wire.finish()
    assert sum(one.orig_pkts + one.resp_pkts for one in found) == len(words)
    assert all(one.missed_bytes >= 0 for one in found)
    assert all(analyzer.finished == 1 for analyzer in wire.context.watchers)
