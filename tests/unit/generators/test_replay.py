"""Replays: windows, selection, inputs, and that nothing half-written stays."""

from __future__ import annotations

import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from osect_sensor.errors import OsectError
from osect_sensor.generators import replay
from osect_sensor.generators.replay import Progress, Replay
from osect_sensor.logs.catalog import OSECT_2023
from osect_sensor.logs.reader import LogContents, read_log

from .conftest import ARP_REQUEST, START, Frames, pcap_octets, udp_frame

needs_suricata = pytest.mark.skipif(
    shutil.which("suricata") is None, reason="Suricata is not installed"
)

WITHOUT_SURICATA = [name for name in OSECT_2023.names() if name != "eve"]

Write = Callable[..., str]


def contents(directory: Path, name: str) -> LogContents:
    log = OSECT_2023.find(name)
    assert log is not None
    return read_log(str(directory / log.file_name), log)


def run(captures: list[str], output: Path, **options: object) -> replay.Summary:
    options.setdefault("selection", WITHOUT_SURICATA)
    return Replay(captures, output, **options).run()  # type: ignore[arg-type]


def refuse(captures: list[str], output: Path, **options: object) -> OsectError:
    """The error of a replay that must fail without a trace."""
    before = sorted(os.listdir(output.parent)) if output.parent.is_dir() else []
    with pytest.raises(OsectError) as caught:
        run(captures, output, **options)
    after = sorted(os.listdir(output.parent)) if output.parent.is_dir() else []
    assert after == before
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value


def test_one_window_has_its_logs_directly_in_the_directory(
    tmp_path: Path, write_pcap: Write
) -> None:
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST), (START + 90.5, ARP_REQUEST)])
    summary = run([capture], tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        log.file_name for log in OSECT_2023.logs if log.name != "eve"
    )
    arp = contents(tmp_path / "out", "arp")
    assert arp.column("ts") == ["1300475168.000000", "1300475258.500000"]
    assert arp.header[5] == "#open\t2011-03-18-19-06-08"
    assert arp.closed == "#close\t2011-03-18-19-07-38"
    assert summary.packets == 2
    assert summary.rows["arp"] == 2
    assert summary.first == "2011-03-18 19:06:08"
    assert summary.last == "2011-03-18 19:07:38"
    assert summary.windows == 0
    assert sorted(os.listdir(tmp_path)) == ["a.pcap", "out"]


def test_the_same_capture_gives_the_same_bytes(tmp_path: Path, write_pcap: Write) -> None:
    frames: Frames = [(START + index, udp_frame(index % 3)) for index in range(9)]
    capture = write_pcap("a.pcap", frames)
    for name in ("1", "2"):
        run([capture], tmp_path / name)
    for name in os.listdir(tmp_path / "1"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_windows_are_aligned_minutes_and_exist_without_packets(
    tmp_path: Path, write_pcap: Write
) -> None:
    frames = [(START, ARP_REQUEST), (START + 51.999999, ARP_REQUEST), (START + 172, ARP_REQUEST)]
    summary = run([write_pcap("a.pcap", frames)], tmp_path / "out", window=60)
    names = [f"2011-03-18-19:0{minute}:00" for minute in (6, 7, 8, 9)]
    assert sorted(os.listdir(tmp_path / "out")) == names
    counts = [len(contents(tmp_path / "out" / name, "arp").rows) for name in names]
    assert counts == [2, 0, 0, 1]
    for name in names:
        assert len(os.listdir(tmp_path / "out" / name)) == len(WITHOUT_SURICATA)
    second = contents(tmp_path / "out" / names[1], "conn")
    assert second.header[5] == "#open\t2011-03-18-19-07-00"
    assert second.closed == "#close\t2011-03-18-19-08-00"
    assert summary.windows == 4


def test_a_packet_on_the_boundary_belongs_to_the_next_window(
    tmp_path: Path, write_pcap: Write
) -> None:
    frames = [(START, ARP_REQUEST), (START + 52, ARP_REQUEST)]
    run([write_pcap("a.pcap", frames)], tmp_path / "out", window=60)
    assert len(contents(tmp_path / "out" / "2011-03-18-19:07:00", "arp").rows) == 1


def test_a_row_belongs_to_the_window_in_which_it_became_final(
    tmp_path: Path, write_pcap: Write
) -> None:
    # UDP ends after a minute of silence: 19:07:08.
    frames = [(START, udp_frame(1)), (START + 300, ARP_REQUEST)]
    run([write_pcap("a.pcap", frames)], tmp_path / "out", window=60, report_interval=0)
    rows = {
        name: len(contents(tmp_path / "out" / name, "conn").rows)
        for name in sorted(os.listdir(tmp_path / "out"))
    }
    assert rows["2011-03-18-19:07:00"] == 1
    assert sum(rows.values()) == 1


def test_open_connections_are_reported_every_window_unless_told_otherwise(
    tmp_path: Path, write_pcap: Write
) -> None:
    frames = [(START + 10 * index, udp_frame(1)) for index in range(20)]
    capture = write_pcap("a.pcap", frames)

    def conn_rows(directory: Path) -> list[dict[str, str]]:
        return [
            row
            for name in sorted(os.listdir(directory))
            for row in contents(directory / name, "conn").records()
        ]

    run([capture], tmp_path / "reported", window=60)
    rows = conn_rows(tmp_path / "reported")
    assert len(rows) > 1
    assert len({row["uid"] for row in rows}) == 1
    assert sum(int(row["orig_pkts"]) for row in rows) == 20
    run([capture], tmp_path / "stock", window=60, report_interval=0)
    assert [row["orig_pkts"] for row in conn_rows(tmp_path / "stock")] == ["20"]


def test_long_silence_is_not_filled_with_empty_windows(tmp_path: Path, write_pcap: Write) -> None:
    frames = [(START, ARP_REQUEST), (START + 10 * 366 * 86_400, ARP_REQUEST)]
    summary = run([write_pcap("a.pcap", frames)], tmp_path / "out", window=60)
    names = sorted(os.listdir(tmp_path / "out"))
    assert names[:2] == ["2011-03-18-19:06:00", "2011-03-18-19:07:00"]
    assert names[-1] == "2021-03-25-19:06:00"
    assert len(names) == summary.windows == 62
    assert summary.windows + summary.windows_skipped == 10 * 366 * 1440 + 1
    assert len(contents(tmp_path / "out" / names[-1], "arp").rows) == 1


def test_time_going_backwards_stays_in_the_open_window(tmp_path: Path, write_pcap: Write) -> None:
    frames = [(START, ARP_REQUEST), (START + 60, ARP_REQUEST), (START - 3600, ARP_REQUEST)]
    run([write_pcap("a.pcap", frames)], tmp_path / "out", window=60)
    assert len(contents(tmp_path / "out" / "2011-03-18-19:07:00", "arp").rows) == 2


def test_captures_are_one_sequence(tmp_path: Path, write_pcap: Write) -> None:
    first = write_pcap("a.pcap", [(START, udp_frame(1))])
    packed = tmp_path / "b.pcap.gz"
    packed.write_bytes(gzip.compress(pcap_octets([(START + 1, udp_frame(1))])))
    summary = run([first, str(packed)], tmp_path / "out")
    assert [row["orig_pkts"] for row in contents(tmp_path / "out", "conn").records()] == ["2"]
    assert [capture.packets for capture in summary.captures] == [1, 1]


def test_standard_input_is_a_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(pcap_octets([(START, ARP_REQUEST)])))
    monkeypatch.setattr(replay.sys, "stdin", stream)
    summary = run(["-"], tmp_path / "out", selection=["arp"])
    assert summary.rows == {"arp": 1}
    assert summary.captures[0].name == "standard input"


def test_only_selected_logs_are_written(tmp_path: Path, write_pcap: Write) -> None:
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    summary = run([capture], tmp_path / "out", selection=["dns", "arp.log", "arp"])
    assert sorted(os.listdir(tmp_path / "out")) == ["arp.log", "dns.log"]
    assert summary.rows == {"dns": 0, "arp": 1}


def test_capture_without_packets_gives_empty_logs(tmp_path: Path, write_pcap: Write) -> None:
    summary = run([write_pcap("a.pcap", [])], tmp_path / "out")
    assert summary.packets == 0
    assert contents(tmp_path / "out", "conn").rows == []
    assert len(os.listdir(tmp_path / "out")) == len(WITHOUT_SURICATA)
    run([write_pcap("a.pcap", [])], tmp_path / "windows", window=60)
    assert os.listdir(tmp_path / "windows") == []


def test_capture_that_breaks_off_is_told_and_kept(tmp_path: Path, write_pcap: Write) -> None:
    capture = Path(write_pcap("a.pcap", [(START, ARP_REQUEST), (START + 1, ARP_REQUEST)]))
    capture.write_bytes(capture.read_bytes()[:-5])
    summary = run([str(capture)], tmp_path / "out")
    assert summary.rows["arp"] == 1
    assert "cut off" in summary.captures[0].truncated


def test_packets_that_cannot_be_decoded_are_counted(tmp_path: Path, write_pcap: Write) -> None:
    summary = run([write_pcap("a.pcap", [(START, b"short")])], tmp_path / "out")
    assert summary.packets == 1
    assert sum(summary.undecodable.values()) == 1


def test_an_empty_output_directory_is_used(tmp_path: Path, write_pcap: Write) -> None:
    (tmp_path / "out").mkdir()
    run([write_pcap("a.pcap", [(START, ARP_REQUEST)])], tmp_path / "out", selection=["arp"])
    assert os.listdir(tmp_path / "out") == ["arp.log"]


def test_parents_of_the_output_directory_are_made(tmp_path: Path, write_pcap: Write) -> None:
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    run([capture], tmp_path / "x" / "y" / "out", selection=["arp"])
    assert os.listdir(tmp_path / "x" / "y" / "out") == ["arp.log"]
    assert sorted(os.listdir(tmp_path)) == ["a.pcap", "x"]


def test_progress_hears_of_every_octet(tmp_path: Path, write_pcap: Write) -> None:
    class Count(Progress):
        octets = 0

        def read(self, octets: int) -> None:
            self.octets += octets

    progress = Count()
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)] * 100)
    run([capture], tmp_path / "out", progress=progress)
    assert progress.octets == os.path.getsize(capture)


def test_what_is_no_capture_is_refused(tmp_path: Path, write_pcap: Write) -> None:
    good = write_pcap("good.pcap", [(START, ARP_REQUEST)])
    (tmp_path / "notes.txt").write_text("not packets at all")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    foreign = write_pcap("foreign.pcap", [(START, b"frame")], link_type=195)
    out = tmp_path / "out"
    assert "notes.txt: not a capture" in refuse([str(tmp_path / "notes.txt")], out).message
    assert "empty: empty" in refuse([str(tmp_path / "empty")], out).message
    assert "is a directory" in refuse([str(tmp_path / "folder")], out).message
    assert "No such file" in refuse([str(tmp_path / "absent")], out).message
    assert "link type 195 (IEEE 802.15.4" in refuse([foreign], out).message
    assert "notes.txt" in refuse([good, str(tmp_path / "notes.txt")], out).message
    assert "only once" in refuse(["-", "-"], out).message


def test_a_terminal_is_no_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(replay.sys, "stdin", Terminal(io.BytesIO()))
    assert "is a terminal" in refuse(["-"], tmp_path / "out").message


def test_a_pipe_that_brings_no_capture_leaves_nothing(tmp_path: Path, write_pcap: Write) -> None:
    good = write_pcap("good.pcap", [(START, ARP_REQUEST)])
    reading, writing = os.pipe()
    os.write(writing, b"not packets at all")
    os.close(writing)
    try:
        error = refuse([good, f"/dev/fd/{reading}"], tmp_path / "out")
    finally:
        os.close(reading)
    assert "not a capture" in error.message


def test_capture_without_read_permission_is_refused(
    tmp_path: Path, write_pcap: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    os.chmod(capture, 0)
    if os.access(capture, os.R_OK):
        pytest.skip("root reads everything")
    assert "Permission denied" in refuse([capture], tmp_path / "out").message


def test_an_output_that_cannot_be_is_refused(tmp_path: Path, write_pcap: Write) -> None:
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "keep").write_text("mine")
    assert "is not empty" in refuse([capture], occupied).message
    assert os.listdir(occupied) == ["keep"]
    assert "not a directory" in refuse([capture], Path(capture)).message
    assert "cannot write there" in refuse([capture], Path(capture) / "out").message
    assert "cannot write there" in refuse([capture], Path("/proc/osect/out")).message


def test_unknown_logs_and_missing_rules_are_refused(tmp_path: Path, write_pcap: Write) -> None:
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    out = tmp_path / "out"
    assert "no log is called foo" in refuse([capture], out, selection=["conn", "foo"]).message
    assert "nothing at all" in refuse([capture], out, selection=[""]).message
    assert "r.rules" in refuse([capture], out, rules=tmp_path / "r.rules").message
    assert "x.fp" in refuse([capture], out, fingerprints=tmp_path / "x.fp").message


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, write_pcap: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, octets: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    for window in (0, 60):
        error = refuse([capture], tmp_path / "out", window=window)
        assert "No space left on device" in error.message


def test_an_interruption_leaves_nothing(tmp_path: Path, write_pcap: Write) -> None:
    class Interrupt(Progress):
        def read(self, octets: int) -> None:
            raise KeyboardInterrupt

    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    with pytest.raises(KeyboardInterrupt):
        run([capture], tmp_path / "out", progress=Interrupt())
    assert os.listdir(tmp_path) == ["a.pcap"]


def test_without_suricata_eve_json_is_empty_and_the_summary_says_so(
    tmp_path: Path, write_pcap: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    capture = write_pcap("a.pcap", [(START, ARP_REQUEST)])
    summary = run([capture], tmp_path / "out", selection=["arp", "eve"])
    assert summary.suricata.state == "absent"
    assert "not installed" in summary.suricata.message
    assert (tmp_path / "out" / "eve.json").read_bytes() == b""
    assert summary.rows == {"arp": 1, "eve": 0}


@pytest.mark.parametrize("packed", [False, True])
def test_a_failing_suricata_costs_only_eve_json(
    tmp_path: Path, write_pcap: Write, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    program = tmp_path / "bin" / "suricata"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$1" = -V ] && exit 0\necho "{}" > "$4/eve.json"\n'
        'echo "E: x: broke"\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    capture = Path(write_pcap("a.pcap", [(START, ARP_REQUEST)]))
    if packed:
        capture.write_bytes(gzip.compress(capture.read_bytes()))
    summary = run([str(capture)], tmp_path / "out", selection=["arp", "eve"])
    assert summary.suricata.state == "failed"
    assert "broke" in summary.suricata.message
    assert (tmp_path / "out" / "eve.json").read_bytes() == b""
    assert summary.rows == {"arp": 1, "eve": 0}


@needs_suricata
def test_events_go_to_the_windows_they_happened_in(tmp_path: Path, write_pcap: Write) -> None:
    rules = tmp_path / "r.rules"
    rules.write_text('alert udp any any -> any 9999 (msg:"test"; content:"payload"; sid:1;)\n')
    frames = [(START, udp_frame(1)), (START + 51, udp_frame(2)), (START + 120, udp_frame(3))]
    options = {"selection": ["conn", "eve"], "rules": rules, "window": 60}
    plain = run([write_pcap("a.pcap", frames)], tmp_path / "plain", **options)
    assert plain.suricata.state == "ok"
    assert plain.suricata.rules_loaded == 1
    split = [write_pcap("b.pcap", frames[:1]), write_pcap("c.pcap", frames[1:])]
    several = run(split, tmp_path / "several", **options)
    assert plain.rows["eve"] == several.rows["eve"] == 3
    for output in ("plain", "several"):
        counts = [
            len(contents(tmp_path / output / f"2011-03-18-19:0{minute}:00", "eve").events)
            for minute in (6, 7, 8)
        ]
        assert counts == [2, 0, 1]


@needs_suricata
def test_suricata_reads_what_came_through_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "r.rules"
    rules.write_text('alert udp any any -> any 9999 (msg:"test"; content:"payload"; sid:1;)\n')
    stream = io.TextIOWrapper(io.BytesIO(pcap_octets([(START, udp_frame(1))])))
    monkeypatch.setattr(replay.sys, "stdin", stream)
    summary = run(["-"], tmp_path / "out", selection=["eve"], rules=rules)
    assert summary.rows == {"eve": 1}
    assert os.listdir(tmp_path / "out") == ["eve.json"]
