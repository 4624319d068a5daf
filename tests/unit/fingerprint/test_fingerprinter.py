"""Which SYN and SYN+ACK make a row follows p0f's own bookkeeping."""

from __future__ import annotations

import struct

import pytest

from osect_sensor.fingerprint.database import Database, read_database
from osect_sensor.fingerprint.fingerprinter import MAX_FLOWS, MAX_HOSTS, Fingerprinter
from osect_sensor.flows.analyzer import Counters
from osect_sensor.logs.sink import CollectingSink

SYN, FIN, RST, ACK = 0x02, 0x01, 0x04, 0x10
ETHERNET, NULL, RAW, COOKED, COOKED2 = 1, 0, 101, 113, 276
SECOND = 1_000_000
CLIENT = b"\x0a\x00\x00\x01"
SERVER = b"\x0a\x00\x00\x02"


class Tap:
    def __init__(self, database: Database | None = None) -> None:
        self.sink = CollectingSink()
        self.counters = Counters()
        self.fingerprinter = Fingerprinter(self.sink, database or Database(), self.counters)
        self.now = 1_700_000_000 * SECOND

    def send(self, frame: bytes, link_type: int = ETHERNET) -> None:
        data = b"\xff" * 7 + frame + b"\xff" * 5
        self.fingerprinter.frame(self.now, link_type, data, 7, 7 + len(frame))

    def mods(self) -> list[str]:
        return [row.mod for row in self.sink.fingerprint_rows]


def tcp(
    flags: int = SYN,
    *,
    source: bytes = CLIENT,
    destination: bytes = SERVER,
    ports: tuple[int, int] = (1024, 80),
    sequence: int = 100,
    payload: bytes = b"",
    window: int = 8192,
    options: bytes = b"",
    fragment: int = 0x4000,
    length: int = 0,
) -> bytes:
    segment = struct.pack(
        ">HHIIBBHHH", *ports, sequence, 0, (5 + len(options) // 4) << 4, flags, window, 0, 0
    )
    segment += options + payload
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, len(segment), 6, 64) + source + destination + segment
    return (
        struct.pack(
            ">BBHHHBBH4s4s",
            0x45,
            0,
            length or 20 + len(segment),
            1,
            fragment,
            64,
            6,
            0,
            source,
            destination,
        )
        + segment
    )


def answer(flags: int = SYN | ACK, sequence: int = 500, **fields: object) -> bytes:
    return tcp(
        flags,
        source=SERVER,
        destination=CLIENT,
        ports=(80, 1024),
        sequence=sequence,
        **fields,
    )


def ethernet(packet: bytes, tags: bytes = b"", source: bytes = b"\x02\0\0\0\0\x01") -> bytes:
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return b"\x02\0\0\0\0\x02" + source + tags + kind + packet


def test_syn_and_its_answer_make_rows_with_their_own_source_mac():
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.now += 1
    tap.send(ethernet(answer(), source=b"\x02\0\0\0\0\x09"))
    syn, synack = tap.sink.fingerprint_rows
    assert (syn.mod, syn.src_ip, syn.src_mac, syn.os) == (
        "syn", "10.0.0.1", "02:00:00:00:00:01", "???",
    )  # fmt: skip
    assert (synack.mod, synack.src_ip, synack.src_mac) == (
        "syn+ack", "10.0.0.2", "02:00:00:00:00:09",
    )  # fmt: skip
    assert synack.ts == syn.ts + 1
    assert syn.raw_sig == "4:64+0:0:0:8192,0::df,id+:0"


def test_ipv6_addresses_are_written_in_full():
    tap = Tap()
    tap.send(ethernet(tcp(source=b"\xfe\x80" + bytes(13) + b"\x01", destination=bytes(16))))
    assert tap.sink.fingerprint_rows[0].src_ip == "fe80:0:0:0:0:0:0:1"


def test_answer_window_may_count_the_clients_mss():
    tap = Tap()
    tap.send(ethernet(tcp(options=bytes.fromhex("02040258"))))
    tap.send(ethernet(answer(options=bytes.fromhex("020405b4"), window=4200)))
    assert tap.sink.fingerprint_rows[1].raw_sig == "4:64+0:0:1460:mss*7,0:mss:df,id+,ack-:0"


def test_answer_without_syn_and_repetitions_make_no_rows():
    tap = Tap()
    tap.send(ethernet(answer()))
    tap.send(ethernet(tcp()))
    tap.send(ethernet(tcp()))
    tap.send(ethernet(answer()))
    tap.send(ethernet(answer()))
    tap.send(ethernet(answer(sequence=501)))
    assert tap.mods() == ["syn", "syn+ack"]


def test_syn_with_another_sequence_number_is_a_new_flow():
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.send(ethernet(tcp(sequence=101)))
    assert tap.mods() == ["syn", "syn"]


def test_syn_the_other_way_replaces_the_flow():
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.send(ethernet(answer(SYN)))
    tap.send(ethernet(answer()))
    assert tap.mods() == ["syn", "syn"]


@pytest.mark.parametrize("flags", [RST, RST | ACK, FIN, FIN | ACK, ACK])
def test_flow_ends_by_reset_finish_or_an_acknowledgment_before_the_answer(flags):
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.send(ethernet(tcp(flags, sequence=101)))
    tap.send(ethernet(tcp()))
    assert tap.mods() == ["syn", "syn"]


@pytest.mark.parametrize("flags", [SYN | FIN, SYN | RST, SYN | ACK | FIN, FIN | RST, 0])
def test_contradicting_flags_are_not_looked_at(flags):
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.send(ethernet(tcp(flags)))
    tap.send(ethernet(tcp()))
    assert tap.mods() == ["syn"]


@pytest.mark.parametrize(
    ("payload", "mods"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", ["syn", "syn+ack"]),
        (b"\x00" * 20, ["syn", "syn+ack", "syn"]),
    ],
)
def test_flow_lives_on_only_with_data_that_p0f_follows(payload, mods):
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.send(ethernet(answer()))
    tap.send(ethernet(tcp(ACK, sequence=101, payload=payload)))
    # To a live flow, whose next sequence number has moved on, this is its own SYN again.
    tap.send(ethernet(tcp(sequence=100 + len(payload))))
    assert tap.mods() == mods


def test_data_out_of_sequence_is_neglected():
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.send(ethernet(answer()))
    tap.send(ethernet(tcp(ACK, sequence=999, payload=b"\x00" * 20)))
    tap.send(ethernet(tcp()))
    assert tap.mods() == ["syn", "syn+ack"]


def test_old_flows_expire_every_fifty_tcp_packets():
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.now += 31 * SECOND
    for _ in range(48):
        tap.send(ethernet(tcp(ACK, ports=(1, 2))))
    tap.send(ethernet(tcp()))
    tap.send(ethernet(tcp()))
    assert tap.mods() == ["syn", "syn"]


def test_flow_of_thirty_seconds_is_kept():
    tap = Tap()
    tap.send(ethernet(tcp()))
    tap.now += 30 * SECOND
    for _ in range(60):
        tap.send(ethernet(tcp(ACK, ports=(1, 2))))
    tap.send(ethernet(tcp()))
    assert tap.mods() == ["syn"]


def test_full_table_drops_the_oldest_tenth_and_counts_it():
    tap = Tap()
    for port in range(1, MAX_FLOWS + 3):
        tap.send(ethernet(tcp(ports=(port, 80))))
    assert tap.counters.values == {"fingerprint_flows_full": 1}
    before = len(tap.mods())
    tap.send(ethernet(tcp(ports=(101, 80))))
    tap.send(ethernet(tcp(ports=(102, 80))))
    assert len(tap.mods()) == before + 1


def test_number_of_hosts_is_bounded():
    tap = Tap()
    for number in range(MAX_HOSTS + 50):
        source = b"\x0b" + number.to_bytes(3, "big")
        tap.send(ethernet(tcp(source=source)))
        tap.send(ethernet(tcp(RST, source=source)))
    assert tap.counters.values["fingerprint_hosts_full"] > 0
    assert len(tap.mods()) == MAX_HOSTS + 50


def test_tools_are_named_and_their_flow_forgotten():
    database = read_database(
        "[tcp:request]\nlabel = s:!:Scanner:x\nsys = @unix\nsig = *:64:0:*:8192,0::df,id+:0"
    )
    tap = Tap(database)
    tap.send(ethernet(tcp()))
    tap.send(ethernet(answer()))
    tap.send(ethernet(tcp()))
    assert [row.os for row in tap.sink.fingerprint_rows] == ["Scanner x", "Scanner x"]


def test_probes_of_p0f_itself_make_no_rows():
    tap = Tap()
    tap.send(ethernet(tcp(window=1337, options=b"\x02\x04\x05\x33")))
    tap.send(ethernet(answer()))
    assert tap.mods() == []


@pytest.mark.parametrize(
    ("tags", "rows"),
    [
        (b"\x81\x00\x00\x05", 1),
        (b"\x88\xa8\x00\x05", 0),
        (b"\x81\x00\x00\x05\x81\x00\x00\x06", 0),
    ],
)
def test_one_vlan_tag_is_stepped_over(tags, rows):
    tap = Tap()
    tap.send(ethernet(tcp(), tags))
    assert len(tap.mods()) == rows


@pytest.mark.parametrize(
    ("link_type", "header"),
    [
        (NULL, b"\x02\0\0\0"),
        (RAW, b""),
        (COOKED, bytes(14) + b"\x08\x00"),
        (COOKED2, b"\x08\x00" + bytes(18)),
    ],
)
def test_other_link_types_have_no_mac(link_type, header):
    tap = Tap()
    tap.send(header + tcp(), link_type)
    assert [row.src_mac for row in tap.sink.fingerprint_rows] == ["00:00:00:00:00:00"]


@pytest.mark.parametrize(
    "packet",
    [
        tcp(fragment=0x2000),
        tcp(fragment=0x0001),
        tcp(length=41),
        tcp(length=39),
        tcp(length=0xFFFF),
        tcp()[:30],
        b"\x44" + tcp()[1:],
        tcp()[:32] + b"\x40" + tcp()[33:],
        tcp()[:32] + b"\x60" + tcp()[33:],
        tcp()[:9] + b"\x11" + tcp()[10:],
    ],
)
def test_fragments_cut_off_and_malformed_packets_are_not_looked_at(packet):
    tap = Tap()
    tap.send(ethernet(packet))
    assert tap.mods() == []


def test_trailer_behind_the_ip_packet_is_no_payload():
    tap = Tap()
    tap.send(ethernet(tcp() + bytes(6)))
    assert tap.sink.fingerprint_rows[0].raw_sig.endswith(":0")


@pytest.mark.parametrize("link_type", [ETHERNET, NULL, RAW, COOKED, COOKED2, 105])
def test_any_prefix_of_any_frame_is_survived(link_type):
    tap = Tap()
    for frame in (ethernet(tcp(options=b"\x02\x04\x05\xb4\x08\x0a")), ethernet(tcp()), tcp()):
        for length in range(len(frame) + 1):
            tap.fingerprinter.frame(tap.now, link_type, frame, 0, length)
            tap.fingerprinter.frame(tap.now, link_type, frame[:length], 0, length)
