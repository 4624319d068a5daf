"""The log: one line an event, key=value, without secrets."""

from __future__ import annotations

import logging

import pytest

from osect_sensor.service import messages
from osect_sensor.service.messages import KeyValueFormatter, Repeated, SecretFilter


def line(record: logging.LogRecord, journal: bool = True) -> str:
    return KeyValueFormatter(journal).format(record)


def test_event_is_one_line_of_keys_and_values(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    messages.info("archive.written", file="a b", size=3, took=1.5, done=True, quote='say "hi"\n')
    assert line(caplog.records[0]) == (
        '<6>level=info event=archive.written file="a b" size=3 took=1.500 done=true'
        ' quote="say \\"hi\\"\\n"'
    )


def test_time_is_told_where_no_journal_does(caplog: pytest.LogCaptureFixture) -> None:
    messages.error("x")
    assert line(caplog.records[0], journal=False).startswith("time=2")


def test_secrets_are_masked_in_text_fields_arguments_and_tracebacks() -> None:
    secret = SecretFilter()
    secret.add("hunter2")
    record = logging.LogRecord("urllib3", 20, "", 0, "GET %s", ("https://u:hunter2@h/",), None)
    record.__dict__["osect_fields"] = {"url": "x hunter2", "n": 1}
    assert secret.filter(record)
    text = line(record)
    assert "hunter2" not in text
    assert "logger=urllib3" in text
    messages.SECRETS.add("a-very-secret-word")
    try:
        raise ValueError("a-very-secret-word")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "", 0, "failed", (), (ValueError, error, None))
    assert "a-very-secret-word" not in line(record)


def test_long_values_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    messages.error("x", text="y" * 5000)
    assert len(line(caplog.records[0])) < 1200


def test_what_repeats_is_told_once_a_minute_with_its_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: now[0])
    repeated = Repeated(logging.ERROR, "capture.disk_full")
    for _ in range(5):
        repeated.happened()
    now[0] += 61
    repeated.happened()
    assert [record.__dict__["osect_fields"] for record in caplog.records] == [
        {},
        {"suppressed": 4},
    ]
