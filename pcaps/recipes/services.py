"""Application protocols that only conn.log names: what confirms them and what does not."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, SERVER, Host, Talk, ethernet, udp
from pcaps.messages import modbus
from pcaps.recipes import http


def build() -> list[Capture]:
    """The capture ``services``."""
    recorder = Recorder()

    def talk(at: float, port: int, server_port: int, server: Host = SERVER) -> Talk:
        opened = Talk(recorder, HMI, server, port, server_port)
        opened.open(at)
        return opened

    def visit(
        at: float,
        port: int,
        server_port: int,
        request: bytes,
        response: bytes,
        server: Host = SERVER,
    ) -> None:
        opened = talk(at, port, server_port, server)
        opened.ask(at + 0.01, request, response)
        opened.close(at + 0.02)

    # Modbus: a write that is refused; on a port that says nothing; from before the capture.
    write = modbus(1, 1, b"\x06\0\x01\0\x2a")
    refusal = modbus(1, 1, b"\x86\x02")
    visit(0.0, 56001, 502, write, refusal, PLC)
    visit(1.0, 56002, 10502, write, refusal, PLC)
    midstream = Talk(recorder, HMI, PLC, 56003, 502)
    midstream.lose("c", 1)
    midstream.lose("s", 1)
    midstream.ask(2.0, write, refusal)
    # HTTP from before the capture.
    midstream = Talk(recorder, HMI, SERVER, 56004, 80)
    midstream.lose("c", 1)
    midstream.lose("s", 1)
    midstream.ask(3.0, http.GET, http.GOT)
    # FTP and the data connection that it announces.
    control = talk(4.0, 56005, 21)
    control.send(4.01, "s", "PA", b"220 ready\r\n")
    control.ask(4.02, b"USER op\r\n", b"230 in\r\n")
    control.ask(4.03, b"PASV\r\n", b"227 Entering Passive Mode (192,168,10,4,200,21)\r\n")
    control.send(4.04, "c", "PA", b"RETR recipe.txt\r\n")
    control.send(4.041, "s", "PA", b"150 coming\r\n")
    data = talk(4.05, 56006, 200 * 256 + 21)
    data.send(4.06, "s", "PA", b"speed")
    data.send(4.061, "c", "A")
    data.close(4.07, first="s")
    control.send(4.08, "s", "PA", b"226 done\r\n")
    control.send(4.081, "c", "A")
    control.close(4.09)
    # SMTP, where the server speaks first.
    mail = talk(5.0, 56007, 25)
    mail.send(5.01, "s", "PA", b"220 mx ESMTP\r\n")
    mail.ask(5.02, b"EHLO plc\r\n", b"250 mx\r\n")
    mail.close(5.03)
    # MQTT: CONNECT and CONNACK.
    connect = b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04plc1"
    visit(6.0, 56008, 1883, connect, b"\x20\x02\0\0")
    # SSH banners alone.
    visit(7.0, 56009, 22, b"SSH-2.0-a\r\n", b"SSH-2.0-b\r\n")
    # DNP3: a read of class 1.
    visit(
        8.0, 56010, 20000, dnp3(b"\xc0\xc0\x01\x3c\x02\x06"), dnp3(b"\xc0\xc0\x81\0\0", 0x44), PLC
    )
    # SNMP: get and response; get alone.
    for at, port, answered in ((9.0, 56011, True), (10.0, 56012, False)):
        recorder.add(at, ethernet(udp(HMI, PLC, port, 161, snmp(0xA0)), HMI.mac, PLC.mac))
        if answered:
            packet = udp(PLC, HMI, 161, port, snmp(0xA2))
            recorder.add(at + 0.003, ethernet(packet, PLC.mac, HMI.mac))
    # Nothing that anybody knows.
    visit(11.0, 56013, 9600, b"FINS\0\0\0\x0c" + b"\0" * 12, b"FINS\0\0\0\x10" + b"\0" * 16, PLC)
    return [Capture("services", recorder)]


def dnp3(data: bytes, control: int = 0xC4) -> bytes:
    """A DNP3 link frame (IEEE 1815) with one block of data."""
    head = b"\x05\x64" + bytes([5 + len(data), control]) + b"\x01\0\0\x04"
    return head + dnp3_checksum(head) + data + dnp3_checksum(data)


def dnp3_checksum(octets: bytes) -> bytes:
    """The checksum behind each block of a DNP3 link frame."""
    value = 0
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0xA6BC if value & 1 else 0)
    return (~value & 0xFFFF).to_bytes(2, "little")


def snmp(kind: int) -> bytes:
    """An SNMP version 2 message for sysDescr.0 with an empty value."""

    def tagged(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    name = tagged(6, bytes([0x2B, 6, 1, 2, 1, 1, 1, 0]))
    bindings = tagged(0x30, tagged(0x30, name + tagged(5, b"")))
    pdu = tagged(kind, tagged(2, b"\x07") + tagged(2, b"\0") + tagged(2, b"\0") + bindings)
    return tagged(0x30, tagged(2, b"\1") + tagged(4, b"public") + pdu)
