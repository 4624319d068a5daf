"""Logs back from their files."""

from pathlib import Path

import pytest

from osect_sensor.logs.catalog import OSECT_2023, Log
from osect_sensor.logs.reader import read_log, unescape
from osect_sensor.logs.rows import ArpRow, FingerprintRow, SsdpRow
from osect_sensor.logs.writer import TextSink


def log(name: str) -> Log:
    found = OSECT_2023.find(name)
    assert found is not None
    return found


@pytest.fixture
def window(tmp_path: Path) -> Path:
    sink = TextSink()
    sink.open_window(str(tmp_path / "w"), 0)
    arp = ArpRow()
    arp.ts, arp.orig_ip = 1_500_000, "10.0.0.1"
    sink.arp(arp)
    ssdp = SsdpRow()
    ssdp.ts, ssdp.src_ip, ssdp.server_or_user_agent = 0, "10.0.0.1", b"a\tb"
    sink.ssdp(ssdp)
    fingerprint = FingerprintRow()
    fingerprint.mod, fingerprint.os = "syn", "???"
    sink.fingerprint(fingerprint)
    sink.close_window(60_000_000)
    (tmp_path / "w" / "eve.json").write_text('{"event_type": "alert"}\n{"event_type": "dns"}\n')
    return tmp_path / "w"


def test_each_framing_comes_back(window: Path) -> None:
    arp = read_log(str(window / "arp.log"), log("arp"))
    assert arp.fields == log("arp").field_names()
    assert arp.records()[0]["orig_ip"] == "10.0.0.1"
    assert arp.column("ts") == ["1.500000"]
    assert arp.closed == "#close\t1970-01-01-00-01-00"
    ssdp = read_log(str(window / "ssdp.log"), log("ssdp"))
    assert ssdp.header == ["#ts\tsrc_ip\tsrc_mac\tmethod\tserver_or_user_agent"]
    assert unescape(ssdp.column("server_or_user_agent")[0]) == b"a\tb"
    fingerprints = read_log(str(window / "p0f-k.log"), log("p0f-k"))
    assert fingerprints.records()[0]["os"] == "???"
    eve = read_log(str(window / "eve.json"), log("eve"))
    assert [event["event_type"] for event in eve.events] == ["alert", "dns"]


def test_logs_without_rows_come_back(window: Path) -> None:
    for name in ("conn", "yaf_flow", "dns"):
        contents = read_log(str(window / log(name).file_name), log(name))
        assert contents.rows == []
        assert contents.fields == log(name).field_names()


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("arp", lambda text: text[:-1], "the last line is cut off"),
        ("arp", lambda text: text[: text.index("#close")], "#close is missing"),
        ("arp", lambda text: "\n".join(text.split("\n")[:5]) + "\n", "the header is cut off"),
        ("arp", lambda text: text.replace("#fields", "#felder"), "#fields line is missing"),
        ("arp", lambda text: text.replace("1.500000\t", ""), ":9: 8 values for 9 fields"),
        ("ssdp", lambda text: text[1:], ":1: not a header line"),
        ("ssdp", lambda text: "", "cut off"),
        ("eve", lambda text: "[]\n", ":1: not a JSON object"),
    ],
)
def test_damage_is_named(window: Path, name: str, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    path = window / log(name).file_name
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=message):
        read_log(str(path), log(name))


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        ("plain", b"plain"),
        ("\\x2d", b"-"),
        ("\\\\x2d", b"\\x2d"),
        ("a\\", b"a\\"),
        ("\\xg0", b"\\xg0"),
        ("\\x4", b"\\x4"),
        ("é\udcff", b"\xc3\xa9\xff"),
    ],
)
def test_unescape_takes_what_is_no_escape_as_it_is(value: str, octets: bytes) -> None:
    assert unescape(value) == octets
