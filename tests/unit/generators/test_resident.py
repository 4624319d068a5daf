"""The resident Suricata: the real one where it is installed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osect_sensor.generators.resident import ResidentSuricata

BUILT = Path(__file__).parents[3] / "pcaps" / "built"

needs_suricata = pytest.mark.skipif(
    shutil.which("suricata") is None, reason="Suricata is not installed"
)

PATIENCE = 60.0


@pytest.fixture
def suricata(tmp_path: Path) -> Iterator[ResidentSuricata]:
    rules = tmp_path / "rules" / "suricata.rules"
    rules.parent.mkdir()
    rules.write_text('alert tcp any any -> any 80 (msg:"to eighty"; sid:1; rev:1;)\n')
    made = ResidentSuricata("suricata", tmp_path / "suricata", rules)
    yield made
    made.stop()


def capture(tmp_path: Path, name: str) -> Path:
    copy = tmp_path / f"{time.monotonic_ns()}-{name}"
    shutil.copy(BUILT / name, copy)
    return copy


def alerts(events: bytes) -> list[str]:
    found = [json.loads(line) for line in events.splitlines()]
    return [event["alert"]["signature"] for event in found if event["event_type"] == "alert"]


@needs_suricata
def test_rules_are_loaded_once_and_flows_live_on(
    suricata: ResidentSuricata, tmp_path: Path
) -> None:
    assert suricata.start()
    suricata.feed(capture(tmp_path, "http.pcap"))
    assert suricata.wait(PATIENCE)
    first = suricata.take_events()
    assert alerts(first)
    assert suricata.rules_loaded == 1
    assert suricata.take_events() == b""
    # The same connections once more are the same flows: their requests are retransmissions.
    suricata.feed(capture(tmp_path, "http.pcap"))
    assert suricata.wait(PATIENCE)
    assert len(suricata.take_events()) < len(first) / 2
    assert suricata.starts == 1


@needs_suricata
def test_rules_that_change_are_loaded_without_a_new_start(
    suricata: ResidentSuricata, tmp_path: Path
) -> None:
    assert suricata.start()
    suricata.feed(capture(tmp_path, "dns.pcap"))
    assert suricata.wait(PATIENCE)
    suricata.take_events()
    assert not suricata.refresh_rules()
    rules = tmp_path / "rules" / "suricata.rules"
    rules.write_text('alert ip any any -> any any (msg:"anything"; sid:2; rev:1;)\n' * 1)
    assert suricata.refresh_rules()
    end = time.monotonic() + PATIENCE
    seen: list[str] = []
    while not seen and time.monotonic() < end:
        suricata.feed(capture(tmp_path, "tcp_streams.pcap"))
        assert suricata.wait(PATIENCE)
        seen = alerts(suricata.take_events())
    assert set(seen) == {"anything"}
    assert suricata.starts == 1


@needs_suricata
def test_rules_that_change_while_it_starts_are_loaded_once_it_reads(
    suricata: ResidentSuricata, tmp_path: Path
) -> None:
    assert suricata.start()
    rules = tmp_path / "rules" / "suricata.rules"
    rules.write_text('alert ip any any -> any any (msg:"anything"; sid:2; rev:1;)\n')
    # The signal to load rules would end it now.
    assert not suricata.refresh_rules()
    suricata.feed(capture(tmp_path, "dns.pcap"))
    assert suricata.wait(PATIENCE)
    assert suricata.refresh_rules()
    assert not suricata.refresh_rules()
    suricata.feed(capture(tmp_path, "udp.pcap"))
    assert suricata.wait(PATIENCE)
    assert suricata.starts == 1


@needs_suricata
def test_capture_that_suricata_cannot_read_is_rewritten_or_passed_over(
    suricata: ResidentSuricata, tmp_path: Path
) -> None:
    assert suricata.start()
    suricata.feed(capture(tmp_path, "format_pcapng.pcapng"))
    (tmp_path / "empty.pcap").write_bytes((BUILT / "udp.pcap").read_bytes()[:24])
    suricata.feed(tmp_path / "empty.pcap")
    (tmp_path / "none.pcap").write_bytes(b"no capture")
    suricata.feed(tmp_path / "none.pcap")
    assert suricata.wait(PATIENCE)


@needs_suricata
def test_death_is_noticed(suricata: ResidentSuricata, tmp_path: Path) -> None:
    assert suricata.start()
    process = suricata._process
    assert process is not None
    process.kill()
    process.wait()
    suricata.feed(capture(tmp_path, "udp.pcap"))
    assert not suricata.wait(PATIENCE)
    assert suricata.failure == "it ended with status -9"


def test_program_that_is_missing_is_told(tmp_path: Path) -> None:
    made = ResidentSuricata(str(tmp_path / "none"), tmp_path / "work", tmp_path / "rules")
    assert not made.start()
    assert made.failure == f"{tmp_path / 'none'} is not installed"
    made.feed(BUILT / "udp.pcap")
    assert made.take_events() == b""
    assert not made.running
