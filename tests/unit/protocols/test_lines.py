from __future__ import annotations

from osect_sensor.protocols.lines import LineBuffer, decimal, first_word, reply_code


def lines_of(
    chunks: list[bytes], carriage_return_ends: bool = True, longest: int = 100
) -> list[bytes]:
    buffer = LineBuffer(carriage_return_ends, longest)
    found = []
    for chunk in chunks:
        buffer.append(chunk)
        while (line := buffer.next_line()) is not None:
            found.append(line)
    return found


TEXT = b"one\r\ntwo\nthree\rfour\r\n\r\nfive"


def test_any_line_end_counts_where_a_carriage_return_does() -> None:
    assert lines_of([TEXT]) == [b"one", b"two", b"three", b"four", b""]


def test_a_lone_carriage_return_may_be_text() -> None:
    assert lines_of([TEXT], False) == [b"one", b"two", b"three\rfour", b""]


def test_lines_do_not_depend_on_the_cuts() -> None:
    for carriage_return_ends in (True, False):
        expected = lines_of([TEXT], carriage_return_ends)
        bytewise = [TEXT[index : index + 1] for index in range(len(TEXT))]
        assert lines_of(bytewise, carriage_return_ends) == expected
        for cut in range(1, len(TEXT)):
            assert lines_of([TEXT[:cut], TEXT[cut:]], carriage_return_ends) == expected


def test_a_line_without_an_end_is_cut() -> None:
    assert lines_of([b"x" * 25], longest=10) == [b"x" * 10, b"x" * 10]


def test_the_rest_is_handed_out_without_the_line_feed_of_the_last_line() -> None:
    buffer = LineBuffer(True, 100)
    buffer.append(b"a\r")
    assert buffer.next_line() == b"a"
    assert not buffer.is_partial()
    buffer.append(b"\nrest")
    assert buffer.is_partial()
    assert buffer.rest() == b"rest"
    assert buffer.rest() == b""


def test_octets_can_be_skipped_across_deliveries() -> None:
    buffer = LineBuffer(True, 100)
    buffer.append(b"a\r\n1234")
    assert buffer.next_line() == b"a"
    left = buffer.skip(6)
    assert left == 2
    buffer.append(b"56b\n")
    assert buffer.skip(left) == 0
    assert buffer.next_line() == b"b"


def test_words_codes_and_numbers() -> None:
    assert first_word(b"  USER x", 0) == (2, 6)
    assert first_word(b"  ", 0) == (2, 2)
    assert reply_code(b"220-hi") == 220
    assert reply_code(b"22") == -1
    assert reply_code(b"2x0") == -1
    assert decimal(b"a12b", 1, 3, 99) == 12
    assert decimal(b"100", 0, 3, 99) == -1
    assert decimal(b"", 0, 0, 99) == -1
    assert decimal(b"1a", 0, 2, 99) == -1
