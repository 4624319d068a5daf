"""TCP: one connection for each conn_state, and the ways in which Zeek's direction can turn."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, Talk

FINS = 9600
"""A server port that Zeek does not count among likely server ports."""
MODBUS = 502
"""One that it does."""


def build() -> list[Capture]:
    """The capture ``tcp_states``."""
    recorder = Recorder()

    def talk(port: int, server_port: int = FINS) -> Talk:
        return Talk(recorder, HMI, PLC, port, server_port)

    # S0: nobody answers.
    talk(40001).send(0.0, "c", "S")

    # S0 twice: the third retransmission comes after the attempt was given up (5 s).
    attempt = talk(40002)
    for at in (10.0, 11.0, 13.0, 17.0):
        attempt.send(at, "c", "S", seq=1000)

    # REJ
    refused = talk(40003)
    refused.send(20.0, "c", "S")
    refused.send(20.001, "s", "RA", seq=0)

    # S1
    talk(40004).open(21.0)

    # SF
    complete = talk(40005)
    complete.open(22.0)
    complete.ask(22.01, b"q" * 10, b"r" * 20)
    complete.close(22.02)

    # S2: only the originator closes.
    half = talk(40006)
    half.open(23.0)
    half.send(23.01, "c", "FA")
    half.send(23.011, "s", "A")

    # S3: only the responder closes.
    half = talk(40007)
    half.open(24.0)
    half.send(24.01, "s", "FA")
    half.send(24.011, "c", "A")

    # RSTO
    reset = talk(40008)
    reset.open(25.0)
    reset.send(25.01, "c", "PA", b"x" * 5)
    reset.send(25.02, "c", "R")

    # RSTR
    reset = talk(40009)
    reset.open(26.0)
    reset.send(26.01, "c", "PA", b"x" * 5)
    reset.send(26.02, "s", "RA")

    # RSTOS0
    taken_back = talk(40010)
    taken_back.send(27.0, "c", "S")
    taken_back.send(27.5, "c", "R")

    # RSTRH: a SYN+ACK out of the blue, taken back; its port makes the sender the responder.
    stray = talk(40011, MODBUS)
    stray.send(28.0, "s", "SA", ack=1001)
    stray.send(28.5, "s", "R")

    # SHR: a SYN+ACK out of the blue and its FIN.
    stray = talk(40012, MODBUS)
    stray.send(29.0, "s", "SA", ack=1001)
    stray.send(29.5, "s", "FA", ack=1001)

    # SH: one direction of a whole connection.
    one_way = talk(40013)
    one_way.send(30.0, "c", "S")
    one_way.lose("s", 1)
    one_way.send(30.002, "c", "A")
    one_way.send(30.01, "c", "PA", b"x" * 5)
    one_way.send(30.02, "c", "FA")
    one_way.lose("s", 1)
    one_way.send(30.022, "c", "A")

    # OTH: midstream traffic.
    midstream = talk(40014)
    midstream.lose("c", 1)
    midstream.lose("s", 1)
    midstream.send(31.0, "c", "PA", b"x" * 5)
    midstream.send(31.001, "s", "PA", b"y" * 6)
    midstream.send(31.002, "c", "A")

    # RSTR after the originator's FIN.
    reset = talk(40015)
    reset.open(32.0)
    reset.send(32.01, "c", "FA")
    reset.send(32.02, "s", "RA")

    # RSTO after the originator's own FIN.
    reset = talk(40016)
    reset.open(33.0)
    reset.send(33.01, "c", "FA")
    reset.send(33.02, "c", "RA")

    # A SYN+ACK first, from a port that says nothing: turned when traffic follows.
    turned = talk(40017, 9700)
    turned.lose("c", 1)
    turned.send(34.0, "s", "SA")
    turned.send(34.001, "c", "A")
    turned.send(34.01, "c", "PA", b"x" * 5)
    turned.send(34.011, "s", "PA", b"y" * 6)

    # SYN+ACK and SYN in the wrong order.
    turned = talk(40018, 9700)
    turned.send(35.0, "s", "SA", ack=1001)
    turned.send(35.001, "c", "S")
    turned.send(35.002, "c", "A")

    # Simultaneous open.
    both = talk(40019)
    both.send(36.0, "c", "S")
    both.send(36.001, "s", "S")
    both.send(36.002, "c", "SA", seq=1000, ack=5001)
    both.send(36.003, "s", "SA", seq=5000, ack=1001)

    # SF, and a reset once both sides have closed.
    late = talk(40020)
    late.open(37.0)
    late.close(37.01)
    late.send(37.5, "c", "R")
    return [Capture("tcp_states", recorder)]
