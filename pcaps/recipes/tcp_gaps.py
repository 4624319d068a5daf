"""TCP: holes in a stream, how much is held above them, and streams of which one way is seen."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, SERVER, Talk
from pcaps.recipes.http import HOST, message

FINS = 9600
OK = message("HTTP/1.1 200 OK", "Content-Length: 0")


def build() -> list[Capture]:
    """The captures ``tcp_gaps``, ``tcp_holding`` and ``tcp_one_way``."""
    return [gaps(), holding(), one_way()]


def gaps() -> Capture:
    """What the capture did not see but the receiver acknowledged."""
    recorder = Recorder()

    def opened(at: float, port: int) -> Talk:
        talk = Talk(recorder, HMI, PLC, port, FINS)
        talk.open(at)
        return talk

    # Three holes below one acknowledgement.
    talk = opened(0.0, 49001)
    for piece in range(3):
        talk.lose("c", 5)
        talk.send(0.01 + piece / 1000, "c", "PA", b"x" * 5)
    talk.send(0.02, "s", "A")

    # Ten holes, each acknowledged.
    talk = opened(1.0, 49002)
    for piece in range(10):
        talk.lose("c", 1)
        talk.send(1.01 + piece / 100, "c", "PA", b"x")
        talk.send(1.011 + piece / 100, "s", "A")

    # The end of the stream is missing, its FIN is not.
    talk = opened(2.0, 49003)
    talk.send(2.01, "c", "PA", b"x" * 10)
    talk.lose("c", 20)
    talk.send(2.02, "c", "FA")
    talk.send(2.021, "s", "A")
    talk.send(2.03, "s", "FA")
    talk.send(2.031, "c", "A")

    # What was missing is sent once more after its acknowledgement.
    talk = opened(3.0, 49004)
    talk.send(3.01, "c", "PA", b"x" * 10)
    talk.lose("c", 20)
    talk.send(3.02, "c", "PA", b"z" * 10)
    talk.send(3.021, "s", "A")
    talk.send(3.03, "c", "PA", b"y" * 20, seq=1011)

    # A connection whose handshake was not seen.
    talk = Talk(recorder, HMI, PLC, 49005, FINS)
    talk.send(4.01, "c", "PA", b"x" * 10)
    talk.send(4.011, "s", "PA", b"y" * 5)
    talk.lose("c", 7)
    talk.send(4.02, "c", "PA", b"x" * 10)
    talk.send(4.021, "s", "A")

    # The responder's stream.
    talk = opened(5.0, 49006)
    talk.lose("s", 30)
    talk.send(5.01, "s", "PA", b"y" * 10)
    talk.send(5.011, "c", "A")
    return Capture("tcp_gaps", recorder)


LENGTH = 7 + 20 + 18000


def holding() -> Capture:
    """An upload with a hole of 20 octets and 18000 above it.

    16384 octets above a hole are the most that is held for an endpoint of which nothing has been
    acknowledged yet. Beyond that the stream is given up and nothing in it is reported any more.
    """
    recorder = Recorder()
    post = message("POST /upload HTTP/1.1", HOST, f"Content-Length: {LENGTH}", body=b"b" * 7)

    def upload(at: float, port: int, acknowledged: bool) -> None:
        talk = Talk(recorder, HMI, SERVER, port, 80)
        talk.open(at)
        talk.send(at + 0.01, "c", "PA", post)
        if acknowledged:
            talk.send(at + 0.011, "s", "A")
        talk.lose("c", 20)
        for piece in range(18):
            talk.send(at + 0.012 + piece / 10_000, "c", "PA", b"c" * 1000)
        talk.send(at + 0.02, "s", "PA", OK)
        talk.send(at + 0.021, "c", "A")
        talk.close(at + 0.03)

    upload(0.0, 49101, True)
    upload(1.0, 49102, False)
    return Capture("tcp_holding", recorder)


def one_way() -> Capture:
    """Only one direction was captured: more than is held without acknowledgements, and no hole."""
    recorder = Recorder()

    # The client's.
    talk = Talk(recorder, HMI, SERVER, 49201, 80)
    talk.send(0.0, "c", "S")
    talk.lose("s", 1)
    talk.send(0.002, "c", "A")
    talk.send(0.01, "c", "PA", message("PUT /program HTTP/1.1", HOST, "Content-Length: 17000"))
    for piece in range(17):
        talk.send(0.011 + piece / 10_000, "c", "PA", b"b" * 1000)
    talk.lose("s", len(OK))
    talk.send(0.02, "c", "FA")

    # The server's.
    talk = Talk(recorder, HMI, SERVER, 49202, 80)
    talk.lose("c", 1)
    talk.send(1.001, "s", "SA")
    talk.lose("c", 60)
    talk.send(1.01, "s", "PA", message("HTTP/1.1 200 OK", "Content-Length: 17000"))
    for piece in range(17):
        talk.send(1.011 + piece / 10_000, "s", "A", b"b" * 1000)
    talk.lose("c", 1)
    talk.send(1.02, "s", "FA")
    return Capture("tcp_one_way", recorder)
