"""TCP: what happens to the payload's octets, odd flags, reuse of ports, silence."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, Talk

FINS = 9600


def build() -> list[Capture]:
    """The captures ``tcp_streams`` and ``tcp_flags``."""
    return [streams(), flags()]


def streams() -> Capture:
    """Losses, repetitions, order, reuse, time-outs."""
    recorder = Recorder()

    def opened(at: float, port: int, *, client_isn: int = 1000, server_isn: int = 5000) -> Talk:
        talk = Talk(recorder, HMI, PLC, port, FINS, client_isn=client_isn, server_isn=server_isn)
        talk.open(at)
        return talk

    # A segment sent twice.
    talk = opened(0.0, 41001)
    talk.send(0.01, "c", "PA", b"x" * 10)
    talk.send(0.21, "c", "PA", b"x" * 10, seq=1001)
    talk.send(0.211, "s", "A")
    talk.close(0.22)

    # A segment lost by the capture only: acknowledged, never seen.
    talk = opened(1.0, 41002)
    talk.send(1.01, "c", "PA", b"x" * 10)
    talk.lose("c", 100)
    talk.send(1.012, "c", "PA", b"x" * 20)
    talk.send(1.02, "s", "A")
    talk.close(1.03)

    # Segments 1, 3, 2.
    talk = opened(2.0, 41003)
    talk.send(2.01, "c", "PA", b"a" * 10)
    talk.send(2.011, "c", "PA", b"c" * 10, seq=1021)
    talk.send(2.012, "c", "PA", b"b" * 10, seq=1011)
    talk.send(2.02, "s", "A")
    talk.close(2.03)

    # A retransmission that brings more than the original.
    talk = opened(3.0, 41004)
    talk.send(3.01, "c", "PA", b"x" * 10)
    talk.send(3.2, "c", "PA", b"x" * 20, seq=1001)
    talk.send(3.201, "s", "A")
    talk.close(3.21)

    # Ten repetitions of one segment.
    talk = opened(4.0, 41005)
    talk.send(4.01, "c", "PA", b"x" * 10)
    for again in range(10):
        talk.send(4.1 + again / 10, "c", "PA", b"x" * 10, seq=1001)
    talk.send(5.1, "s", "A")
    talk.close(5.2)

    # Keep-alive with one old octet, answered by an acknowledgement.
    talk = opened(6.0, 41006)
    talk.send(6.5, "c", "A", b"\0", seq=1000)
    talk.send(6.501, "s", "A")

    # The receiver's window shuts and opens.
    talk = opened(7.0, 41007)
    talk.send(7.01, "c", "PA", b"x" * 10)
    talk.send(7.011, "s", "A", window=0)
    talk.send(7.2, "s", "A", window=8192)
    talk.close(7.3)

    # The same ports again, one second after a complete close.
    talk = opened(8.0, 41008)
    talk.close(8.01)
    talk = opened(9.0, 41008, client_isn=70000, server_isn=80000)
    talk.close(9.01)

    # The same ports again while the connection still stands.
    opened(10.0, 41009)
    opened(11.0, 41009, client_isn=70000, server_isn=80000)

    # Sequence numbers that wrap.
    talk = opened(12.0, 41010, client_isn=0xFFFFFFF0)
    talk.ask(12.01, b"x" * 32, b"y" * 8)
    talk.close(12.02)

    # Half close: the responder goes on sending after the originator's FIN.
    talk = opened(13.0, 41011)
    talk.send(13.01, "c", "FA")
    talk.send(13.011, "s", "A")
    talk.send(13.1, "s", "PA", b"y" * 50)
    talk.send(13.101, "c", "A")
    talk.send(13.2, "s", "FA")
    talk.send(13.201, "c", "A")

    # Data in the FIN segment.
    talk = opened(14.0, 41012)
    talk.send(14.01, "c", "FPA", b"x" * 8)
    talk.send(14.011, "s", "FA")
    talk.send(14.012, "c", "A")

    # Data in the SYN (TCP Fast Open).
    talk = Talk(recorder, HMI, PLC, 41013, FINS)
    talk.send(15.0, "c", "S", b"x" * 5)
    talk.send(15.001, "s", "SA")
    talk.send(15.002, "c", "A")
    talk.send(15.01, "c", "PA", b"x" * 7)
    talk.send(15.02, "s", "A")

    # Idle for less than the time-out (5 minutes), then for more.
    talk = opened(20.0, 41014)
    talk.ask(20.01, b"x" * 10, b"y" * 10)
    talk.ask(319.0, b"x" * 10, b"y" * 10)
    talk.ask(620.0, b"x" * 10, b"y" * 10)
    return Capture("tcp_streams", recorder)


def flags() -> Capture:
    """Flag combinations of scans and broken stacks, partial connections."""
    recorder = Recorder()

    # FIN+RST inside a connection.
    talk = Talk(recorder, HMI, PLC, 42001, FINS)
    talk.open(0.0)
    talk.send(0.01, "c", "FRA")

    # SYN+FIN.
    Talk(recorder, HMI, PLC, 42002, FINS).send(1.0, "c", "FS")

    # No flag at all.
    Talk(recorder, HMI, PLC, 42003, FINS).send(2.0, "c", "")

    # FIN+PSH+URG.
    Talk(recorder, HMI, PLC, 42004, FINS).send(3.0, "c", "FPU")

    # A RST out of the blue, by the originator and by a likely server.
    Talk(recorder, HMI, PLC, 42005, FINS).send(4.0, "c", "R")
    Talk(recorder, HMI, PLC, 42006, 502).send(5.0, "s", "RA", ack=1001)

    # Partial connection first seen from the likely server.
    talk = Talk(recorder, HMI, PLC, 42007, 502)
    talk.send(6.0, "s", "A")
    talk.send(6.001, "c", "A")

    # Both ports are likely servers': the higher one is taken for the originator's.
    talk = Talk(recorder, HMI, PLC, 443, 80)
    talk.send(7.0, "s", "A")
    talk.send(7.001, "c", "A")
    talk = Talk(recorder, HMI, PLC, 443, 22)
    talk.send(8.0, "c", "A")
    talk.send(8.001, "s", "A")

    # A header length below five words; a header longer than the packet.
    talk = Talk(recorder, HMI, PLC, 42008, FINS)
    packet = bytearray(talk.packet("c", "A", b"x" * 12))
    packet[32] = 0x40
    recorder.add(9.0, talk.link(bytes(packet), HMI.mac, PLC.mac))
    talk = Talk(recorder, HMI, PLC, 42009, FINS)
    packet = bytearray(talk.packet("c", "A", b"x" * 12))
    packet[32] = 0xF0
    recorder.add(10.0, talk.link(bytes(packet), HMI.mac, PLC.mac))
    return Capture("tcp_flags", recorder)
