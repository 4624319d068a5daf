"""Payloads that a Suricata rule looks for; the rules are in ``pcaps/rules``."""

from __future__ import annotations

from pcaps.capture import Capture, Recorder
from pcaps.frames import HMI, PLC, SERVER, Talk, ethernet, udp

MARK = b"osect-reference-mark"


def build() -> list[Capture]:
    """The capture ``signature``."""
    recorder = Recorder()
    marked = udp(HMI, PLC, 50001, 9700, b"before " + MARK + b" after")
    recorder.add(0.0, ethernet(marked, HMI.mac, PLC.mac))
    plain = udp(HMI, SERVER, 50002, 9700, b"before osect-reference-nothing after")
    recorder.add(1.0, ethernet(plain, HMI.mac, SERVER.mac))
    # The mark lies across two segments.
    talk = Talk(recorder, HMI, PLC, 50003, 9600)
    talk.open(2.0)
    talk.send(2.01, "c", "PA", b"first " + MARK[:9])
    talk.send(2.02, "s", "A")
    talk.send(2.03, "c", "PA", MARK[9:] + b" last")
    talk.send(2.04, "s", "A")
    talk.close(2.05)
    return [Capture("signature", recorder)]
