"""The catalog of logs."""

import inspect

from osect_sensor.logs import rows, text
from osect_sensor.logs.catalog import OSECT_2023, Dialect, Log

LINES = {
    "conn": text.conn_line(rows.ConnRow()),
    "yaf_flow": text.flow_line(rows.FlowRow()),
    "arp": text.arp_line(rows.ArpRow()),
    "ns": text.neighbor_line(rows.NeighborRow()),
    "dns": text.dns_line(rows.DnsRow()),
    "p0f-k": text.fingerprint_line(rows.FingerprintRow()),
    "http": text.http_line(rows.HttpRow()),
    "dhcp2": text.dhcp_line(rows.DhcpRow()),
    "netbios-ns": text.netbios_line(rows.NetbiosRow()),
    "mswin-browser": text.browser_line(rows.BrowserRow()),
    "dhcpv6": text.dhcpv6_line(rows.Dhcpv6Row()),
    "ssdp": text.ssdp_line(rows.SsdpRow()),
    "cclink-ief-basic": text.field_basic_line(rows.FieldBasicRow()),
    "cclink-ie": text.field_control_line(rows.FieldControlRow()),
}


def test_fifteen_logs_and_how_many_columns_each_has() -> None:
    columns = {log.name: len(log.fields) for log in OSECT_2023.logs}
    assert columns == {
        "conn": 23,
        "yaf_flow": 25,
        "arp": 9,
        "ns": 6,
        "dns": 24,
        "p0f-k": 6,
        "http": 26,
        "dhcp2": 6,
        "netbios-ns": 6,
        "mswin-browser": 9,
        "dhcpv6": 7,
        "ssdp": 5,
        "cclink-ief-basic": 10,
        "cclink-ie": 12,
        "eve": 0,
    }


def test_every_row_type_has_a_line_as_wide_as_its_log() -> None:
    row_types = [name for name, _ in inspect.getmembers(rows, inspect.isclass)]
    assert len(LINES) == sum(name.endswith("Row") for name in row_types)
    for name, line in LINES.items():
        log = OSECT_2023.find(name)
        assert log is not None
        assert line.endswith("\n")
        assert line.count("\t") + 1 == len(log.fields), name


def test_columns_that_are_not_recorded_hold_the_unset_mark() -> None:
    unrecorded: set[tuple[str, str]] = set()
    for name, line in LINES.items():
        log = OSECT_2023.find(name)
        assert log is not None
        for field, cell in zip(log.fields, line.rstrip("\n").split("\t"), strict=True):
            if not field.recorded:
                unrecorded.add((name, field.name))
                assert cell == "-"
    assert unrecorded == {
        ("conn", "local_orig"),
        ("conn", "local_resp"),
        ("arp", "unsolicited"),
        ("arp", "no_resp"),
        ("arp", "is_at"),
        ("http", "password"),
    }


def test_a_log_is_found_by_name_and_by_file_name() -> None:
    conn = OSECT_2023.find("conn")
    assert conn is not None
    assert OSECT_2023.find("conn.log") is conn
    eve = OSECT_2023.find("eve.json")
    assert eve is not None
    assert eve.name == "eve"
    assert OSECT_2023.find("nothing") is None
    assert OSECT_2023.find("") is None


def test_another_dialect_may_hold_a_log_of_the_same_name() -> None:
    later = Dialect("later", [Log("conn.log", "zeek", "", "", [])])
    assert later.names() == ["conn"]
    assert later.find("conn") is not OSECT_2023.find("conn")


def test_every_field_says_what_it_means() -> None:
    for log in OSECT_2023.logs:
        assert log.subject
        assert log.row
        for field in log.fields:
            assert field.meaning, (log.name, field.name)
            assert field.type_name, (log.name, field.name)
