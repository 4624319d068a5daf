from __future__ import annotations

from osect_sensor.protocols.fields import MAX_MESSAGE, FieldReader, MessageBuffer, signed32


def test_reading_past_the_end_fails_once_and_yields_zeros() -> None:
    reader = FieldReader(b"\x01\x02\x03", 0, 3)
    assert reader.u16() == 0x0102
    assert reader.u16() == 0
    assert reader.failed
    assert reader.u8() == 0
    assert reader.remaining() == 0


def test_a_part_is_confined_and_the_whole_steps_over_it() -> None:
    reader = FieldReader(b"\x01\x02\x03\x04", 0, 4)
    part = reader.part(2)
    assert part.rest() == b"\x01\x02"
    assert part.u8() == 0
    assert part.failed
    assert not reader.failed
    assert reader.u16le() == 0x0403


def test_a_part_that_does_not_fit_fails_both() -> None:
    reader = FieldReader(b"\x01", 0, 1)
    assert reader.part(2).failed
    assert reader.failed


def test_negative_lengths_fail() -> None:
    reader = FieldReader(b"\x01\x02", 1, 2)
    reader.skip(-1)
    assert reader.failed


def test_padding_counts_from_the_record_and_never_goes_back() -> None:
    reader = FieldReader(bytes(range(10)), 2, 10)
    reader.skip(1)
    reader.pad_to(4)
    assert reader.u8() == 6
    reader.pad_to(1)
    assert reader.u8() == 7
    reader.align(4)
    assert reader.offset() == 8
    reader.pad_to(9)
    assert reader.failed


def test_a_record_shares_the_room_and_hands_its_end_back() -> None:
    reader = FieldReader(bytes(8), 1, 8)
    record = reader.record()
    record.skip(3)
    assert record.offset() == 3
    reader.resume(record)
    assert reader.offset() == 3
    record.failed = True
    reader.resume(record)
    assert reader.failed


def test_numbers_are_cut_to_c_ints() -> None:
    assert signed32(0x7FFFFFFF) == 0x7FFFFFFF
    assert signed32(0x80000000) == -0x80000000
    assert signed32(0x100000002) == 2


def test_buffer_answers_only_when_what_was_asked_for_is_there() -> None:
    buffer = MessageBuffer()
    assert buffer.gather(b"ab") == b"ab"
    buffer.keep(b"ab", 1, 4)
    assert buffer.gather(b"c") == b""
    assert buffer.gather(b"d") == b""
    assert buffer.gather(b"ef") == b"bcdef"
    assert buffer.held == 0


def test_buffer_lets_a_message_pass_that_is_too_long_to_hold() -> None:
    buffer = MessageBuffer()
    buffer.keep(b"abc", 0, MAX_MESSAGE + 1)
    assert buffer.held == 0
    assert buffer.gather(b"x" * 100) == b""
    assert buffer.held == 0
