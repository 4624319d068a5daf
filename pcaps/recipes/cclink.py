"""CC-Link IE: Field Basic over UDP, Field and Control on Ethernet."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import ENGINEER, HMI, PLC, SERVER, Host, ethernet, frame, udp

EVERYBODY = Host("ff:ff:ff:ff:ff:ff", "192.168.10.255")
PORT = 61450

MASTER = "02:00:00:00:00:a1"
SLAVE = "02:00:00:00:00:a2"
GROUP = "01:00:5e:00:00:a0"


def build() -> list[Capture]:
    """The captures ``cclink_field_basic`` and ``cclink_ie``."""
    return [field_basic(), field_and_control()]


def request(stations: int, *, command: int = 0x0E70, sequence: int = 0) -> bytes:
    """A cyclic request for so many occupied stations."""
    fixed = (
        b"\x50\0" + b"\0\xff\xff\x03\0" + (52 + 76 * stations).to_bytes(2, "little") + b"\0\0"
        + command.to_bytes(2, "little") + b"\0\0"
    )  # fmt: skip
    head = b"\1\0\0\0" + b"\x24\0" + b"\0" * 14 + b"\0" * 12
    cyclic = (
        bytes([192, 168, 10, 2]) + b"\1\0" + sequence.to_bytes(2, "little") + b"\xf4\1\3\0\1\0"
        + stations.to_bytes(2, "little") + b"\1\0\0\0"
    )  # fmt: skip
    return fixed + head + cyclic + b"\0" * (76 * stations)


def response(stations: int = 1, *, sequence: int = 0) -> bytes:
    """A cyclic response of a slave that occupies so many stations."""
    fixed = b"\xd0\0" + b"\0\xff\xff\x03\0" + (50 + 72 * stations).to_bytes(2, "little") + b"\0\0"
    head = b"\1\0\0\0" + b"\x28\0" + b"\0" * 14 + b"\0" * 20
    cyclic = bytes([192, 168, 10, 1]) + b"\1\0" + sequence.to_bytes(2, "little")
    return fixed + head + cyclic + b"\0" * (72 * stations)


def field_basic() -> Capture:
    """Cyclic exchanges by broadcast and by unicast, and what is none."""
    recorder = Recorder()

    def send(at: float, source: Host, destination: Host, payload: bytes) -> None:
        packet = udp(source, destination, PORT, PORT, payload)
        recorder.add(at, ethernet(packet, source.mac, destination.mac))

    # The master asks all, two slaves answer it.
    for cycle in range(10):
        at = cycle / 10
        send(at, HMI, EVERYBODY, request(2, sequence=cycle))
        send(at + 0.002, PLC, HMI, response(sequence=cycle))
        send(at + 0.003, SERVER, HMI, response(sequence=cycle))
    # Request and response on one connection; another command; no PDU of the protocol; cut short.
    for cycle in range(3):
        at = 2.0 + cycle / 10
        send(at, ENGINEER, PLC, request(1, sequence=cycle))
        send(at + 0.002, PLC, ENGINEER, response(sequence=cycle))
    send(3.0, ENGINEER, PLC, request(1, command=0x0E71))
    send(3.1, ENGINEER, PLC, b"\x12\x34" + b"\0" * 20)
    send(3.2, ENGINEER, PLC, request(1)[:100])
    # Something else altogether on the port.
    send(4.0, SERVER, ENGINEER, b"hello")
    return Capture("cclink_field_basic", recorder)


def pdu(
    kind: int, *, data_type: int = 0, node: int = 0, third: int = 0, fourth: int = 0,
    source: int = 1, version: int = 1, rest: bytes = b"",
) -> bytes:  # fmt: skip
    """A frame's payload: type, header, data. The fourth octet after the node is the node type."""
    head = (
        bytes([kind, data_type]) + node.to_bytes(2, "big") + bytes([third, fourth])
        + source.to_bytes(2, "big") + bytes([version, 0]) + b"\0\0\0\0"
    )  # fmt: skip
    return (head + rest).ljust(46, b"\0")


TRANSIENT_HEADER = b"\0" * 16


def field_and_control() -> Capture:
    """Frames of EtherType 0x890f."""
    recorder = Recorder()

    def send(at: float, payload: bytes, source: str = MASTER, to: str = GROUP) -> None:
        recorder.add(at, frame(source, to, 0x890F, payload))

    # One tuple five times, and the same from the other station.
    for count in range(5):
        send(count / 10, pdu(0x15, node=3))
        send(count / 10 + 0.05, pdu(0x15, node=3, source=2), SLAVE)
    # Node types.
    send(1.0, pdu(0x10, fourth=ord("0")))
    send(1.1, pdu(0x10, fourth=ord("9")))
    send(1.2, pdu(0x20, node=7, fourth=ord("2")))
    # Set up, synchronisation, cyclic data.
    send(2.0, pdu(0x13, node=4))
    send(2.1, pdu(0x14))
    for count, kind in enumerate((0x40, 0x41, 0x42, 0x43, 0x82, 0x83, 0x84, 0x85)):
        send(3.0 + count / 10, pdu(kind, node=5, source=0x0102))
    # Transient frames with their commands.
    common = TRANSIENT_HEADER + b"\0" * 22 + b"0"
    send(4.0, pdu(0x22, data_type=5, node=1, third=0x13, rest=common))
    send(4.1, pdu(0x22, data_type=7, node=1, third=0x13, rest=TRANSIENT_HEADER + b"\x01\x80"))
    send(4.2, pdu(0x22, data_type=8, node=1, third=0x13, rest=TRANSIENT_HEADER + b"\x02\x00"))
    send(4.3, pdu(0x22, data_type=8, node=1, third=0x13, rest=TRANSIENT_HEADER + b"\x7e\x00"))
    send(4.4, pdu(0x23, node=1, third=0x13))
    send(4.5, pdu(0x25, node=1, third=0x13, rest=b"\0" * 22 + b"\x10"))
    send(4.6, pdu(0x25, node=1, third=0x13, rest=b"\0" * 22 + b"\x00"))
    send(4.7, pdu(0x29, node=1, third=0x14))
    send(4.8, pdu(0x1C))
    send(4.9, pdu(0x26, node=1, third=0x14))
    # Control: by its own types, and by the version of common ones.
    for count, kind in enumerate((0x00, 0x02, 0x06, 0x80, 0x8F)):
        send(5.0 + count / 10, pdu(kind, source=9, version=0))
    send(6.0, pdu(0x15, node=3, source=9, version=0))
    send(6.1, pdu(0x84, node=3, source=9, version=0))
    send(6.2, pdu(0x10, fourth=2, source=9, version=0))
    # A version that is neither.
    send(7.0, pdu(0x15, node=3, version=9))
    # An unknown type, a frame of TSN, and one cut short.
    send(8.0, pdu(0x99))
    send(8.1, pdu(0xC4))
    send(8.2, pdu(0x25, node=1)[:20])
    return Capture("cclink_ie", recorder)
