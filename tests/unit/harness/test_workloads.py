"""The benchmark's workloads: as many packets as asked, in order, repeatable, checksums right."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from osect_harness.bench.floods import write_syn_flood
from osect_harness.bench.minutes import write_minutes
from osect_harness.bench.mixture import ROUND, find_captures, write_mixture
from osect_harness.bench.octets import BASE, Station, total, udp
from osect_harness.bench.workloads import DESCRIPTIONS, Sources, measure, missing, write_workload
from osect_harness.errors import UsageError

MINUTE = Path(__file__).resolve().parents[3] / "pcaps" / "built" / "factory_minute.pcap"
MADE = ["factory", "web", "small", "connections", "syn-flood"]


def made(name: str, packets: int) -> bytes:
    output = io.BytesIO()
    write_workload(output, name, packets, Sources(minute=MINUTE))
    return output.getvalue()


def records(capture: bytes) -> list[tuple[float, bytes]]:
    found: list[tuple[float, bytes]] = []
    stream = io.BytesIO(capture)
    stream.read(24)
    while head := stream.read(16):
        seconds, micros, length, wire_length = struct.unpack("<IIII", head)
        assert length <= wire_length
        found.append((seconds + micros / 1e6, stream.read(length)))
        assert len(found[-1][1]) == length
    return found


def one_complement_sum(octets: bytes) -> int:
    if len(octets) % 2:
        octets += b"\0"
    value = sum(octets[i] << 8 | octets[i + 1] for i in range(0, len(octets), 2))
    while value > 0xFFFF:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def checksums_are_right(frame: bytes) -> bool:
    network = 18 if frame[12:14] == b"\x81\0" else 14
    kind = frame[network - 2 : network]
    if kind == b"\x08\0":
        header = (frame[network] & 15) * 4
        end = network + int.from_bytes(frame[network + 2 : network + 4], "big")
        if one_complement_sum(frame[network : network + header]) != 0xFFFF:
            return False
        protocol, addresses = frame[network + 9], frame[network + 12 : network + 20]
        segment = frame[network + header : end]
    elif kind == b"\x86\xdd":
        protocol, addresses = frame[network + 6], frame[network + 8 : network + 40]
        segment = frame[network + 40 :]
    else:
        return True
    if protocol not in (6, 17, 58):
        return True
    pseudo = addresses + len(segment).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    return one_complement_sum(pseudo + segment) == 0xFFFF


@pytest.mark.parametrize("octets", [b"", b"\0\0", b"\xff\xff", b"\1", b"\xff\xff\0\1", b"abcdefg"])
def test_sums_are_those_of_rfc_1071(octets: bytes) -> None:
    assert total(octets) == one_complement_sum(octets)


@pytest.mark.parametrize("name", MADE)
def test_a_workload_has_its_packets_in_order_with_right_checksums(name: str) -> None:
    written = made(name, 7001)
    packets = records(written)
    assert len(packets) == 7001
    times = [time for time, _ in packets]
    assert times == sorted(times)
    assert times[0] >= BASE
    assert all(checksums_are_right(frame) for _, frame in packets)
    assert made(name, 7001) == written


def test_no_workload_needs_scapy(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['scapy'] = None; from osect_harness.cli import main; "
        f"sys.argv[1:] = ['workload', 'web', {str(tmp_path / 'web')!r}, '--packets', '9']; main()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert measure(tmp_path / "web").packets == 9


def test_the_first_minute_of_one_plant_is_the_stored_one() -> None:
    stored = MINUTE.read_bytes()
    output = io.BytesIO()
    write_minutes(output, stored, len(records(stored)), 1)
    assert output.getvalue() == stored


def test_no_plant_and_no_minute_shares_its_subnet_with_another() -> None:
    stored = MINUTE.read_bytes()
    minute = len(records(stored))
    output = io.BytesIO()
    write_minutes(output, stored, 4 * minute, 2)
    packets = records(output.getvalue())
    subnets = [
        {
            frame[26:29]
            for _, frame in packets[start : start + 2 * minute]
            if frame[26:28] == b"\xc0\xa8"
        }
        for start in (0, 2 * minute)
    ]
    assert [len(found) for found in subnets] == [2, 2]
    assert not subnets[0] & subnets[1]


def test_a_flood_is_of_distinct_sources_and_repeatable_by_its_seed() -> None:
    floods = []
    for seed in (1, 2):
        output = io.BytesIO()
        write_syn_flood(output, 3000, seed, 1000)
        floods.append(output.getvalue())
    packets = records(floods[0])
    assert packets[-1][0] - packets[0][0] == pytest.approx(2.999)
    assert len({frame[26:30] for _, frame in packets}) > 2990
    assert floods[0] != floods[1]


def test_each_packet_of_the_connection_flood_begins_a_flow() -> None:
    flows = {frame[26:38] for _, frame in records(made("connections", 5000))}
    assert len(flows) == 5000


def test_the_small_packets_are_as_short_as_ethernet_lets_them_and_of_few_connections() -> None:
    packets = [frame for _, frame in records(made("small", 5000))]
    assert sorted({len(frame) for frame in packets})[0] == 60
    assert sum(len(frame) == 60 for frame in packets) > 4950
    assert len({frozenset((frame[26:30], frame[30:34])) for frame in packets}) == 4


def test_the_small_packets_acknowledge_every_octet_that_was_sent() -> None:
    due: dict[bytes, int] = {}
    for _, frame in records(made("small", 3000))[40:]:
        if frame[23] != 6:
            continue
        if frame[36:38] == (9100).to_bytes(2, "big"):
            sequence = int.from_bytes(frame[38:42], "big")
            assert due.setdefault(frame[34:36], sequence) == sequence
            due[frame[34:36]] = sequence + 1
        else:
            assert int.from_bytes(frame[42:46], "big") == due[frame[36:38]]


def classic(packets: list[tuple[float, bytes]], order: str = "<") -> bytes:
    parts = [struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for at, frame in packets:
        seconds, fraction = divmod(round(at * 1e6), 1_000_000)
        parts.append(struct.pack(order + "IIII", seconds, fraction, len(frame), len(frame) + 4))
        parts.append(frame)
    return b"".join(parts)


def block(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def nanoseconds(packets: list[tuple[float, bytes]]) -> bytes:
    parts = [
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHB3x", 9, 1, 9)),
        block(1, struct.pack("<HHI", 101, 0, 0)),
    ]
    for at, frame in packets:
        units = round(at * 1e9)
        head = (units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
        parts.append(block(6, struct.pack("<IIIII", 0, *head) + frame))
        parts.append(block(6, struct.pack("<IIIII", 1, *head) + frame))
    return b"".join(parts)


def test_captures_are_mixed_in_order_of_time_and_repeated_when_all_is_forgotten(
    tmp_path: Path,
) -> None:
    a, b = (udp(Station(1), Station(number), (1, 2), b"") for number in (2, 3))
    (tmp_path / "modbus.pcap").write_bytes(classic([(100.0, a), (101.5, a)]))
    (tmp_path / "big.cap").write_bytes(classic([(7.0, b), (8.0, b)], ">")[:-3])
    (tmp_path / "new.pcapng").write_bytes(nanoseconds([(9.0, b), (309.0, b)]))
    (tmp_path / "not.pcap").write_bytes(b"no capture")
    output = io.BytesIO()
    write_mixture(output, find_captures(tmp_path, ot=False), 7)
    packets = [(time - BASE, frame) for time, frame in records(output.getvalue())]
    assert [(round(time, 5), frame) for time, frame in packets] == [
        (0.0, b), (0.0, a), (0.0, b), (1.5, a), (60.0, b), (ROUND / 1e6, b), (ROUND / 1e6, a),
    ]  # fmt: skip
    assert [path.name for path in find_captures(tmp_path, ot=True)] == ["modbus.pcap"]


def test_a_mixture_of_nothing_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Ethernet frame"):
        write_mixture(io.BytesIO(), [], 1)


def test_workloads_that_cannot_be_made_say_what_is_missing() -> None:
    told = {name: missing(name, Sources()) for name in DESCRIPTIONS}
    assert {name for name, why in told.items() if why} == {"factory", "ot", "everything"}
    assert "--minute" in told["factory"]
