"""The contract's data says what the specification says."""

from __future__ import annotations

import pytest
from osect_harness import contract
from osect_harness.contract import ContractError, load, load_eve, tabular


def test_the_fifteen_logs_have_the_files_of_the_specification():
    assert set(contract.file_names()) == {
        "conn.log", "yaf_flow.log", "arp.log", "ns.log", "dns.log", "p0f-k.log", "http.log",
        "dhcp2.log", "netbios-ns.log", "mswin-browser.log", "dhcpv6.log", "ssdp.log",
        "cclink-ief-basic.log", "cclink-ie.log", "eve.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "count"),
    [("conn", 23), ("yaf_flow", 25), ("arp", 9), ("ns", 6), ("dns", 24), ("p0f-k", 6),
     ("http", 26), ("dhcp2", 6), ("netbios-ns", 6), ("mswin-browser", 9), ("dhcpv6", 7),
     ("ssdp", 5), ("cclink-ief-basic", 10), ("cclink-ie", 12)],
)  # fmt: skip
def test_each_log_has_its_columns(name, count):
    log = load(name)
    assert len(set(log.field_names)) == len(log.fields) == count
    assert log.field_names[0] == "ts"


def test_the_cloud_skips_eight_one_and_no_lines():
    lines = {log.name: log.header_lines for log in tabular()}
    assert {name for name, count in lines.items() if count == 8} == {
        "conn", "arp", "ns", "dns", "http", "cclink-ief-basic", "cclink-ie",
    }  # fmt: skip
    assert {name for name, count in lines.items() if count == 0} == {"p0f-k"}


def test_the_columns_not_recorded_are_those_of_the_specification():
    found = {
        (log.name, field.name) for log in tabular() for field in log.fields if not field.recorded
    }
    assert found == {
        ("conn", "local_orig"), ("conn", "local_resp"), ("arp", "unsolicited"),
        ("arp", "no_resp"), ("arp", "is_at"), ("http", "password"),
    }  # fmt: skip


def test_events_that_are_off_are_not_allowed():
    assert not {"stats", "flow", "netflow"} & set(load_eve().events)


def test_a_rule_about_an_unknown_column_is_refused():
    with pytest.raises(ContractError, match="unknown field 'nothing'"):
        contract._rule("arp", {"equal": ["nothing"], "text": "x"}, ("ts",))


def test_an_unknown_type_is_refused():
    with pytest.raises(ContractError, match="unknown type 'text'"):
        contract._field("arp", {"name": "x", "type": "text", "meaning": ""})
