"""Directories of logs that keep the contract, to be broken one way at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from osect_harness.contract import Log, load, load_eve, tabular

CLOSE = "#close\t2024-05-01-00-01-00"

ROWS = {
    "conn": [
        "1714521600.000001 CAAA 10.0.0.1 40000 10.0.0.2 80 tcp http 0.500000 100 200 SF - - 0 "
        "ShADadFf 6 400 5 460 - 00:00:5e:00:53:01 00:00:5e:00:53:02",
        "1714521601.000000 CBBB 10.0.0.1 40001 10.0.0.3 53 udp dns 0.010000 30 60 SF - - 0 Dd "
        "1 58 1 88 - 00:00:5e:00:53:01 00:00:5e:00:53:03",
        "1714521602.000000 CCCC 10.0.0.4 61450 10.0.0.255 61450 udp cclink_ie_field_basic - - - "
        "S0 - - 0 D 1 80 0 0 CAAA 00:00:5e:00:53:04 ff:ff:ff:ff:ff:ff",
        "1714521603.000000 CDDD 10.0.0.1 8 10.0.0.2 0 icmp - 1.000000 56 56 OTH - - 0 - 1 84 1 84 "
        "- 00:00:5e:00:53:01 00:00:5e:00:53:02",
    ],
    "yaf_flow": [
        "1714521604.250 2024-05-01_00:00:04.250 2024-05-01_00:00:06.000 1.750 0.002 2 10.0.0.1 0 "
        "224.0.0.22 0 00:00:5e:00:53:01 01:00:5e:00:00:16 0 0 0 0 00000000 00000000 064 000 3 120 "
        "1 40 eof",
    ],
    "arp": [
        "1714521605.000000 00:00:5e:00:53:01 10.0.0.1 - 10.0.0.2 - - 10.0.0.2 -",
        "1714521605.000100 00:00:5e:00:53:01 10.0.0.1 00:00:5e:00:53:02 10.0.0.2 - - - -",
    ],
    "ns": [
        "1714521606.000000 00:00:5e:00:53:01 fe80::1 - fe80::2 fe80::2",
        "1714521606.000100 00:00:5e:00:53:01 fe80::1 00:00:5e:00:53:02 fe80::2 -",
    ],
    "dns": [
        "1714521601.000000 CBBB 10.0.0.1 40001 10.0.0.3 53 udp 7 0.010000 a.example 1 C_INTERNET "
        "1 A 0 NOERROR F F T T 0 10.0.0.9,10.0.0.8 60.000000,60.000000 F",
    ],
    "p0f-k": [
        "1714521600.000001 syn 10.0.0.1 00:00:5e:00:53:01 ??? "
        "4:64+0:0:1460:mss*20,7:mss,sok,ts,nop,ws:df,id+:0",
        "1714521600.000100 syn+ack 10.0.0.2 00:00:5e:00:53:02 Linux_2.6.x "
        "4:64+0:0:*:65535,6:mss,nop,ws,eol+1,?30:df:0",
    ],
    "http": [
        "1714521600.000200 CAAA 10.0.0.1 40000 10.0.0.2 80 1 GET plc.example / - 1.1 curl - 0 200 "
        "200 OK - - (empty) - - - 00:00:5e:00:53:01 00:00:5e:00:53:02",
    ],
    "dhcp2": ["1714521607.000000 0.0.0.0 00:00:5e:00:53:01 plc 1,3,6 -"],
    "netbios-ns": ["1714521608.000000 10.0.0.1 00:00:5e:00:53:01 PLC 300000 Server"],
    "mswin-browser": [
        "1714521609.000000 10.0.0.1 00:00:5e:00:53:01 PLC 10.0 0x1003 15.1 0xaa55 (empty)"
    ],
    "dhcpv6": ["1714521610.000000 fe80::1 00:00:5e:00:53:01 plc.example 24,23 311 MSFT_5.0"],
    "ssdp": ["1714521611.000000 10.0.0.1 00:00:5e:00:53:01 M-SEARCH_Request -"],
    "cclink-ief-basic": [
        "1714521602.000000 CCCC 10.0.0.4 61450 10.0.0.255 61450 cyclicDataReq cyclic 3 "
        "1714521602.500000",
        "1714521602.100000 CCCC 10.0.0.255 61450 10.0.0.4 61450 cyclicDataRes - 1 "
        "1714521602.100000",
    ],
    "cclink-ie": [
        "1714521612.000000 00:00:5e:00:53:01 00:00:5e:00:53:02 cclink_ie_field myStatus - "
        "master_node 0 - 0x0001 10 1714521612.500000"
    ],
}

EVENT = (
    '{"timestamp":"2024-05-01T00:00:20.000000+0000","flow_id":1,"event_type":"alert",'
    '"src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP",'
    '"alert":{"action":"allowed","gid":1,"signature_id":2,"rev":3,"signature":"x",'
    '"category":"y","severity":1}}'
)


def cells(row: str) -> list[str]:
    """Split a row of ROWS: blanks stand for TABs, underlines in free text for blanks."""
    return [
        value.replace("_", " ") if value.startswith(("2024-", "M-", "Linux_", "MSFT_", "master_"))
        else value
        for value in row.split(" ")
    ]  # fmt: skip


def lines_of(log: Log, rows: list[list[str]]) -> list[str]:
    """A log in its framing, as lines."""
    body = ["\t".join(row) for row in rows]
    if log.framing == "bare":
        return body
    names = "\t".join(log.field_names)
    if log.framing == "line":
        return ["#" + names, *body]
    types = "\t".join(field.zeek for field in log.fields)
    return [
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        f"#path\t{log.name}",
        "#open\t2024-05-01-00-00-00",
        f"#fields\t{names}",
        f"#types\t{types}",
        *body,
        CLOSE,
    ]


class Logs:
    """A directory of logs that a test may change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        """Where a log lies."""
        return self.path / (load_eve().file if name == "eve" else load(name).file)

    def rows(self, name: str) -> list[list[str]]:
        """The rows of a log."""
        return [
            line.split("\t")
            for line in self.file(name).read_text().splitlines()
            if not line.startswith("#")
        ]

    def write(self, name: str, rows: list[list[str]]) -> None:
        """Write a log with these rows."""
        self.write_lines(name, lines_of(load(name), rows))

    def lines(self, name: str) -> list[str]:
        """The lines of a log."""
        return self.file(name).read_text().splitlines()

    def write_lines(self, name: str, lines: list[str]) -> None:
        """Write a log of these lines."""
        text = "".join(line + "\n" for line in lines)
        self.file(name).write_bytes(text.encode("utf-8", "surrogateescape"))

    def change(self, name: str, row: int, column: str, value: str) -> None:
        """Change one value."""
        rows = self.rows(name)
        rows[row][load(name).field_names.index(column)] = value
        self.write(name, rows)


def write_logs(path: Path, *, empty: bool = False) -> Logs:
    """Write fifteen logs that keep the contract."""
    logs = Logs(path)
    for log in tabular():
        logs.write(log.name, [] if empty else [cells(row) for row in ROWS[log.name]])
    logs.file("eve").write_text("" if empty else EVENT + "\n")
    return logs


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Fifteen logs with rows, of one window."""
    return write_logs(tmp_path / "logs")


@pytest.fixture
def make_logs(tmp_path: Path):
    """Write fifteen logs below the test's directory."""

    def make(name: str, *, empty: bool = False) -> Logs:
        return write_logs(tmp_path / name, empty=empty)

    return make
