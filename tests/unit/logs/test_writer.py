"""Window directories: framings byte for byte, selection, rotation, nothing half-written."""

import os
from pathlib import Path

import pytest

from osect_sensor.logs import writer
from osect_sensor.logs.catalog import OSECT_2023
from osect_sensor.logs.rows import ArpRow, ConnRow, FingerprintRow, SsdpRow
from osect_sensor.logs.writer import MAX_BUFFERED_CHARACTERS, TextSink

OPENED = 1_300_475_160_000_000
CLOSED = OPENED + 60_000_000


def arp(ts: int = OPENED) -> ArpRow:
    row = ArpRow()
    row.ts = ts
    return row


def ssdp() -> SsdpRow:
    row = SsdpRow()
    row.ts = OPENED
    row.src_ip = "10.0.0.1"
    row.method = "NOTIFY"
    return row


def test_zeek_framing_is_eight_lines_and_close(tmp_path: Path) -> None:
    sink = TextSink(["ns", "arp"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.arp(arp())
    sink.close_window(CLOSED)
    assert (tmp_path / "w" / "arp.log").read_bytes() == (
        b"#separator \\x09\n"
        b"#set_separator\t,\n"
        b"#empty_field\t(empty)\n"
        b"#unset_field\t-\n"
        b"#path\tarp\n"
        b"#open\t2011-03-18-19-06-00\n"
        b"#fields\tts\torig_mac\torig_ip\tresp_mac\tresp_ip\tunsolicited\tno_resp\twho_has\tis_at\n"
        b"#types\ttime\tstring\taddr\tstring\taddr\tbool\tbool\taddr\tstring\n"
        b"1300475160.000000\t-\t-\t-\t-\t-\t-\t-\t-\n"
        b"#close\t2011-03-18-19-07-00\n"
    )
    empty = (tmp_path / "w" / "ns.log").read_bytes().split(b"\n")
    assert len(empty) == 10
    assert empty[6].startswith(b"#fields\tts\t")
    assert empty[8] == b"#close\t2011-03-18-19-07-00"


def test_one_line_framing_has_no_close(tmp_path: Path) -> None:
    sink = TextSink(["ssdp", "yaf_flow"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.ssdp(ssdp())
    sink.close_window(CLOSED)
    assert (tmp_path / "w" / "ssdp.log").read_bytes() == (
        b"#ts\tsrc_ip\tsrc_mac\tmethod\tserver_or_user_agent\n"
        b"1300475160.000000\t10.0.0.1\t-\tNOTIFY\t-\n"
    )
    assert (tmp_path / "w" / "yaf_flow.log").read_bytes() == (
        b"#ts\tstart-time\tend-time\tduration\trtt\tproto\tsip\tsp\tdip\tdp\tsrcMacAddress"
        b"\tdstMacAddress\tiflags\tuflags\triflags\truflags\tisn\trisn\ttag\trtag\tpkt\toct\trpkt"
        b"\troct\tend-reason\n"
    )


def test_bare_framing_is_rows_only(tmp_path: Path) -> None:
    sink = TextSink(["p0f-k"])
    sink.open_window(str(tmp_path / "1"), OPENED)
    sink.close_window(CLOSED)
    sink.open_window(str(tmp_path / "2"), CLOSED)
    row = FingerprintRow()
    row.ts, row.mod, row.src_ip, row.os, row.raw_sig = OPENED, "syn", "::1", "caf\udce9", "*"
    sink.fingerprint(row)
    sink.close_window(CLOSED)
    assert (tmp_path / "1" / "p0f-k.log").read_bytes() == b""
    assert (tmp_path / "2" / "p0f-k.log").read_bytes() == (
        b"1300475160.000000\tsyn\t::1\t00:00:00:00:00:00\tcaf\xe9\t*\n"
    )


def test_every_log_exists_in_an_empty_window(tmp_path: Path) -> None:
    sink = TextSink()
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.close_window(CLOSED)
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == sorted(
        log.file_name for log in OSECT_2023.logs
    )
    assert (tmp_path / "w" / "eve.json").read_bytes() == b""


def test_logs_that_are_not_selected_are_neither_written_nor_counted(tmp_path: Path) -> None:
    sink = TextSink(["conn", "eve"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.arp(arp())
    sink.conn(ConnRow())
    sink.close_window(CLOSED)
    assert sorted(os.listdir(tmp_path / "w")) == ["conn.log", "eve.json"]
    assert sink.row_counts() == {"conn": 1}


def test_unknown_selection_is_refused() -> None:
    with pytest.raises(ValueError, match="no log is called foo"):
        TextSink(["foo"])


def test_rows_go_to_the_window_they_came_in(tmp_path: Path) -> None:
    sink = TextSink(["arp"])
    for window in range(3):
        sink.open_window(str(tmp_path / str(window)), OPENED + window * 60_000_000)
        for _ in range(window):
            sink.arp(arp())
        sink.close_window(CLOSED + window * 60_000_000)
    counts = [(tmp_path / str(window) / "arp.log").read_bytes().count(b"\n") for window in range(3)]
    assert counts == [9, 10, 11]
    assert sink.row_counts() == {"arp": 3}


def test_window_appears_only_when_it_is_closed(tmp_path: Path) -> None:
    sink = TextSink(["arp"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.arp(arp())
    sink.flush()
    assert sink.is_open()
    assert not (tmp_path / "w").exists()
    sink.close_window(CLOSED)
    assert not sink.is_open()
    assert os.listdir(tmp_path) == ["w"]


def test_abandoned_window_leaves_nothing(tmp_path: Path) -> None:
    sink = TextSink()
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.arp(arp())
    sink.abandon_window()
    sink.abandon_window()
    assert os.listdir(tmp_path) == []


def test_window_of_a_killed_process_is_begun_anew(tmp_path: Path) -> None:
    killed = TextSink(["arp", "ns"])
    killed.open_window(str(tmp_path / "w"), OPENED)
    killed.arp(arp())
    killed.flush()
    sink = TextSink(["arp"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.close_window(CLOSED)
    assert os.listdir(tmp_path) == ["w"]
    assert os.listdir(tmp_path / "w") == ["arp.log"]
    assert (tmp_path / "w" / "arp.log").read_bytes().count(b"\n") == 9


def test_buffered_text_is_bounded(tmp_path: Path) -> None:
    sink = TextSink(["arp"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    partial = next(tmp_path.iterdir()) / "arp.log"
    rows = 3 * MAX_BUFFERED_CHARACTERS // len("1300475160.000000\t-\t-\t-\t-\t-\t-\t-\t-\n")
    for _ in range(rows):
        sink.arp(arp())
    assert partial.stat().st_size > 2 * MAX_BUFFERED_CHARACTERS
    sink.close_window(CLOSED)
    assert (tmp_path / "w" / "arp.log").read_bytes().count(b"\n") == rows + 9


def test_durable_window_is_synced_before_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, rename = os.fsync, os.rename

    def observed_sync(descriptor: int) -> None:
        events.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def observed_rename(source: str, target: str) -> None:
        events.append("rename")
        rename(source, target)

    monkeypatch.setattr(writer.os, "fsync", observed_sync)
    monkeypatch.setattr(writer.os, "rename", observed_rename)
    sink = TextSink(["arp", "ns"], durable=True)
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.close_window(CLOSED)
    assert events == ["arp.log", "ns.log", ".w.partial", "rename", tmp_path.name]


def test_an_ordinary_window_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise AssertionError("fsync of a window that need not be durable")

    monkeypatch.setattr(writer.os, "fsync", refuse)
    sink = TextSink(["arp"])
    sink.open_window(str(tmp_path / "w"), OPENED)
    sink.close_window(CLOSED)
