"""Time: silence that ends connections, ports that are used again, packets from the past."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, Host, Talk, ethernet, ipv4, udp
from pcaps.messages import POINTER, A, address, dns, question, record

FINS = 9600
TELNET = 23
MODBUS = 502


def build() -> list[Capture]:
    """The captures ``tcp_silence``, ``tcp_reuse``, ``dns_silence`` and ``times_backwards``."""
    return [tcp_silence(), tcp_reuse(), dns_silence(), times_backwards()]


def tcp_silence() -> Capture:
    """What is waited for, and how long, depends on a connection's state."""
    recorder = Recorder()

    def talk(port: int, server_port: int = FINS) -> Talk:
        return Talk(recorder, HMI, PLC, port, server_port)

    # An attempt: five seconds from its first packet.
    attempt = talk(49301)
    attempt.send(0.0, "c", "S", seq=1000)
    attempt.send(5.0, "c", "S", seq=1000)

    # An acknowledgement without a SYN does not answer it.
    attempt = talk(49302)
    attempt.send(10.0, "c", "S")
    attempt.send(10.5, "s", "A")
    attempt.send(15.1, "c", "A")

    # Closed by one side: five minutes.
    half = talk(49303)
    half.open(20.0)
    half.send(20.01, "c", "FA")
    half.send(20.011, "s", "A")
    half.send(319.0, "s", "PA", b"y" * 5)
    half.send(620.5, "s", "PA", b"y" * 5)

    # Closed, and nothing is known of the other side: five seconds from the FIN.
    alone = talk(49304)
    alone.send(30.0, "c", "S")
    alone.send(30.1, "c", "F")
    alone.send(33.0, "c", "A")
    alone.send(35.2, "c", "A")

    # Reset: five seconds.
    reset = talk(49305)
    reset.open(40.0)
    reset.send(40.01, "c", "R")
    reset.send(44.9, "c", "R")
    reset.send(45.2, "c", "R")

    # Closed by both: five seconds, too.
    complete = talk(49306)
    complete.open(50.0)
    complete.close(50.01)
    complete.send(53.0, "c", "A")
    complete.send(55.1, "c", "A")

    # An interactive service: an hour.
    terminal = talk(49307, TELNET)
    terminal.open(400.0)
    terminal.send(3999.0, "c", "A")
    terminal.send(7600.5, "c", "A")
    return Capture("tcp_silence", recorder)


def tcp_reuse() -> Capture:
    """A SYN that begins another connection between the same ports."""
    recorder = Recorder()

    # Nobody has answered yet, and the sequence number is another one.
    talk = Talk(recorder, HMI, PLC, 49351, FINS)
    talk.send(0.0, "c", "S", seq=1000)
    talk.send(0.5, "c", "S", seq=7000)

    # After a reset, with another sequence number.
    talk = Talk(recorder, HMI, PLC, 49352, FINS)
    talk.open(1.0)
    talk.send(1.01, "c", "R")
    talk.send(1.5, "c", "S", seq=7000)

    # After a complete close even with the same.
    talk = Talk(recorder, HMI, PLC, 49353, FINS)
    talk.open(2.0)
    talk.close(2.01)
    talk.send(2.5, "c", "S", seq=1000)

    # One side has closed: that is enough.
    talk = Talk(recorder, HMI, PLC, 49354, FINS)
    talk.open(3.0)
    talk.send(3.01, "c", "FA")
    talk.send(3.011, "s", "A")
    talk.send(3.5, "c", "S", seq=1000)

    # SYN+ACKs with two numbers, from a port that makes their sender the responder.
    talk = Talk(recorder, HMI, PLC, 49355, MODBUS)
    talk.send(4.0, "s", "SA", seq=5000, ack=1001)
    talk.send(4.5, "s", "SA", seq=9000, ack=1001)
    return Capture("tcp_reuse", recorder)


def dns_silence() -> Capture:
    """DNS in UDP: a look every ten seconds whether the last nine were silent."""
    recorder = Recorder()
    ask = question("t.example", A)

    def query(at: float, port: int, identifier: int) -> None:
        packet = udp(HMI, PLC, port, 53, dns(identifier, 0x0100, [ask]))
        recorder.add(at, ethernet(packet, HMI.mac, PLC.mac))

    query(0.0, 49401, 1)
    answer = dns(1, 0x8180, [ask], [record(POINTER, A, 60, address("10.0.0.1"))])
    recorder.add(0.002, ethernet(udp(PLC, HMI, 53, 49401, answer), PLC.mac, HMI.mac))
    query(10.5, 49401, 2)

    # 8.7 seconds of silence when it is looked, at 30.2, and 1.5 at 40.5.
    for identifier, at in enumerate((20.0, 21.5, 30.2, 39.0, 40.5), 3):
        query(at, 49402, identifier)

    # 9.2 seconds.
    for identifier, at in enumerate((50.0, 50.9, 60.1), 8):
        query(at, 49403, identifier)
    return Capture("dns_silence", recorder)


def times_backwards() -> Capture:
    """Packets that are stamped with times before that of their predecessor."""
    recorder = Recorder()

    def send(at: float, source: Host, destination: Host, ports: tuple[int, int]) -> None:
        packet = udp(source, destination, ports[0], ports[1], b"x" * 10)
        recorder.add(at, ethernet(packet, source.mac, destination.mac))

    # The answer comes before the request.
    send(10.0, HMI, PLC, (49501, 9700))
    send(9.999, PLC, HMI, (9700, 49501))
    # And the conversation goes on.
    send(20.0, HMI, PLC, (49502, 9700))
    send(19.999, PLC, HMI, (9700, 49502))
    send(20.01, HMI, PLC, (49502, 9700))
    # A handshake.
    talk = Talk(recorder, HMI, PLC, 49503, FINS)
    talk.send(30.001, "c", "S")
    talk.send(30.0, "s", "SA")
    talk.send(30.002, "c", "A")
    talk.send(30.01, "c", "PA", b"x" * 10)
    # A connection that begins in the past.
    send(5.0, HMI, PLC, (49504, 9700))
    # The clock stands at 200 s from here on: 100 s are over for a datagram's connection …
    send(200.0, HMI, PLC, (49505, 9700))
    send(100.0, HMI, PLC, (49506, 9700))
    send(101.0, HMI, PLC, (49506, 9700))
    # … and 50 s are not.
    send(150.0, HMI, PLC, (49507, 9700))
    send(151.0, HMI, PLC, (49507, 9700))
    # YAF rejects what is older than its clock.
    for at in (199.0, 200.5):
        packet = ipv4(HMI.address, PLC.address, 253, b"x" * 10)
        recorder.add(at, ethernet(packet, HMI.mac, PLC.mac))
    return Capture("times_backwards", recorder, in_order_of_time=False)
