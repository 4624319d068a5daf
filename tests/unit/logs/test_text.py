"""Values and rows as text, byte for byte."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osect_sensor.logs import text
from osect_sensor.logs.reader import unescape
from osect_sensor.logs.rows import (
    UNSET,
    ArpRow,
    BrowserRow,
    ConnRow,
    DhcpRow,
    Dhcpv6Row,
    DnsRow,
    FieldBasicRow,
    FieldControlRow,
    FingerprintRow,
    FlowRow,
    HttpRow,
    NeighborRow,
    NetbiosRow,
    SsdpRow,
)

T = 1300475168724007


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (b"", "(empty)"),
        (b"plain text, with commas", "plain text, with commas"),
        (b"-", "\\x2d"),
        (b"--", "--"),
        (b"(empty)", "\\x28empty)"),
        (b"(empty) ", "(empty) "),
        (b"a\\b", "a\\\\b"),
        (b"\\x41", "\\\\x41"),
        (b"\x00\t\n\r\x1b\x7f", "\\x00\\x09\\x0a\\x0d\\x1b\\x7f"),
        ("é".encode(), "\\xc3\\xa9"),
        (b"\xff", "\\xff"),
        (b"#not a comment", "#not a comment"),
        (b" ~", " ~"),
    ],
)
def test_string_is_escaped_as_zeek_without_utf_8_does(value: bytes | None, expected: str) -> None:
    assert text.string_text(value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, "-"),
        ([], "(empty)"),
        ([b"one"], "one"),
        ([b"one", b"two"], "one,two"),
        ([b"a,b", b"c"], "a\\x2cb,c"),
        ([b""], "(empty)"),
        ([b"-", b"(empty)"], "\\x2d,\\x28empty)"),
        ([b"tab\t", b"back\\slash"], "tab\\x09,back\\\\slash"),
    ],
)
def test_set_escapes_its_separator_too(values: list[bytes] | None, expected: str) -> None:
    assert text.strings_text(values) == expected


@given(st.binary())
def test_every_string_fits_a_cell_and_comes_back(value: bytes) -> None:
    cell = text.string_text(value)
    assert cell.isascii()
    assert cell.isprintable()
    assert cell != "-"
    if value:
        assert unescape(cell) == value


@given(st.lists(st.binary(min_size=1), min_size=1))
def test_every_set_of_strings_comes_back(values: list[bytes]) -> None:
    assert [unescape(part) for part in text.strings_text(values).split(",")] == values


@pytest.mark.parametrize(
    ("microseconds", "expected"),
    [
        (T, "1300475168.724007"),
        (0, "0.000000"),
        (1, "0.000001"),
        (999_999, "0.999999"),
        (1_000_000, "1.000000"),
        (-1, "-0.000001"),
        (-1_500_000, "-1.500000"),
        (4_294_967_295_000_000, "4294967295.000000"),
        (UNSET, "-"),
    ],
)
def test_time_has_six_decimals(microseconds: int, expected: str) -> None:
    assert text.time_text(microseconds) == expected


def test_numbers_flags_and_vectors() -> None:
    assert text.count_text(0) == "0"
    assert text.count_text(UNSET) == "-"
    assert text.bool_text(True) == "T"
    assert text.bool_text(False) == "F"
    assert text.counts_text(None) == "-"
    assert text.counts_text([]) == "(empty)"
    assert text.counts_text([1, 66, 6]) == "1,66,6"
    assert text.intervals_text(None) == "-"
    assert text.intervals_text([]) == "(empty)"
    assert text.intervals_text([60_000_000, 0]) == "60.000000,0.000000"
    assert text.own_text("") == "-"


def test_header_time_and_window_name_are_utc() -> None:
    assert text.header_time_text(T) == "2011-03-18-19-06-08"
    assert text.window_name(1300475160000000) == "2011-03-18-19:06:00"
    assert text.header_time_text(0) == "1970-01-01-00-00-00"


@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_date_agrees_with_the_calendar(seconds: int) -> None:
    expected = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    assert text.date_time_text(seconds * 1_000_000 + 999_999, " ", ":") == expected


def test_year_beyond_9999_is_no_error() -> None:
    assert text.header_time_text(1 << 60).startswith("38504-")


def test_conn_line() -> None:
    row = ConnRow()
    row.ts = T
    row.uid = "C1"
    row.id_orig_h, row.id_orig_p = "10.0.0.1", 1025
    row.id_resp_h, row.id_resp_p = "10.0.0.2", 502
    row.proto = "tcp"
    assert text.conn_line(row) == (
        "1300475168.724007\tC1\t10.0.0.1\t1025\t10.0.0.2\t502\ttcp\t-\t-\t-\t-\t-\t-\t-\t0\t-"
        "\t0\t0\t0\t0\t-\t-\t-\n"
    )
    row.service = "modbus"
    row.duration = 1_500_000
    row.orig_bytes, row.resp_bytes = 12, 0
    row.conn_state, row.history = "SF", "ShADadFf"
    row.missed_bytes = 3
    row.orig_pkts, row.orig_ip_bytes, row.resp_pkts, row.resp_ip_bytes = 4, 212, 5, 232
    row.tunnel_parents = "C2,C3"
    row.orig_l2_addr, row.resp_l2_addr = "00:11:22:33:44:55", "00:11:22:33:44:66"
    assert text.conn_line(row) == (
        "1300475168.724007\tC1\t10.0.0.1\t1025\t10.0.0.2\t502\ttcp\tmodbus\t1.500000\t12\t0\tSF"
        "\t-\t-\t3\tShADadFf\t4\t212\t5\t232\tC2,C3\t00:11:22:33:44:55\t00:11:22:33:44:66\n"
    )


def test_flow_line_counts_whole_milliseconds() -> None:
    row = FlowRow()
    row.start = 1_777_378_692_003_900
    row.end = 1_777_378_693_004_100
    row.rtt = 200
    row.protocol = 112
    row.source, row.destination = "10.0.0.1", "224.0.0.18"
    row.source_mac, row.destination_mac = "00:00:5e:00:01:01", "01:00:5e:00:00:12"
    row.vlan = 100
    row.packets, row.octets = 2, 80
    row.end_reason = "eof"
    assert text.flow_line(row) == (
        "1777378692.003\t2026-04-28 12:18:12.003\t2026-04-28 12:18:13.004\t1.001\t0.001\t112"
        "\t10.0.0.1\t0\t224.0.0.18\t0\t00:00:5e:00:01:01\t01:00:5e:00:00:12"
        "\t0\t0\t0\t0\t00000000\t00000000\t064\t000\t2\t80\t0\t0\teof\n"
    )


def test_flow_without_addresses_or_reason() -> None:
    cells = text.flow_line(FlowRow()).rstrip("\n").split("\t")
    assert len(cells) == 25
    assert cells[10:12] == ["00:00:00:00:00:00"] * 2
    assert cells[18:20] == ["000", "000"]
    assert cells[24] == ""


def test_arp_and_neighbor_lines() -> None:
    arp = ArpRow()
    arp.ts = T
    arp.orig_mac, arp.orig_ip = "00:11:22:33:44:55", "10.0.0.1"
    arp.resp_ip = arp.who_has = "10.0.0.2"
    assert text.arp_line(arp) == (
        "1300475168.724007\t00:11:22:33:44:55\t10.0.0.1\t-\t10.0.0.2\t-\t-\t10.0.0.2\t-\n"
    )
    neighbor = NeighborRow()
    neighbor.ts = T
    neighbor.orig_mac, neighbor.orig_ip = "00:11:22:33:44:55", "fe80::1"
    neighbor.resp_mac, neighbor.resp_ip = "00:11:22:33:44:66", "fe80::2"
    assert text.neighbor_line(neighbor) == (
        "1300475168.724007\t00:11:22:33:44:55\tfe80::1\t00:11:22:33:44:66\tfe80::2\t-\n"
    )


def test_dns_line() -> None:
    row = DnsRow()
    row.ts, row.uid, row.proto, row.trans_id = T, "C1", "udp", 7
    row.id_orig_h, row.id_orig_p, row.id_resp_h, row.id_resp_p = "::1", 5, "::2", 53
    row.query = b"a\xc3\xa9.example"
    row.qclass, row.qclass_name, row.qtype, row.qtype_name = 1, "C_INTERNET", 16, "TXT"
    row.rcode, row.rcode_name = 0, "NOERROR"
    row.rtt = 1_234
    row.rd = row.ra = True
    row.answers = [b"TXT 3 a,b"]
    row.ttls = [60_000_000]
    assert text.dns_line(row) == (
        "1300475168.724007\tC1\t::1\t5\t::2\t53\tudp\t7\t0.001234\ta\\xc3\\xa9.example\t1"
        "\tC_INTERNET\t16\tTXT\t0\tNOERROR\tF\tF\tT\tT\t0\tTXT 3 a\\x2cb\t60.000000\tF\n"
    )


def test_http_line_never_has_a_password() -> None:
    row = HttpRow()
    row.ts, row.uid, row.trans_depth = T, "C1", 1
    row.id_orig_h, row.id_orig_p, row.id_resp_h, row.id_resp_p = "10.0.0.1", 5, "10.0.0.2", 80
    row.method, row.host, row.uri, row.version = b"GET", b"plc", b"/a\tb", b"1.1"
    row.username = b"admin"
    row.status_code, row.status_msg = 200, b""
    row.proxied = [b"VIA -> 1.1 a,b"]
    assert text.http_line(row) == (
        "1300475168.724007\tC1\t10.0.0.1\t5\t10.0.0.2\t80\t1\tGET\tplc\t/a\\x09b\t-\t1.1\t-\t-"
        "\t0\t0\t200\t(empty)\t-\t-\t(empty)\tadmin\t-\tVIA -> 1.1 a\\x2cb\t-\t-\n"
    )
    row.tags = ["HTTP::URI_SQLI"]
    assert text.http_line(row).split("\t")[20] == "HTTP::URI_SQLI"


def test_fingerprint_line() -> None:
    row = FingerprintRow()
    row.ts, row.mod, row.src_ip, row.os = T, "syn+ack", "10.0.0.1", "Linux 3.11 and newer"
    row.raw_sig = "4:64+0:0:1460:mss*10,7:mss,sok,ts,nop,ws:df,id+:0"
    assert text.fingerprint_line(row) == (
        "1300475168.724007\tsyn+ack\t10.0.0.1\t00:00:00:00:00:00\tLinux 3.11 and newer"
        "\t4:64+0:0:1460:mss*10,7:mss,sok,ts,nop,ws:df,id+:0\n"
    )


def test_lines_of_the_one_packet_logs() -> None:
    dhcp = DhcpRow()
    dhcp.ts, dhcp.src_ip, dhcp.src_mac = T, "0.0.0.0", "00:11:22:33:44:55"
    dhcp.hostname, dhcp.parameter_list, dhcp.class_id = b"plc", [1, 3, 6], b"vendor\0"
    assert text.dhcp_line(dhcp) == (
        "1300475168.724007\t0.0.0.0\t00:11:22:33:44:55\tplc\t1,3,6\tvendor\\x00\n"
    )
    netbios = NetbiosRow()
    netbios.ts, netbios.src_ip, netbios.name = T, "10.0.0.1", b"HMI"
    netbios.ttl, netbios.service_type = 300_000, "Server"
    assert text.netbios_line(netbios) == "1300475168.724007\t10.0.0.1\t-\tHMI\t300000\tServer\n"
    browser = BrowserRow()
    browser.ts, browser.src_ip, browser.server_name = T, "10.0.0.1", b"HMI"
    browser.os_version, browser.server_type, browser.browser_version = "5.0", "0x1003", "15.1"
    browser.signature, browser.host_comment = "0xaa55", b""
    assert text.browser_line(browser) == (
        "1300475168.724007\t10.0.0.1\t-\tHMI\t5.0\t0x1003\t15.1\t0xaa55\t(empty)\n"
    )
    dhcpv6 = Dhcpv6Row()
    dhcpv6.ts, dhcpv6.src_ip, dhcpv6.finger_print = T, "fe80::1", [24, 23]
    dhcpv6.enterprise_number, dhcpv6.vendor_class = 311, b"MSFT 5.0"
    assert text.dhcpv6_line(dhcpv6) == ("1300475168.724007\tfe80::1\t-\t-\t24,23\t311\tMSFT 5.0\n")
    ssdp = SsdpRow()
    ssdp.ts, ssdp.src_ip = T, "10.0.0.1"
    assert text.ssdp_line(ssdp) == "1300475168.724007\t10.0.0.1\t-\t-\t-\n"


def test_lines_of_the_counted_logs() -> None:
    basic = FieldBasicRow()
    basic.ts, basic.ts_end, basic.uid, basic.number = T, T + 1_000_000, "C1", 111
    basic.id_orig_h, basic.id_orig_p = "10.0.0.1", 61450
    basic.id_resp_h, basic.id_resp_p = "10.0.0.255", 61450
    basic.pdu, basic.cmd = "cyclicDataReq", "cyclic"
    assert text.field_basic_line(basic) == (
        "1300475168.724007\tC1\t10.0.0.1\t61450\t10.0.0.255\t61450\tcyclicDataReq\tcyclic\t111"
        "\t1300475169.724007\n"
    )
    control = FieldControlRow()
    control.ts = control.ts_end = T
    control.src_mac, control.dst_mac = "00:11:11:11:11:11", "00:00:00:00:00:01"
    control.pdu_type, control.node_type, control.node_id = "myStatus", b"unknown\x01", 0
    control.src_node_number, control.number = "0x0001", 10
    cells = text.field_control_line(control).rstrip("\n").split("\t")
    assert cells[0] == cells[11] == "1300475168.724007"
    assert cells[4] == "myStatus"
    assert cells[6:8] == ["unknown\\x01", "0"]
    assert cells[8:11] == ["-", "0x0001", "10"]
