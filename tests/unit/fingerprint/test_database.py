"""A database is read as p0f reads it, and names what p0f would name."""

from __future__ import annotations

import pytest

from osect_sensor.fingerprint.database import Database, read_database
from osect_sensor.fingerprint.signature import QUIRK_DF, QUIRK_ECN, QUIRK_FLOW, Signature


def request(*lines: str) -> Database:
    return read_database("\n".join(["classes = unix", "[tcp:request]", *lines]))


def observed(**fields: object) -> Signature:
    """An IPv4 SYN with MSS 1460 alone, 8192 octets of window, DF, TTL 60."""
    signature = Signature()
    signature.version = 4
    signature.ttl = 60
    signature.mss = 1460
    signature.window = 8192
    signature.layout = b"\x02"
    signature.quirks = QUIRK_DF
    signature.header_length = 44
    for name, value in fields.items():
        setattr(signature, name, value)
    return signature


def name(database: Database, signature: Signature, peer_mss: int = 0) -> str:
    record = database.match(signature, True, peer_mss)
    return "???" if record is None else record.label


def test_label_is_name_and_flavor_with_whatever_follows():
    database = request("label = s:unix:Box:1.x[7,1,0]", "sig = *:64:0:*:8192,0:mss:df:0")
    assert database.problems == []
    assert name(database, observed()) == "Box 1.x[7,1,0]"


def test_label_without_flavor_is_the_name():
    assert name(request("label = s:unix:Box:", "sig = *:64:0:*:*,*:mss:df:*"), observed()) == "Box"


def test_name_is_spelled_as_where_it_came_first():
    database = request(
        "label = s:!:tool:", "sys = Box", "sig = 6:64:0:*:*,*:nop::*",
        "label = s:unix:BOX:2", "sig = *:64:0:*:*,*:mss:df:*",
    )  # fmt: skip
    assert name(database, observed()) == "Box 2"


def test_specific_beats_generic_beats_near():
    generic = ["label = g:unix:Generic:", "sig = *:64:0:*:*,0:mss:df:0"]
    specific = ["label = s:unix:Specific:", "sig = *:64:0:*:8192,0:mss:df:0"]
    near = ["label = s:unix:Near:", "sig = *:64:0:*:*,0:mss:df,id+:0"]
    assert name(request(*near, *generic, *specific), observed()) == "Specific"
    assert name(request(*near, *generic), observed()) == "Generic"
    assert name(request(*near), observed()) == "Near"


def test_near_miss_never_names_a_tool():
    database = request("label = s:!:Scanner:", "sys = @unix", "sig = *:64:0:*:*,0:mss:df,id+:0")
    assert name(database, observed()) == "???"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "Box"),
        ({"ttl": 64}, "Box"),
        ({"ttl": 65}, "Box"),
        ({"ttl": 20}, "Box"),
        ({"mss": 1400}, "???"),
        ({"scale": 1}, "???"),
        ({"layout": b"\x02\x01"}, "???"),
        ({"payload_length": 1}, "???"),
        ({"ip_option_length": 4}, "???"),
        ({"end_padding": 1}, "???"),
        ({"quirks": QUIRK_DF | QUIRK_ECN}, "Box"),
        ({"quirks": 0}, "Box"),
        ({"quirks": QUIRK_DF | QUIRK_FLOW}, "???"),
    ],
)
def test_every_part_of_a_signature_counts(fields, expected):
    database = request("label = s:unix:Box:", "sig = *:64:0:1460:8192,0:mss:df:0")
    assert name(database, observed(**fields)) == expected


@pytest.mark.parametrize(
    ("window", "value", "expected"),
    [
        ("*", 5, "Box"),
        ("%8192", 16384, "Box"),
        ("%8192", 16385, "???"),
        ("mss*4", 5840, "Box"),
        ("mss*4", 5841, "???"),
        ("mtu*4", 6000, "Box"),
        ("mss*4", 6000, "???"),
        ("5840", 5840, "Box"),
    ],
)
def test_window_forms(window, value, expected):
    database = request("label = s:unix:Box:", f"sig = *:64:0:*:{window},*:mss:df:0")
    assert name(database, observed(window=value)) == expected


def test_random_ttl_accepts_anything_up_to_it():
    database = request("label = s:unix:Box:", "sig = *:64-:0:*:*,*:mss:df:0")
    assert name(database, observed(ttl=1)) == "Box"
    assert name(database, observed(ttl=65)) == "???"


def test_version_specific_quirks_are_left_out_of_the_other_version():
    database = request("label = s:unix:Box:", "sig = *:64:0:*:*,*:mss:df,id+,flow:0")
    six = observed(version=6, quirks=QUIRK_FLOW)
    assert name(database, six) == "Box"


def test_responses_are_apart_from_requests():
    database = read_database("[tcp:response]\nlabel = s:unix:Box:\nsig = *:64:0:*:*,*:mss:df:0")
    assert database.match(observed(), True, 0) is None
    assert database.match(observed(), False, 0) is not None


@pytest.mark.parametrize(
    "line",
    [
        "sig = 5:64:0:*:*,*:mss:df:0",
        "sig = *:0:0:*:*,*:mss:df:0",
        "sig = *:200+100:0:*:*,*:mss:df:0",
        "sig = *:64:x:*:*,*:mss:df:0",
        "sig = *:64:0:70000:*,*:mss:df:0",
        "sig = *:64:0:*:%1,*:mss:df:0",
        "sig = *:64:0:*:mss*0,*:mss:df:0",
        "sig = *:64:0:*:*:mss:df:0",
        "sig = *:64:0:*:*,999:mss:df:0",
        "sig = *:64:0:*:*,*:msss:df:0",
        "sig = *:64:0:*:*,*:eol+1,mss:df:0",
        "sig = *:64:0:*:*,*:?300:df:0",
        "sig = *:64:0:*:*,*:mss:dx:0",
        "sig = 6:64:0:*:*,*:mss:df:0",
        "sig = 4:64:0:*:*,*:mss:flow:0",
        "sig = *:64:0:*:*,*:mss:df:2",
        "sig = *:64:0",
        "label = x",
        "nonsense",
        "color = blue",
        "[tcp:sideways]",
    ],
)
def test_malformed_lines_are_reported_by_number_and_skipped(line):
    database = request("label = s:unix:Box:", "sig = *:64:0:*:*,*:mss:df:0", line, "; a comment")
    assert len(database.problems) == 1
    assert database.problems[0].startswith("line 5: ")
    assert name(database, observed()) == "Box"


def test_signature_without_a_label_is_reported():
    assert request("sig = *:64:0:*:*,*:mss:df:0").problems == [
        "line 3: a signature without a label"
    ]


def test_other_sections_are_no_problem():
    text = (
        "[mtu]\nlabel = DSL\nsig = 1492\n[http:request]\nua_os = Box\nlabel = s:!:x:\nsig = *::\n"
    )
    assert read_database(text).problems == []
