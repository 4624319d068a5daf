"""NTLM (MS-NLMP) for service detection: messages that others embed (SMB, GSS-API, DCE RPC)."""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.fields import FieldReader

_NEGOTIATE_VERSION: Final = 0x02000000
_NEGOTIATE_TARGET_INFO: Final = 0x00800000
_OEM_WORKSTATION_SUPPLIED: Final = 0x00002000
_OEM_DOMAIN_SUPPLIED: Final = 0x00001000
_REQUEST_TARGET: Final = 0x00000004

# Offset in the message at which each type's payload begins (MS-NLMP 2.2.1, without the fields
# that not every implementation sends).
_NEGOTIATE_PAYLOAD: Final = 32
_CHALLENGE_PAYLOAD: Final = 48
_AUTHENTICATE_PAYLOAD: Final = 64

_VERSION: Final = 8
"""Octets of the VERSION structure."""


@final
class NtlmAnalyzer(Analyzer):
    """NTLM messages of one exchange, service ``ntlm``; ``stream`` takes one message a call."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "ntlm")

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Judge one NTLM message."""
        reader = FieldReader(data, 0, len(data))
        reader.skip(8)
        kind = reader.u32le()
        if kind == 1:
            _negotiate(reader)
        elif kind == 2:
            if not _challenge(reader):
                self.violation()
        elif kind == 3:
            _authenticate(reader)
        if reader.failed:
            self.violation()
        else:
            self.confirm()


@final
class _Field:
    """Where a message says that one of its strings is."""

    __slots__ = ("length", "offset")

    def __init__(self, reader: FieldReader) -> None:
        self.length: Final = reader.u16le()
        reader.skip(2)
        self.offset: Final = reader.u32le()


def _check_string(reader: FieldReader, field: _Field, payload: int) -> None:
    """Fail unless the string lies in the payload, which begins here, ``payload`` octets in."""
    start = field.offset - payload
    if start < 0 or start + field.length > reader.remaining():
        reader.failed = True


def _check_version(reader: FieldReader, flags: int, payload: int, first: int) -> None:
    """Fail when a version is announced, the strings leave a gap for it, and it is not there."""
    if flags & _NEGOTIATE_VERSION != 0 and payload < first and reader.remaining() < _VERSION:
        reader.failed = True


def _negotiate(reader: FieldReader) -> None:
    flags = reader.u32le()
    domain = _Field(reader)
    workstation = _Field(reader)
    payload = _NEGOTIATE_PAYLOAD
    _check_version(reader, flags, payload, min(domain.offset, workstation.offset))
    if flags & _OEM_DOMAIN_SUPPLIED != 0:
        _check_string(reader, domain, payload)
    if flags & _OEM_WORKSTATION_SUPPLIED != 0:
        _check_string(reader, workstation, payload)


def _challenge(reader: FieldReader) -> bool:
    """Judge a challenge; false when its target information lacks the terminator."""
    name = _Field(reader)
    flags = reader.u32le()
    reader.skip(16)
    information = _Field(reader)
    payload = _CHALLENGE_PAYLOAD
    _check_version(reader, flags, payload, min(name.offset, information.offset))
    if flags & _REQUEST_TARGET != 0:
        _check_string(reader, name, payload)
    if flags & _NEGOTIATE_TARGET_INFO == 0 or reader.failed:
        return True
    reader.skip((information.offset - payload) & 0xFFFF)
    return _pairs(reader) or information.length == 0 or reader.failed


def _pairs(reader: FieldReader) -> bool:
    """Walk AV_PAIRs (MS-NLMP 2.2.2.1); whether they end with the terminator."""
    while reader.remaining() > 0:
        kind = reader.u16le()
        length = reader.u16le()
        if kind == 0:
            return True
        if kind <= 5 or kind == 9:
            reader.skip(length)
        elif kind == 6:
            reader.skip(4)
        elif kind == 7:
            reader.skip(8)
        elif kind == 8:
            reader.skip(8)
            custom_data = reader.u32le() & 1 != 0
            reader.skip(8 if custom_data else 4)
        elif kind == 10:
            reader.skip(2)
        else:
            reader.failed = True
    return False


def _authenticate(reader: FieldReader) -> None:
    reader.skip(8)
    response = _Field(reader)
    domain = _Field(reader)
    user = _Field(reader)
    workstation = _Field(reader)
    session_key = _Field(reader)
    flags = reader.u32le()
    payload = _AUTHENTICATE_PAYLOAD
    first = min(min(domain.offset, user.offset), min(workstation.offset, session_key.offset))
    _check_version(reader, flags, payload, first)
    for field in [response, domain, user, workstation, session_key]:
        if field.length > 0:
            _check_string(reader, field, payload)
