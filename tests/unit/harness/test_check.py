"""Each way of breaking the contract is found, and nothing else."""

from __future__ import annotations

import pytest
from osect_harness.check import CheckOptions, CheckReport, check
from osect_harness.contract import LOG_NAMES, load, tabular
from osect_harness.errors import UsageError


def kinds(report: CheckReport) -> set[tuple[str, str, str]]:
    return {(one.file, one.column, one.kind) for one in report.violations}


def only(logs, options: CheckOptions | None = None):
    """The single violation of a directory."""
    report = check(logs.path, options)
    assert report.total == 1, report.violations
    return report.violations[0]


def test_logs_that_keep_the_contract_pass(logs):
    report = check(logs.path)
    assert report.violations == []
    assert report.files == 15
    assert report.rows == 22


def test_logs_without_rows_pass(make_logs):
    assert check(make_logs("empty", empty=True).path).total == 0


@pytest.mark.parametrize("name", LOG_NAMES)
def test_a_missing_log_is_found(logs, name):
    logs.file(name).unlink()
    report = check(logs.path)
    assert ("missing-log", logs.file(name).name) in {
        (one.kind, one.file) for one in report.violations
    }


def test_a_log_that_is_not_written_is_no_violation_when_told_so(logs):
    logs.file("eve").unlink()
    assert check(logs.path, CheckOptions(without=frozenset({"eve"}))).total == 0


@pytest.mark.parametrize("log", tabular(), ids=lambda log: log.name)
def test_a_wrong_number_of_header_lines_is_found(logs, log):
    lines = logs.lines(log.name)
    logs.write_lines(log.name, ["#one more", *lines])
    assert any(one.kind == "header" for one in check(logs.path).violations)
    if log.header_lines:
        logs.write_lines(log.name, lines[1:])
        assert any(one.kind == "header" for one in check(logs.path).violations)


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (0, "#separator \\x2c"),
        (1, "#set_separator\t;"),
        (2, "#empty_field\t-"),
        (3, "#unset_field\t(null)"),
        (4, "#path\tconnection"),
        (5, "#open\t2024-05-01"),
        (5, "#open\t2024-13-01-00-00-00"),
        (7, "#types\ttime"),
    ],
)
def test_a_wrong_zeek_header_line_is_found(logs, line, content):
    lines = logs.lines("conn")
    lines[line] = content
    logs.write_lines("conn", lines)
    found = only(logs)
    assert (found.file, found.kind, found.line) == ("conn.log", "header", line + 1)


@pytest.mark.parametrize("name", ["conn", "yaf_flow"])
def test_columns_in_another_order_are_found_and_rows_still_read(logs, name):
    number = 6 if name == "conn" else 0
    lines = [line.split("\t") for line in logs.lines(name)]
    for line in lines:
        shift = 1 if line[0] in ("#fields", "#types") else 0
        if len(line) > 10:
            line[2 + shift], line[3 + shift] = line[3 + shift], line[2 + shift]
    logs.write_lines(name, ["\t".join(line) for line in lines])
    found = [one for one in check(logs.path).violations if one.kind == "columns"]
    assert [one.line for one in found] == [number + 1]
    assert {one.kind for one in check(logs.path).violations} <= {"columns", "header"}


def test_a_missing_column_is_found(logs):
    rows = logs.rows("arp")
    lines = logs.lines("arp")
    lines[6] = lines[6].replace("\tis_at", "")
    lines[8:-1] = ["\t".join(row[:-1]) for row in rows]
    logs.write_lines("arp", lines)
    assert ("arp.log", "is_at", "columns") in kinds(check(logs.path))


def test_a_column_that_stands_twice_is_found(logs):
    lines = logs.lines("ssdp")
    lines[0] += "\tmethod"
    logs.write_lines("ssdp", lines)
    found = only(logs)
    assert (found.column, found.kind, found.value) == ("method", "columns", "2 times")


def test_a_column_of_another_name_is_found(logs):
    lines = logs.lines("dns")
    lines[6] = lines[6].replace("\tTTLs", "\tTTL")
    logs.write_lines("dns", lines)
    found = kinds(check(logs.path))
    assert ("dns.log", "TTL", "columns") in found
    assert ("dns.log", "TTLs", "columns") in found


@pytest.mark.parametrize(
    ("name", "column", "value", "kind"),
    [
        ("conn", "orig_pkts", "1.0", "type"),
        ("conn", "orig_pkts", "-1", "type"),
        ("conn", "orig_pkts", "007", "type"),
        ("conn", "orig_pkts", "-", "value"),
        ("conn", "id.orig_p", "65536", "type"),
        ("conn", "id.orig_h", "10.0.0.256", "type"),
        ("conn", "id.orig_h", "2001:DB8::1", "type"),
        ("conn", "id.orig_h", "2001:0db8::1", "type"),
        ("conn", "id.orig_h", "2001:db8:0:0:0:0:0:1", "type"),
        ("conn", "duration", "0.5", "type"),
        ("conn", "duration", "500", "type"),
        ("conn", "ts", "1714521600", "type"),
        ("conn", "ts", "2024-05-01T00:00:00Z", "type"),
        ("conn", "proto", "unknown_transport", "value"),
        ("conn", "proto", "6", "value"),
        ("conn", "service", "HTTP", "value"),
        ("conn", "service", "http,", "type"),
        ("conn", "service", "http,http", "value"),
        ("conn", "conn_state", "SYN", "value"),
        ("conn", "history", "ShADk", "value"),
        ("conn", "orig_l2_addr", "00-00-5e-00-53-01", "type"),
        ("conn", "orig_l2_addr", "00:00:5E:00:53:01", "type"),
        ("conn", "tunnel_parents", "1,2", "type"),
        ("conn", "local_orig", "F", "not-recorded"),
        ("conn", "local_resp", "T", "not-recorded"),
        ("http", "password", "secret", "not-recorded"),
        ("arp", "unsolicited", "F", "not-recorded"),
        ("arp", "no_resp", "F", "not-recorded"),
        ("arp", "is_at", "00:00:5e:00:53:02", "not-recorded"),
        ("dns", "AA", "true", "type"),
        ("dns", "trans_id", "65536", "range"),
        ("dns", "Z", "8", "range"),
        ("dns", "TTLs", "60,60", "type"),
        ("dns", "query", "a\\b", "escape"),
        ("dns", "query", "\\xAA", "escape"),
        ("dns", "query", "\\x41", "escape"),
        ("dns", "query", "\\x4", "escape"),
        ("dns", "query", "caf\u00e9", "escape"),
        ("dns", "query", "a\x07", "escape"),
        ("dns", "query", "a\r", "escape"),
        ("ns", "resp_ip", "10.0.0.1", "type"),
        ("dhcp2", "src_iP", "fe80::1", "type"),
        ("dhcp2", "parameter_list", "1,256", "range"),
        ("dhcp2", "parameter_list", "1, 3", "type"),
        ("netbios-ns", "service_type", "server", "value"),
        ("netbios-ns", "ttl", "4294967296", "range"),
        ("mswin-browser", "server_type", "0x001003", "value"),
        ("mswin-browser", "server_type", "4099", "value"),
        ("mswin-browser", "os_version", "10", "value"),
        ("ssdp", "method", "M-SEARCH", "value"),
        ("ssdp", "method", "(empty)", "value"),
        ("yaf_flow", "proto", "igmp", "type"),
        ("yaf_flow", "proto", "6", "value"),
        ("yaf_flow", "proto", "17", "value"),
        ("yaf_flow", "proto", "58", "value"),
        ("yaf_flow", "proto", "256", "range"),
        ("yaf_flow", "iflags", "S", "value"),
        ("yaf_flow", "isn", "0", "value"),
        ("yaf_flow", "tag", "100", None),
        ("yaf_flow", "tag", "64", "value"),
        ("yaf_flow", "end-reason", "-", "value"),
        ("yaf_flow", "end-reason", "", None),
        ("yaf_flow", "sip", "2001:0db8::0001", None),
        ("p0f-k", "mod", "SYN", "value"),
        ("p0f-k", "os", "-", "value"),
        ("cclink-ie", "number", "0", "range"),
        ("cclink-ie", "service", "cclink_ie_tsn", "value"),
        ("cclink-ief-basic", "cmd", "-", None),
    ],
)
def test_a_value_of_the_wrong_kind_is_found_in_its_place(logs, name, column, value, kind):
    logs.change(name, 0, column, value)
    report = check(logs.path)
    found = {(one.column, one.kind) for one in report.violations if one.file == load(name).file}
    assert found == ({(column, kind)} if kind else set())
    for one in report.violations:
        if one.kind == kind and one.column == column:
            assert one.value == value
            assert one.line == load(name).header_lines + 1


@pytest.mark.parametrize(
    "value",
    ["(empty)", "-", "a\\\\b", "\\x00\\xff\\x7f", "\\x2d", "\\x28empty)", "\\x23", "a,b c"],
)
def test_well_escaped_text_passes(logs, value):
    logs.change("ssdp", 0, "server_or_user_agent", value)
    assert check(logs.path).total == 0


@pytest.mark.parametrize(
    "value",
    [
        "4:64+0:0:1460:1024,0:mss::0",
        "6:255+?:0:*:mtu*4,0::flow:+",
        "4:128+0:0:1460:8192,8:mss,nop,ws,nop,nop,sok:df,id+:0",
        "4:64+0:0:1460:65535,6:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id-,ecn,0+:0",
    ],
)
def test_a_raw_signature_of_p0f_passes(logs, value):
    logs.change("p0f-k", 0, "raw_sig", value)
    assert check(logs.path).total == 0


@pytest.mark.parametrize(
    "value",
    [
        "5:64+0:0:1460:1024,0:mss::0",
        "4:64:0:1460:1024,0:mss::0",
        "4:256+0:0:1460:1024,0:mss::0",
        "4:64+36:0:1460:1024,0:mss::0",
        "4:64+0:0:1460:1024:mss::0",
        "4:64+0:0:65536:1024,0:mss::0",
        "4:64+0:0:1460:65536,0:mss::0",
        "4:64+0:0:1460:win*4,0:mss::0",
        "4:64+0:0:1460:1024,0:mss,sackok::0",
        "4:64+0:0:1460:1024,0:mss:DF:0",
        "4:64+0:0:1460:1024,0:mss:df",
        "4:64+0:0:1460:1024,0:mss:df:1",
        "4:64+0:0:1460:1024,0:mss:df:0 generic",
        "(empty)",
    ],
)
def test_a_raw_signature_with_another_grammar_is_found(logs, value):
    logs.change("p0f-k", 0, "raw_sig", value)
    found = only(logs)
    assert (found.column, found.kind) == ("raw_sig", "grammar")


@pytest.mark.parametrize("name", ["dns", "http", "cclink-ief-basic"])
def test_a_uid_that_joins_nothing_is_found(logs, name):
    logs.change(name, 0, "uid", "CZZZ")
    found = only(logs)
    assert (found.column, found.kind, found.value) == ("uid", "uid", "CZZZ")


def test_a_uid_that_joins_another_connection_is_found(logs):
    logs.change("dns", 0, "uid", "CDDD")
    found = only(logs)
    assert (found.file, found.kind) == ("dns.log", "uid")


def test_one_uid_for_two_connections_is_found(logs):
    logs.change("conn", 3, "uid", "CBBB")
    found = only(logs)
    assert (found.file, found.kind, found.line) == ("conn.log", "uid", 12)


def test_a_uid_may_join_a_later_window_but_no_earlier_one(make_logs):
    first = make_logs("windows/2024-05-01-00-00", empty=True)
    second = make_logs("windows/2024-05-01-00-01")
    first.write("dns", second.rows("dns"))
    second.write("dns", [])
    report = check(first.path.parent)
    assert report.total == 0
    assert report.windows == ["2024-05-01-00-00", "2024-05-01-00-01"]
    third = make_logs("windows/2024-05-01-00-02", empty=True)
    third.write("dns", first.rows("dns"))
    found = check(first.path.parent)
    assert kinds(found) == {("2024-05-01-00-02/dns.log", "uid", "uid")}


def test_connections_of_a_running_sensor_may_be_outstanding(make_logs):
    window = make_logs("windows/1")
    window.write("dns", [[*row[:1], "CYYY", *row[2:]] for row in window.rows("dns")])
    assert check(window.path.parent).total == 1
    assert check(window.path.parent, CheckOptions(unfinished=True)).total == 0
    make_logs("windows/2", empty=True)
    make_logs("windows/3", empty=True)
    assert check(window.path.parent, CheckOptions(unfinished=True)).total == 1


def scale(logs, factor: float) -> None:
    """Give every time of every table in another unit."""
    for log in tabular():
        rows = logs.rows(log.name)
        for at, field in enumerate(log.fields):
            if field.type == "time":
                for row in rows:
                    row[at] = f"{float(row[at]) * factor:.6f}"
        if log.name != "yaf_flow":
            logs.write(log.name, rows)


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e-3])
def test_times_in_another_unit_are_found(logs, factor):
    scale(logs, factor)
    logs.write("yaf_flow", [])
    logs.file("eve").write_text("")
    report = check(logs.path)
    assert {one.kind for one in report.violations} == {"time"}
    assert report.total == 23


@pytest.mark.parametrize("value", ["1714521600000.000001", "1714521.600000", "12.000000"])
def test_one_time_in_another_unit_is_found(logs, value):
    logs.change("arp", 0, "ts", value)
    found = only(logs)
    assert (found.file, found.column, found.kind) == ("arp.log", "ts", "time")


def test_a_capture_without_a_clock_passes(logs):
    scale(logs, 0)
    logs.write("yaf_flow", [])
    logs.file("eve").write_text("")
    logs.write("arp", [["1.000000", *row[1:]] for row in logs.rows("arp")])
    assert check(logs.path).total == 0


@pytest.mark.parametrize("value", ["0.000000", "700000000.000000", "2961276382.689380"])
def test_a_packet_without_time_or_of_an_odd_year_passes(logs, value):
    logs.change("arp", 0, "ts", value)
    assert check(logs.path).total == 0


def test_times_outside_a_given_span_are_found(logs):
    start = 1_714_521_600_000_000
    inside = CheckOptions(since=start, until=start + 60_000_000)
    assert check(logs.path, inside).total == 0
    found = check(logs.path, CheckOptions(since=start + 2, until=start + 60_000_000))
    assert kinds(found) == {("conn.log", "ts", "time"), ("p0f-k.log", "ts", "time")}


def test_an_interval_beyond_the_end_of_time_or_the_given_span_is_found(logs):
    logs.change("conn", 0, "duration", "5000000000.000000")
    found = only(logs)
    assert (found.file, found.column, found.kind) == ("conn.log", "duration", "time")
    logs.change("conn", 0, "duration", "61.000000")
    assert check(logs.path).total == 0
    assert only(logs, CheckOptions(until=1_714_521_660_000_000)).column == "duration"


def test_a_row_before_its_connection_is_found(logs):
    logs.change("dns", 0, "ts", "1714521591.000000")
    found = only(logs)
    assert (found.file, found.column, found.kind) == ("dns.log", "ts", "time")


@pytest.mark.parametrize("name", ["conn", "p0f-k", "dhcp2"])
def test_a_tab_inside_a_value_is_found(logs, name):
    rows = logs.rows(name)
    rows[0][2] += "\tx"
    logs.write(name, rows)
    assert any(one.kind == "tabs" for one in check(logs.path).violations)


def test_a_row_that_is_cut_off_is_found(logs):
    logs.write("arp", [logs.rows("arp")[0][:4]])
    assert only(logs).kind == "tabs"


def test_an_empty_line_is_found(logs):
    logs.write_lines("dhcp2", [*logs.lines("dhcp2"), ""])
    assert only(logs).kind == "tabs"


def test_a_missing_last_line_feed_is_found(logs):
    path = logs.file("dhcp2")
    path.write_bytes(path.read_bytes()[:-1])
    assert only(logs).kind == "line"


@pytest.mark.parametrize("close", ["#close", "#close\t-", "#close 2024-05-01-00-01-00", "#closed"])
def test_a_wrong_close_line_is_found(logs, close):
    logs.write_lines("conn", [*logs.lines("conn")[:-1], close])
    assert {one.kind for one in check(logs.path).violations} == {"close"}


def test_a_missing_close_line_is_found(logs):
    logs.write_lines("conn", logs.lines("conn")[:-1])
    assert only(logs).kind == "close"


def test_a_close_line_where_none_belongs_is_found(logs):
    logs.write_lines("dhcp2", [*logs.lines("dhcp2"), "#close\t2024-05-01-00-01-00"])
    assert only(logs).kind == "trailing"


def test_anything_after_the_close_line_is_found(logs):
    lines = logs.lines("conn")
    logs.write_lines("conn", [*lines, lines[8], "junk"])
    report = check(logs.path)
    assert [one.kind for one in report.violations] == ["trailing", "trailing"]


@pytest.mark.parametrize(
    ("name", "row", "column", "value"),
    [
        ("arp", 0, "who_has", "-"),
        ("arp", 0, "who_has", "10.0.0.9"),
        ("arp", 1, "who_has", "10.0.0.2"),
        ("arp", 1, "resp_mac", "-"),
        ("ns", 0, "who_has", "fe80::9"),
        ("ns", 0, "resp_mac", "00:00:5e:00:53:02"),
        ("conn", 0, "duration", "-"),
        ("conn", 0, "resp_bytes", "-"),
        ("conn", 2, "resp_ip_bytes", "40"),
        ("conn", 3, "conn_state", "SF"),
        ("conn", 1, "conn_state", "S1"),
        ("dns", 0, "TTLs", "60.000000"),
        ("dns", 0, "qtype_name", "-"),
        ("dns", 0, "rcode", "-"),
        ("http", 0, "status_msg", "-"),
        ("yaf_flow", 0, "ts", "1714521604.000"),
        ("yaf_flow", 0, "duration", "1.751"),
        ("yaf_flow", 0, "rpkt", "0"),
        ("cclink-ief-basic", 1, "cmd", "cyclic"),
        ("cclink-ief-basic", 1, "ts_end", "1714521602.100001"),
        ("cclink-ie", 0, "ts_end", "1714521611.000000"),
    ],
)
def test_columns_that_contradict_each_other_are_found(logs, name, row, column, value):
    logs.change(name, row, column, value)
    report = check(logs.path)
    assert {(one.file, one.kind) for one in report.violations} == {(load(name).file, "rule")}


@pytest.mark.parametrize(
    ("old", "new", "key", "kind"),
    [
        ('"alert",', '"flow",', "event_type", "value"),
        ('"rev":3,', "", "alert.rev", "missing-key"),
        ('"rev":3', '"rev":"3"', "alert.rev", "type"),
        ("+0000", "Z", "timestamp", "type"),
        ('"10.0.0.1"', '"here"', "src_ip", "type"),
        ("40000", "70000", "src_port", "type"),
        ('"event_type":"alert",', "", "event_type", "missing-key"),
        ('"flow_id":1', '"flow_id":NaN', "", "json"),
        ('"flow_id":1', '"flow_id":1,"flow_id":2', "", "json"),
        ("}}", "}", "", "json"),
        ("{", "[" * 5000, "", "json"),
    ],
)
def test_a_wrong_event_is_found(logs, old, new, key, kind):
    path = logs.file("eve")
    path.write_text(path.read_text().replace(old, new))
    found = {(one.column, one.kind) for one in check(logs.path).violations}
    assert (key, kind) in found


def test_violations_are_counted_beyond_those_kept(logs, monkeypatch):
    monkeypatch.setattr("osect_harness.check.MAX_KEPT", 3)
    row = logs.rows("dhcp2")[0]
    logs.write("dhcp2", [["x", *row[1:]]] * 10)
    report = check(logs.path)
    assert (report.total, len(report.violations)) == (10, 3)


def test_a_directory_without_logs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no logs"):
        check(tmp_path)
    with pytest.raises(UsageError, match="is no directory"):
        check(tmp_path / "nowhere")
