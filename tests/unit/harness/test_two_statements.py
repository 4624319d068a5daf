"""The sensor's catalog and the harness's contract are two statements of one thing."""

from __future__ import annotations

import pytest
from osect_harness.contract import ZEEK_HEADER_LINES, load_eve, tabular

from osect_sensor.logs.catalog import OSECT_2023


def test_both_name_the_same_files():
    ours = {log.file_name for log in OSECT_2023.logs}
    assert ours == {log.file for log in tabular()} | {load_eve().file}


@pytest.mark.parametrize("log", tabular(), ids=lambda log: log.name)
def test_both_give_a_log_the_same_columns_types_and_header(log):
    ours = OSECT_2023.find(log.name)
    assert ours is not None
    assert tuple(ours.field_names()) == log.field_names
    assert ours.header_lines() == log.header_lines
    assert [field.recorded for field in ours.fields] == [field.recorded for field in log.fields]
    if log.header_lines == ZEEK_HEADER_LINES:
        assert [field.type_name for field in ours.fields] == [field.zeek for field in log.fields]
