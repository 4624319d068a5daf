"""Suricata: its configuration, what it is given to read, its events."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from osect_sensor.generators.suricata import (
    EVENT_TYPES,
    PARSERS,
    SuricataRun,
    WindowSplitter,
    configuration,
    event_second,
    find_suricata,
    readable_as_it_is,
    spool,
    suricata_version,
    yaml_text,
)

from .conftest import START, pcap_octets, udp_frame

needs_suricata = pytest.mark.skipif(
    shutil.which("suricata") is None, reason="Suricata is not installed"
)

RULE = 'alert udp any any -> any 9999 (msg:"test"; content:"payload"; sid:1;)\n'


def fake_suricata(directory: Path, script: str) -> str:
    program = directory / "suricata"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_yaml_is_what_suricata_reads() -> None:
    text = yaml_text(
        {"a": {"b": True, "c": False}, "d": [{"e": {"f": 1}}, "g"], "h": {}, "i": 'q"\\'}
    )
    assert text == ('a:\n  b: yes\n  c: no\nd:\n  - e:\n      f: 1\n  - "g"\nh:\ni: "q\\"\\\\"\n')


def test_configuration_names_the_events_and_parsers_of_the_specification() -> None:
    assert list(EVENT_TYPES) == [
        "alert", "anomaly", "http", "dns", "tls", "drop", "smtp", "ftp", "rdp", "nfs", "smb",
        "tftp", "ike", "dcerpc", "krb5", "snmp", "rfb", "sip", "dhcp", "ssh", "mqtt", "http2",
    ]  # fmt: skip
    assert {"modbus", "dnp3", "enip"} < set(PARSERS)
    text = configuration(Path("/logs"))
    assert text.startswith("%YAML 1.1\n---\n")
    for name in EVENT_TYPES:
        assert f"\n        - {name}:" in text
    for name in ("flow", "netflow", "modbus", "dnp3"):
        assert f"\n        - {name}" not in text
    assert "\nstats:\n  enabled: no\n" in text
    assert "- fast:\n      enabled: no\n" in text
    assert "unix-command:\n  enabled: no\n" in text


@needs_suricata
def test_suricata_accepts_the_configuration(tmp_path: Path) -> None:
    import subprocess

    settings = tmp_path / "suricata.yaml"
    settings.write_text(configuration(tmp_path))
    rules = tmp_path / "r.rules"
    rules.write_text(RULE)
    result = subprocess.run(
        ["suricata", "-T", "-c", str(settings), "-l", str(tmp_path), "-S", str(rules)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    complaints = [line for line in result.stderr.splitlines() if line.startswith(("E:", "W:"))]
    assert complaints == []


def test_version(tmp_path: Path) -> None:
    program = fake_suricata(tmp_path, 'echo "This is Suricata version 7.0.10 RELEASE"')
    assert suricata_version(program) == "7.0.10"
    assert suricata_version(str(tmp_path / "absent")) == ""
    assert suricata_version(fake_suricata(tmp_path, "echo nothing")) == ""


def test_suricata_is_looked_for_on_the_search_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_suricata() == ""
    assert find_suricata() != fake_suricata(tmp_path, "")
    assert find_suricata() == str(tmp_path / "suricata")


def test_what_suricata_can_read_as_it_is(tmp_path: Path, write_pcap: Callable[..., str]) -> None:
    frames = [(START, udp_frame(1))]
    assert readable_as_it_is(Path(write_pcap("ethernet.pcap", frames)))
    # With these it would wait for a minute before it fails.
    assert not readable_as_it_is(Path(write_pcap("no-packets.pcap", [])))
    assert not readable_as_it_is(Path(write_pcap("cooked-2.pcap", frames, link_type=276)))
    packed = tmp_path / "ethernet.pcap.gz"
    packed.write_bytes(gzip.compress(pcap_octets(frames)))
    assert not readable_as_it_is(packed)


def test_spool_makes_one_plain_capture_of_several(tmp_path: Path) -> None:
    first = pcap_octets([(START, udp_frame(1)), (START + 1.5, udp_frame(2))])
    (tmp_path / "a.pcap.gz").write_bytes(gzip.compress(first))
    (tmp_path / "b.pcap").write_bytes(pcap_octets([(START + 2, udp_frame(3))]) + b"cut off")
    spooled = spool([tmp_path / "a.pcap.gz", tmp_path / "b.pcap"], tmp_path)
    assert len(spooled) == 1
    assert readable_as_it_is(spooled[0])
    expected = pcap_octets(
        [(START, udp_frame(1)), (START + 1.5, udp_frame(2)), (START + 2, udp_frame(3))]
    )
    assert spooled[0].read_bytes()[24:] == expected[24:]


def test_spool_keeps_link_types_apart_and_translates_those_suricata_does_not_know(
    tmp_path: Path, write_pcap: Callable[..., str]
) -> None:
    packet = udp_frame(1)[14:]
    cooked_2 = bytes.fromhex("0800 0000 00000007 0001 04 06 0011223344550000") + packet
    captures = [
        Path(write_pcap("ethernet.pcap", [(START, udp_frame(1))])),
        Path(write_pcap("cooked-2.pcap", [(START, cooked_2)], link_type=276)),
        Path(write_pcap("loop.pcap", [(START, b"\0\0\0\2" + packet)], link_type=108)),
        Path(write_pcap("802.15.4.pcap", [(START, b"frame")], link_type=195)),
    ]
    contents = {}
    for path in spool(captures, tmp_path):
        octets = path.read_bytes()
        contents[struct.unpack_from("<I", octets, 20)[0]] = octets[40:]
    cooked = bytes.fromhex("0004 0001 0006 0011223344550000 0800") + packet
    assert contents == {1: udp_frame(1), 113: cooked, 101: packet}


def test_a_failing_suricata_says_why(tmp_path: Path) -> None:
    program = fake_suricata(
        tmp_path,
        "echo 'E: detect: error parsing signature \"x\" from file r'\n"
        "echo 'E: pcap: unknown file format'\necho 'E: threads: timed out'\nexit 1",
    )
    run = SuricataRun(program, tmp_path / "work", None)
    run.start(tmp_path / "capture")
    run.wait()
    assert run.failure == "it ended with status 1: unknown file format"
    assert list(run.events()) == []


def test_a_suricata_that_cannot_start_is_a_failure(tmp_path: Path) -> None:
    run = SuricataRun(str(tmp_path / "absent"), tmp_path / "work", None)
    run.start(tmp_path / "capture")
    run.wait()
    assert "cannot be started" in run.failure


def test_a_killed_suricata_is_a_failure(tmp_path: Path) -> None:
    run = SuricataRun(fake_suricata(tmp_path, "kill -9 $$"), tmp_path / "work", None)
    run.start(tmp_path / "capture")
    run.wait()
    assert run.failure == "it was ended by signal 9"


def test_stop_ends_a_running_suricata(tmp_path: Path) -> None:
    run = SuricataRun(fake_suricata(tmp_path, "exec sleep 600"), tmp_path / "work", None)
    run.start(tmp_path / "capture")
    run.stop()
    run.stop()
    run.wait()
    assert run.failure == ""


@needs_suricata
def test_alerts_come_in_the_order_of_packets(
    tmp_path: Path, write_pcap: Callable[..., str]
) -> None:
    frames = [(START + index, udp_frame(10 + index)) for index in range(20)]
    rules = tmp_path / "r.rules"
    rules.write_text(RULE + "alert nonsense\n")
    run = SuricataRun(find_suricata(), tmp_path / "work", rules)
    run.start(Path(write_pcap("a.pcap", frames)))
    run.wait()
    assert run.failure == ""
    assert (run.rules_loaded, run.rules_failed) == (1, 1)
    times = [event_second(line) for line in run.events()]
    assert len(times) == 20
    assert times == sorted(times)
    assert times[0] == "2011-03-18T19:06:08.000000"


def test_events_of_several_runs_are_merged_by_time(tmp_path: Path) -> None:
    program = fake_suricata(
        tmp_path,
        # Called as -c CONFIGURATION -l DIRECTORY ….
        'case "$4" in\n'
        '*/1) printf \'{"timestamp":"2011-03-18T19:06:0%s.000000+0000"}\\n\' 1 3 ;;\n'
        '*/2) printf \'{"timestamp":"2011-03-18T19:06:0%s.000000+0000"}\\n\' 2 4 ;;\n'
        'esac > "$4/eve.json"',
    )
    run = SuricataRun(program, tmp_path / "work", None)
    for _ in range(2):
        run.start(tmp_path / "capture")
        run.wait()
    assert [event_second(line)[18] for line in run.events()] == ["1", "2", "3", "4"]


def test_splitter_deals_events_to_their_windows(tmp_path: Path) -> None:
    start = 1_300_475_160_000_000
    starts = [start, start + 60_000_000, start + 600_000_000]
    paths = [tmp_path / str(index) for index in range(3)]

    def event(clock: str) -> str:
        return f'{{"timestamp":"2011-03-18T{clock}+0000","flow_id":1}}\n'

    early = event("18:00:00.000000")
    events = [
        event("19:06:59.999999"),
        event("19:07:00.000000"),
        "no event\n",
        event("19:06:00.000000"),
        event("19:12:00.000000"),
        event("19:16:00.000000"),
        early,
    ]
    assert WindowSplitter(starts, paths).split(iter(events)) == 7
    assert paths[0].read_text() == events[0] + events[3] + early
    assert paths[1].read_text() == events[1] + events[2] + events[4]
    assert paths[2].read_text() == events[5]


def test_splitter_makes_every_file(tmp_path: Path) -> None:
    assert WindowSplitter([0, 1], [tmp_path / "0", tmp_path / "1"]).split(iter([])) == 0
    assert (tmp_path / "0").read_text() == (tmp_path / "1").read_text() == ""
