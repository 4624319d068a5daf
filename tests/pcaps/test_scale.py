"""The load captures: as many packets as asked, in order, repeatable, with right checksums."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINUTE = ROOT / "pcaps" / "built" / "factory_minute.pcap"


def made(*arguments: str, output: Path) -> bytes:
    """What the command writes; scapy must not be needed, so it is made impossible to import."""
    script = (
        "import sys; sys.modules['scapy'] = None; from pcaps import scale; "
        "sys.exit(scale.main(sys.argv[1:]))"
    )
    subprocess.run([sys.executable, "-c", script, *arguments, str(output)], cwd=ROOT, check=True)
    return output.read_bytes()


def records(capture: bytes) -> list[tuple[float, bytes]]:
    found: list[tuple[float, bytes]] = []
    stream = io.BytesIO(capture)
    stream.read(24)
    while head := stream.read(16):
        fields = [int.from_bytes(head[i : i + 4], "little") for i in range(0, 16, 4)]
        assert fields[2] == fields[3]
        found.append((fields[0] + fields[1] / 1e6, stream.read(fields[2])))
    return found


def total(octets: bytes) -> int:
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
        if total(frame[network : network + header]) != 0xFFFF:
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
    return total(pseudo + segment) == 0xFFFF


def test_the_first_minute_of_one_plant_is_the_stored_one(tmp_path: Path) -> None:
    count = len(records(MINUTE.read_bytes()))
    written = made("minutes", "--packets", str(count), output=tmp_path / "one")
    assert written == MINUTE.read_bytes()


def test_minutes_have_their_packets_in_order_with_right_checksums(tmp_path: Path) -> None:
    arguments = ("minutes", "--packets", "10001", "--plants", "3")
    written = made(*arguments, output=tmp_path / "first")
    packets = records(written)
    assert len(packets) == 10001
    times = [time for time, _ in packets]
    assert times == sorted(times)
    assert all(checksums_are_right(frame) for _, frame in packets)
    assert made(*arguments, output=tmp_path / "second") == written


def test_no_plant_and_no_minute_shares_its_subnet_with_another(tmp_path: Path) -> None:
    minute = len(records(MINUTE.read_bytes()))
    packets = records(
        made("minutes", "--packets", str(4 * minute), "--plants", "2", output=tmp_path / "out")
    )
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


def test_a_flood_is_of_distinct_sources_and_repeatable_by_its_seed(tmp_path: Path) -> None:
    arguments = ("syn-flood", "--packets", "3000", "--rate", "1000")
    written = made(*arguments, output=tmp_path / "first")
    packets = records(written)
    assert len(packets) == 3000
    assert packets[-1][0] - packets[0][0] == pytest.approx(2.999)
    assert all(checksums_are_right(frame) for _, frame in packets)
    assert len({frame[26:30] for _, frame in packets}) > 2990
    assert made(*arguments, output=tmp_path / "second") == written
    assert made(*arguments, "--seed", "2", output=tmp_path / "third") != written


@pytest.mark.parametrize(
    "arguments",
    [
        ("minutes", "--packets", "0"),
        ("minutes", "--plants", "0"),
        ("minutes", "--plants", "1001"),
        ("syn-flood", "--rate", "0"),
        ("syn-flood", "--rate", "1000001"),
    ],
)
def test_impossible_arguments_are_a_usage_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pcaps.scale", *arguments, str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 64
    assert not (tmp_path / "out").exists()
