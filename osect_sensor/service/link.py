"""The link check of closed mobile networks: the modem must answer before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osect_sensor.errors import OsectError

if TYPE_CHECKING:
    from serial import Serial

REPLY_SECONDS: Final = 1.0
"""How long the modem may take for a line of its answer (ITU-T V.250 leaves it open)."""

MAX_REPLY_LINES: Final = 16
"""Echo, blank lines and unsolicited messages that may stand before the result code."""

MAX_LINE_OCTETS: Final = 256


def modem_answers(device: str, speed: int) -> bool:
    """Whether the modem on the serial port ``device`` answers ``AT`` with ``OK``; speed in baud.

    False when it says something else, says nothing, or is not there.
    """
    try:
        from serial import Serial, SerialException
    except ImportError as error:
        raise OsectError(
            f"the link check on {device} needs pyserial", "install python3-serial"
        ) from error
    try:
        with Serial(device, speed, timeout=REPLY_SECONDS, write_timeout=REPLY_SECONDS) as port:
            return _ask(port)
    except (SerialException, OSError):
        return False


def _ask(port: Serial) -> bool:
    # What the modem said before is no answer to this.
    port.reset_input_buffer()
    port.write(b"AT\r\n")
    for _ in range(MAX_REPLY_LINES):
        line = port.read_until(b"\n", MAX_LINE_OCTETS)
        if not line:
            return False
        if line.strip() == b"OK":
            return True
    return False
