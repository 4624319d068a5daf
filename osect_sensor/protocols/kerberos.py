"""Kerberos 5 (RFC 4120) for service detection, over UDP, over TCP and inside GSS-API.

The messages are walked the way Zeek walks them, which is not quite RFC 4120: contents are mostly
taken by their lengths, and KRB-SAFE never comes out right (its body swallows the checksum).
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import VIOLATIONS_COUNT_UP_TO, Analyzer, Connection
from osect_sensor.protocols.asn1 import (
    SEQUENCE,
    context_index,
    read_length,
    read_number,
    skip_header,
    skip_value,
)
from osect_sensor.protocols.fields import FieldReader, MessageBuffer
from osect_sensor.wire.octets import u32

# Message types (RFC 4120 section 7.5.7); a message's tag is [APPLICATION type], 0x60 + type.
_APPLICATION: Final = 0x60
_AS_REQ: Final = 10
_AS_REP: Final = 11
_TGS_REQ: Final = 12
_TGS_REP: Final = 13
_AP_REQ: Final = 14
_AP_REP: Final = 15
_PRIV: Final = 21
_CRED: Final = 22
_ERROR: Final = 30

# Pre-authentication data types (RFC 4120 section 7.5.2, RFC 4556 section 3.1.3).
_PA_TGS_REQ: Final = 1
_PA_ENC_TIMESTAMP: Final = 2
_PA_PW_SALT: Final = 3
_PA_ETYPE_INFO: Final = 11
_PA_PK_AS_REQ: Final = 16
_PA_PK_AS_REP: Final = 17
_PA_ETYPE_INFO2: Final = 19

_PREAUTH_REQUIRED: Final = 25
"""Error code KDC_ERR_PREAUTH_REQUIRED: its data lists pre-authentication methods."""

_MAX_SIZE: Final = 0x7FFFFFFB
"""Largest message length over TCP that stays positive as a C ``int`` with its own 4 octets."""


@final
class KerberosAnalyzer(Analyzer):
    """Kerberos messages as datagrams or inside GSS-API, service ``krb``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "krb")

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Judge one message."""
        self.stream(from_orig, data)

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Judge one message that GSS-API carried; each call is a whole one."""
        if not parse_message(self, FieldReader(data, 0, len(data))):
            self.violation()

    def violation(self) -> None:
        """Disown the connection; inside TCP, gaps are no excuse for a message that is whole."""
        if self.connection.payload_size() > VIOLATIONS_COUNT_UP_TO:
            return
        self.alive = False
        self.connection.withdraw(self.service)


@final
class KerberosTcpAnalyzer(Analyzer):
    """Kerberos over TCP (RFC 4120 section 7.2.2), service ``krb_tcp``."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "krb_tcp")
        self._orig: Final = MessageBuffer()
        self._resp: Final = MessageBuffer()
        self._had_gap: bool = False

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction and judge the messages they complete."""
        if self.connection.partial or self._had_gap:
            return
        buffer = self._orig if from_orig else self._resp
        data = buffer.gather(data)
        position = 0
        while len(data) - position >= 4:
            size = u32(data, position)
            if size > _MAX_SIZE:
                size = 0
            end = position + 4 + size
            if end > len(data):
                buffer.keep(data, position, 4 + size)
                return
            if not parse_message(self, FieldReader(data, position + 4, end)):
                buffer.clear()
                self.violation()
                return
            position = end
        buffer.keep(data, position, 4)

    def gap(self, from_orig: bool, length: int) -> None:
        """Stop: message boundaries are lost."""
        self._had_gap = True


def parse_message(analyzer: Analyzer, reader: FieldReader) -> bool:
    """Walk one message and let ``analyzer`` confirm when it is whole; false when it is not.

    The AP-REQ inside a TGS-REQ confirms by itself.
    """
    kind = reader.u8() - _APPLICATION
    read_length(reader)
    if kind in (_AS_REQ, _TGS_REQ):
        _kdc_request(analyzer, reader)
    elif kind in (_AS_REP, _TGS_REP):
        _kdc_reply(analyzer, reader)
    elif kind == _AP_REQ:
        _ap_request(reader)
    elif kind in (_AP_REP, _PRIV):
        _element(reader)
        _element(reader)
        _encrypted_part(reader)
    elif kind == _CRED:
        _element(reader)
        _element(reader)
        skip_header(reader)
        skip_header(reader)
        _tickets(reader)
        _encrypted_part(reader)
    elif kind == _ERROR:
        _error(analyzer, reader)
    else:
        reader.failed = True
    if reader.failed:
        return False
    analyzer.confirm()
    return True


def _element(reader: FieldReader) -> None:
    """A context tag's header and the value in it."""
    skip_header(reader)
    skip_value(reader)


def _kdc_request(analyzer: Analyzer, reader: FieldReader) -> None:
    skip_header(reader)
    _element(reader)
    _element(reader)
    _optional_preauthentication(analyzer, reader, 3)
    skip_header(reader)
    while reader.remaining() > 0:
        index = context_index(reader.u8())
        field = reader.part(read_length(reader))
        if index == 0:
            skip_header(field)
            field.skip(5)
        elif index == 1 or index == 3:
            _principal_name(field)
        elif index == 2 or index == 7 or index == 10:
            skip_value(field)
        elif index == 4 or index == 5 or index == 6:
            skip_header(field)
        elif index == 8:
            skip_header(field)
            while field.remaining() > 0:
                skip_value(field)
        elif index == 9:
            skip_header(field)
            while field.remaining() > 0:
                skip_header(field)
                skip_header(field)
                skip_value(field)
                _element(field)
        elif index == 11:
            _tickets(field)
        if field.failed:
            reader.failed = True


def _kdc_reply(analyzer: Analyzer, reader: FieldReader) -> None:
    skip_header(reader)
    _element(reader)
    _element(reader)
    realm = reader.part(_optional_preauthentication(analyzer, reader, 2))
    skip_value(realm)
    name = reader.part(skip_header(reader))
    _principal_name(name)
    if realm.failed or name.failed:
        reader.failed = True
    skip_header(reader)
    _ticket(reader)
    _encrypted_part(reader)


def _ap_request(reader: FieldReader) -> None:
    skip_header(reader)
    _element(reader)
    _element(reader)
    skip_header(reader)
    skip_header(reader)
    reader.skip(5)
    skip_header(reader)
    _ticket(reader)
    _encrypted_part(reader)


def _error(analyzer: Analyzer, reader: FieldReader) -> None:
    skip_header(reader)
    while reader.remaining() > 0:
        if _error_field(analyzer, reader, 0):
            break
    code = read_number(reader)
    while reader.remaining() > 0:
        _error_field(analyzer, reader, code)


def _error_field(analyzer: Analyzer, reader: FieldReader, code: int) -> bool:
    """One field of KRB-ERROR; true for the error code's header, which its value follows."""
    index = context_index(reader.u8())
    length = read_length(reader)
    if index == 6:
        return True
    field = reader.part(length)
    if index == 2 or index == 4:
        skip_header(field)
    elif index == 8 or index == 10:
        _principal_name(field)
    elif index == 12:
        if code == _PREAUTH_REQUIRED:
            _preauthentication(analyzer, field, True)
    elif index <= 11:
        skip_value(field)
    else:
        reader.failed = True
    if field.failed:
        reader.failed = True
    return False


def _optional_preauthentication(analyzer: Analyzer, reader: FieldReader, wanted: int) -> int:
    """Pre-authentication data if field [wanted] is next; the length of the field after it."""
    index = context_index(reader.u8())
    length = read_length(reader)
    if index != wanted:
        return length
    field = reader.part(length)
    _preauthentication(analyzer, field, False)
    if field.failed:
        reader.failed = True
    return skip_header(reader)


def _preauthentication(analyzer: Analyzer, reader: FieldReader, in_error: bool) -> None:
    """A sequence of PA-DATA (RFC 4120 section 5.2.7), or an octet string that is let pass."""
    tag = reader.u8()
    length = read_length(reader)
    if tag != SEQUENCE:
        reader.skip(length)
        return
    while reader.remaining() > 0:
        skip_header(reader)
        skip_header(reader)
        kind = read_number(reader)
        length = skip_header(reader)
        if in_error:
            reader.skip(length)
        elif kind == _PA_TGS_REQ:
            skip_header(reader)
            skip_header(reader)
            _ap_request(reader)
            if not reader.failed:
                analyzer.confirm()
        elif kind == _PA_PW_SALT:
            skip_value(reader)
        else:
            value = reader.part(length)
            if kind == _PA_ENC_TIMESTAMP:
                _encrypted_data(value)
            elif kind in (_PA_PK_AS_REQ, _PA_PK_AS_REP):
                # Seven headers lie around the signed data's type and version in either message.
                for _ in range(4 if kind == _PA_PK_AS_REQ else 5):
                    skip_header(value)
                skip_value(value)
                for _ in range(2):
                    skip_header(value)
                for _ in range(3):
                    skip_value(value)
                value.skip(skip_header(value))
            elif kind in (_PA_ETYPE_INFO, _PA_ETYPE_INFO2):
                _etype_info(value)
            else:
                skip_value(value)
            if value.failed:
                reader.failed = True


def _etype_info(reader: FieldReader) -> None:
    """The first entry of ETYPE-INFO or ETYPE-INFO2; one of up to 7 octets has no salt."""
    skip_header(reader)
    entry = skip_header(reader)
    skip_header(reader)
    skip_value(reader)
    if entry < 0 or entry > 7:
        skip_header(reader)
        reader.skip(skip_header(reader))


def _principal_name(reader: FieldReader) -> None:
    """PrincipalName (RFC 4120 section 5.2.2); it fills what is left."""
    skip_header(reader)
    skip_header(reader)
    skip_value(reader)
    skip_header(reader)
    skip_header(reader)
    while reader.remaining() > 0:
        skip_value(reader)


def _tickets(reader: FieldReader) -> None:
    tickets = reader.part(skip_header(reader))
    while tickets.remaining() > 0:
        _ticket(tickets)
    if tickets.failed:
        reader.failed = True


def _ticket(reader: FieldReader) -> None:
    """Ticket (RFC 4120 section 5.3), from its application tag on."""
    skip_header(reader)
    skip_header(reader)
    _element(reader)
    _element(reader)
    name = reader.part(skip_header(reader))
    _principal_name(name)
    if name.failed:
        reader.failed = True
    _encrypted_part(reader)


def _encrypted_part(reader: FieldReader) -> None:
    part = reader.part(skip_header(reader))
    _encrypted_data(part)
    if part.failed:
        reader.failed = True


def _encrypted_data(reader: FieldReader) -> None:
    """EncryptedData (RFC 4120 section 5.2.9), with or without a key version."""
    skip_header(reader)
    _element(reader)
    index = context_index(reader.u8())
    length = read_length(reader)
    if index == 1:
        skip_value(reader)
        length = skip_header(reader)
    cipher = reader.part(length)
    skip_value(cipher)
    if cipher.failed:
        reader.failed = True
