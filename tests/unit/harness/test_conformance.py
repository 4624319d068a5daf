"""Trees of logs are compared field by field."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from osect_harness import conformance, output
from osect_harness.adapters import escape_utf8, golden_profile
from osect_harness.compare import CaptureResult, LogResult, Options, compare_capture
from osect_harness.contract import load
from osect_harness.errors import UsageError
from osect_harness.explained import load_explained
from osect_harness.protocols import KEYWORDS, protocol_number


@pytest.fixture
def both(make_logs):
    """Logs of ours and the expected ones, equal to begin with."""
    return make_logs("ours/source/one.pcap"), make_logs("golden/source/one.pcap")


def compare(both, options: Options | None = None) -> CaptureResult:
    return compare_capture("one", both[0].path, both[1].path, options or Options())


def log(result: CaptureResult, name: str) -> LogResult:
    return next(one for one in result.logs if one.log == name)


def differing(result: CaptureResult) -> set[tuple[str, str]]:
    return {(one.log, one.field or one.kind) for each in result.logs for one in each.differences}


def test_equal_logs_agree_in_every_field(both):
    result = compare(both)
    assert len(result.logs) == 14
    for one in result.logs:
        width = len(load(one.log).fields)
        assert one.tally.equal == one.tally.total == width * one.expected


def test_the_order_of_rows_does_not_matter(both):
    for name in ("conn", "arp", "p0f-k"):
        both[0].write(name, both[0].rows(name)[::-1])
    assert differing(compare(both)) == set()


def test_a_missing_row_costs_all_its_fields(both):
    both[0].write("arp", both[0].rows("arp")[:1])
    arp = log(compare(both), "arp")
    assert (arp.missing, arp.extra) == (1, 0)
    assert (arp.tally.equal, arp.tally.total) == (9, 18)
    found = arp.differences[0]
    assert (found.kind, found.row) == ("missing", 2)
    assert found.expected.startswith("1714521605.000100")
    assert found.nearest.startswith("1714521605.000000")


def test_an_extra_row_costs_all_its_fields(both):
    rows = both[0].rows("dhcp2")
    both[0].write("dhcp2", [*rows, ["1714521699.000000", *rows[0][1:]]])
    dhcp = log(compare(both), "dhcp2")
    assert (dhcp.missing, dhcp.extra) == (0, 1)
    assert (dhcp.tally.equal, dhcp.tally.total) == (6, 12)


def test_a_log_that_is_absent_counts_as_one_without_rows(both):
    both[0].file("arp").unlink()
    both[1].file("ns").unlink()
    result = compare(both)
    assert log(result, "arp").missing == 2
    assert log(result, "ns").extra == 2


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("conn", "id.resp_p", "80.0"),
        ("conn", "orig_pkts", "06"),
        ("conn", "duration", "0.5"),
        ("conn", "duration", "0.500002"),
        ("conn", "orig_l2_addr", "00:00:5E:00:53:01"),
        ("http", "request_body_len", "-"),
        ("http", "tags", "-"),
        ("yaf_flow", "proto", "igmp"),
    ],
)
def test_a_value_that_differs_is_one_field(both, name, column, value):
    both[0].change(name, 0, column, value)
    result = compare(both)
    assert differing(result) == {(name, column)}
    assert log(result, name).fields[column].equal == log(result, name).expected - 1
    found = log(result, name).differences[0]
    assert (found.got, found.row) == (value, 1)


@pytest.mark.parametrize(
    ("name", "column", "ours", "expected"),
    [
        ("conn", "duration", "0.500001", "0.500000"),
        ("conn", "ts", "1714521600.000000", "1714521600.000001"),
        ("conn", "service", "http,ssl", "ssl,http"),
        ("http", "proxied", "A -> 1,B -> 2", "B -> 2,A -> 1"),
        ("dns", "TTLs", "60.000001,60.000000", "60.000000,60.000000"),
        ("yaf_flow", "sip", "ff02::12", "ff02::0012"),
        ("p0f-k", "src_ip", "fe80::1", "fe80:0:0:0:0:0:0:1"),
    ],
)
def test_values_that_say_the_same_are_equal(both, name, column, ours, expected):
    both[0].change(name, 0, column, ours)
    both[1].change(name, 0, column, expected)
    assert differing(compare(both)) == set()


def test_a_vector_in_another_order_differs(both):
    both[0].change("dns", 0, "answers", "10.0.0.8,10.0.0.9")
    assert differing(compare(both)) == {("dns", "answers")}


def rename(logs, uids: dict[str, str]) -> None:
    """Replace uids in every log."""
    for name in ("conn", "dns", "http", "cclink-ief-basic"):
        logs.write(name, [[uids.get(value, value) for value in row] for row in logs.rows(name)])


def test_other_uids_are_equal_when_they_map_one_to_one(both):
    rename(both[0], {"CAAA": "C1", "CBBB": "C2", "CCCC": "CAAA", "CDDD": "C4"})
    assert differing(compare(both)) == set()


def test_a_row_of_another_connection_has_the_wrong_uid(both):
    both[0].change("dns", 0, "uid", "CAAA")
    assert differing(compare(both)) == {("dns", "uid")}


def test_one_uid_for_two_connections_breaks_the_bijection(both):
    both[0].change("conn", 3, "uid", "CAAA")
    assert differing(compare(both)) == {("conn", "uid")}


def test_a_tunnel_parent_that_is_another_connection_differs(both):
    both[0].change("conn", 2, "tunnel_parents", "CBBB")
    assert differing(compare(both)) == {("conn", "tunnel_parents")}


def test_tunnels_without_a_connection_map_one_to_one(both):
    for at, (mine, theirs) in enumerate([("CX", "CP"), ("CX,CY", "CQ,CP"), ("CY", "CP")]):
        both[0].change("conn", at, "tunnel_parents", mine)
        both[1].change("conn", at, "tunnel_parents", theirs)
    found = log(compare(both), "conn").differences
    assert [(one.field, one.row) for one in found] == [("tunnel_parents", 3)]


def test_a_uid_whose_connection_is_missing_differs(both):
    both[0].write("conn", both[0].rows("conn")[1:])
    assert ("http", "uid") in differing(compare(both))


def test_connections_equal_in_every_field_are_told_apart_by_their_rows(both):
    for logs, uids in ((both[0], ("C1", "C2")), (both[1], ("C8", "C9"))):
        row = logs.rows("conn")[1]
        logs.write("conn", [[row[0], uid, *row[2:]] for uid in uids])
        other = logs.rows("dns")[0]
        last = uids[1] if logs is both[1] else uids[0]
        logs.write("dns", [[other[0], last, *other[2:]]])
        logs.write("http", [])
        logs.write("cclink-ief-basic", [])
    assert differing(compare(both)) == set()


def test_columns_are_found_by_name_in_a_zeek_header(both):
    lines = [line.split("\t") for line in both[0].lines("arp")]
    for line in lines:
        shift = 1 if line[0] in ("#fields", "#types") else 0
        if len(line) > 8:
            line[1 + shift], line[2 + shift] = line[2 + shift], line[1 + shift]
    both[0].write_lines("arp", ["\t".join(line) for line in lines])
    assert differing(compare(both)) == set()


def test_rows_of_window_directories_are_taken_together(both, make_logs):
    first, second = make_logs("ours/two/1", empty=True), make_logs("ours/two/2", empty=True)
    rows = both[0].rows("arp")
    first.write("arp", rows[:1])
    second.write("arp", rows[1:])
    result = compare_capture(
        "two", first.path.parent, both[1].path, Options(logs=frozenset({"arp"}))
    )
    assert differing(result) == set()


def golden() -> Options:
    return Options(profile=golden_profile())


def test_a_tool_that_failed_says_nothing(both):
    for name in ("conn", "dns", "p0f-k"):
        both[0].write(name, [])
    (both[1].path / "zeek.failed").touch()
    result = compare(both, golden())
    assert {one.log for one in result.logs} == {"yaf_flow", "p0f-k"}


def test_protocols_by_name_equal_their_numbers(both):
    both[1].change("yaf_flow", 0, "proto", "igmp")
    assert differing(compare(both, golden())) == set()


@pytest.mark.parametrize(
    ("name", "number"),
    [("igmp", "2"), ("vrrp", "112"), ("ospfigp", "89"), ("Unassigned Protocol(99)", "99"),
     ("udplite", "136"), ("hopopt", "0"), ("nsh", "145"), ("unheard-of", "unheard-of")],
)  # fmt: skip
def test_a_protocol_name_is_its_number(name, number):
    assert protocol_number(name) == number


def test_keywords_stand_at_their_numbers():
    assert [KEYWORDS[number] for number in (6, 17, 47, 50, 51, 58, 103, 132)] == [
        "tcp", "udp", "gre", "esp", "ah", "ipv6-icmp", "pim", "sctp",
    ]  # fmt: skip


def test_utf8_of_the_real_tools_is_escaped(both):
    assert escape_utf8("caf\u00e9\udcff") == "caf\\xc3\\xa9\\xff"
    both[0].change("dns", 0, "query", "caf\\xc3\\xa9")
    both[1].change("dns", 0, "query", "caf\u00e9")
    assert differing(compare(both, golden())) == set()


def test_aggregated_rows_fold_before_they_are_compared(both):
    row = both[1].rows("cclink-ie")[0]
    parts = [
        [row[0], *row[1:10], "4", "1714521612.200000"],
        ["1714521612.300000", *row[1:10], "6", row[11]],
    ]
    both[0].write("cclink-ie", parts)
    assert differing(compare(both, golden())) == set()
    assert log(compare(both), "cclink-ie").extra == 1


def report(both, tmp_path: Path, options: Options, **more) -> conformance.Report:
    jobs = conformance.plan(tmp_path / "ours", tmp_path / "golden")
    return conformance.summarize(conformance.run(jobs, options, **more), options)


LIST = """
[corpora]
here = "{digest}"
[[explained]]
id = "sender"
corpus = "here"
log = "p0f-k"
kind = "field"
field = "src_mac"
where = {{ mod = "syn\\\\+ack" }}
reason = "because"
[[explained]]
id = "request"
corpus = "here"
log = "arp"
kind = "missing"
where = {{ who_has = "-" }}
reason = "because"
[[explained]]
id = "number-first"
corpus = "here"
log = "dhcpv6"
kind = "field"
field = "finger_print"
expected_is = "{{enterprise_number}},{{got}}"
reason = "because"
[[explained]]
id = "dots"
corpus = "here"
log = "dhcpv6"
kind = "field"
field = "hostname"
expected_is = "{{got}}"
ignoring = "."
reason = "because"
"""


@pytest.fixture
def explained(tmp_path):
    """A list of explained differences for the corpus of one capture."""
    path = tmp_path / "explained.toml"
    path.write_text(LIST.format(digest=conformance.digest(["source/one.pcap"])))
    return load_explained(path)


def test_explained_differences_are_counted_apart(both, tmp_path, explained):
    both[0].change("p0f-k", 1, "src_mac", "00:00:5e:00:53:09")
    both[0].write("arp", both[0].rows("arp")[:1])
    both[1].change("dhcpv6", 0, "finger_print", "311,24,23")
    both[1].change("dhcpv6", 0, "hostname", "plcexample")
    found = report(both, tmp_path, Options(explained=explained))
    assert found.passed
    assert found.corpus == "here"
    assert found.logs["p0f-k"].tally.explained == 1
    assert found.logs["arp"].tally.explained == 9
    assert found.logs["arp"].tally.share == 0.5
    assert found.logs["arp"].tally.share_unexplained == 1.0
    assert found.logs["dhcpv6"].tally.explained == 2


def test_a_difference_that_only_resembles_an_explained_one_fails(both, tmp_path, explained):
    both[0].change("p0f-k", 0, "src_mac", "00:00:5e:00:53:09")
    both[1].change("dhcpv6", 0, "finger_print", "312,24,23")
    both[1].change("dhcpv6", 0, "hostname", "plc-example")
    both[0].write("arp", both[0].rows("arp")[1:])
    found = report(both, tmp_path, Options(explained=explained))
    assert found.unexplained == 4


def test_an_explained_difference_that_no_longer_occurs_fails(both, tmp_path, explained):
    found = report(both, tmp_path, Options(explained=explained))
    assert found.stale == ["sender", "request", "number-first", "dots"]
    assert not found.passed


def test_explained_differences_need_not_occur_elsewhere(both, tmp_path, explained, make_logs):
    make_logs("ours/source/two.pcap")
    make_logs("golden/source/two.pcap")
    found = report(both, tmp_path, Options(explained=explained))
    assert (found.corpus, found.stale, found.passed) == ("", [], True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('log = "nothing"', "unknown log"),
        ('kind = "other"', "of kind 'other'"),
        ('field = "nothing"', "no column of arp"),
        ('reason = ""', "has no reason"),
        ('because = "x"', "unknown key 'because'"),
    ],
)
def test_a_list_with_a_mistake_is_refused(tmp_path, line, message):
    entry = {"id": '"x"', "corpus": '"y"', "log": '"arp"', "kind": '"field"', "field": '"ts"',
             "reason": '"z"'}  # fmt: skip
    key, _, value = line.partition(" = ")
    entry[key] = value
    path = tmp_path / "list.toml"
    body = "\n".join(f"{name} = {text}" for name, text in entry.items())
    path.write_text(f"[[explained]]\n{body}\n")
    with pytest.raises(UsageError, match=message):
        load_explained(path)


def test_the_reviewed_list_can_be_read():
    explained = load_explained()
    assert all(entry.reason for entry in explained.entries)
    assert {entry.corpus for entry in explained.entries} <= {"", *dict(explained.corpora)}


def test_captures_weigh_alike_in_the_mean(both, tmp_path, make_logs):
    make_logs("ours/source/two.pcap").write("arp", [])
    make_logs("golden/source/two.pcap")
    found = report(both, tmp_path, Options())
    assert found.logs["arp"].mean == 0.5
    assert found.logs["arp"].captures == 2


def test_a_capture_that_was_not_replayed_is_told(both, tmp_path, make_logs):
    make_logs("golden/source/two.pcap")
    found = report(both, tmp_path, Options())
    assert found.absent == ["source/two.pcap"]
    assert not found.passed


def test_many_processes_find_what_one_finds(both, tmp_path, make_logs):
    for number in range(20):
        make_logs(f"golden/many/{number}")
        make_logs(f"ours/many/{number}").change("conn", number % 4, "history", f"S{'r' * number}")
    one = report(both, tmp_path, Options(), processes=1)
    many = report(both, tmp_path, Options(), processes=3)
    assert output.as_json(one) == output.as_json(many)
    assert list(one.differences) == list(many.differences)
    assert one.unexplained == 20


def test_p0f_labels_count_only_when_asked(both):
    both[0].change("p0f-k", 0, "os", "Windows")
    without = Options(unscored=frozenset({("p0f-k", "os")}))
    assert differing(compare(both, without)) == set()
    assert differing(compare(both)) == {("p0f-k", "os")}
    assert "os" not in log(compare(both, without), "p0f-k").fields


def test_the_text_shows_row_field_expected_and_got(both, tmp_path):
    both[0].change("conn", 1, "history", "D")
    lines = list(output.text(report(both, tmp_path, Options()), 10))
    assert lines[-1] == (
        "source/one.pcap conn row 2 history (string): expected 'Dd', got 'D'  "
        "(1714521601.000000 udp 10.0.0.1:40001 > 10.0.0.3:53)"
    )
    assert any(line.startswith("conn.history") for line in lines)


def test_a_share_is_never_rounded_up_to_a_hundred():
    assert output.percent(0.9999999) == "99.999%"
    assert output.percent(1.0) == "100.000%"


def test_junit_has_a_suite_a_log_and_a_case_a_capture(both, tmp_path):
    both[0].change("ssdp", 0, "server_or_user_agent", "\\x00")
    output.write_junit(report(both, tmp_path, Options()), tmp_path / "junit.xml")
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert len(suites) == 14
    assert suites["ssdp"].get("failures") == "1"
    assert suites["conn"].get("failures") == "0"
    failure = suites["ssdp"].find("testcase/failure")
    assert "server_or_user_agent" in failure.text


def test_the_full_list_of_differences_goes_to_a_file(both, tmp_path):
    both[0].write("arp", [])
    output.write_differences(report(both, tmp_path, Options()), tmp_path / "diff.txt")
    assert len((tmp_path / "diff.txt").read_text().splitlines()) == 2


def test_json_holds_the_numbers(both, tmp_path):
    both[0].write("arp", [])
    data = json.loads(json.dumps(output.as_json(report(both, tmp_path, Options()))))
    assert data["logs"]["arp"]["rows"] == {"expected": 2, "ours": 0, "missing": 2, "extra": 0}
    assert data["logs"]["arp"]["total"] == 18
    assert data["passed"] is False


def test_a_tree_without_logs_is_refused(tmp_path):
    (tmp_path / "ours").mkdir()
    with pytest.raises(UsageError, match="is no directory"):
        conformance.plan(tmp_path / "ours", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no logs"):
        conformance.plan(tmp_path / "ours", tmp_path / "ours")
