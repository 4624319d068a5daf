"""LDAP (RFC 4511), its SASL layers and StartTLS, for service detection.

Every message that parses confirms. Operations are judged as strictly as Zeek does, which is not
always LDAP: a ModifyRequest, DelRequest or AbandonRequest, or a result with referrals, disowns.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import (
    Analyzer,
    Connection,
    deliver_stream,
    finish_all,
)
from osect_sensor.protocols.fields import FieldReader, MessageBuffer
from osect_sensor.wire.octets import u32

# Tag classes and universal types (ITU-T X.690).
_UNIVERSAL: Final = 0
_APPLICATION: Final = 1
_CONTEXT: Final = 2
_BOOLEAN: Final = 1
_INTEGER: Final = 2
_BIT_STRING: Final = 3
_OCTET_STRING: Final = 4
_NULL: Final = 5
_OBJECT_IDENTIFIER: Final = 6
_ENUMERATED: Final = 10
_UTF8_STRING: Final = 12
_SEQUENCE: Final = 16
_SET: Final = 17
_FIRST_STRING: Final = 18
_LAST_STRING: Final = 30

MAX_NESTING: Final = 32
"""Depth of values inside values (Zeek's ``MAX_ASN1_DEPTH``)."""
MAX_FILTER_NESTING: Final = 20
"""Depth of filters inside filters (Zeek's ``MAX_RECURSION_DEPTH``)."""

# Operations (RFC 4511 section 4.2 and on), by their application tag.
_BIND_REQUEST: Final = 0
_BIND_RESPONSE: Final = 1
_UNBIND_REQUEST: Final = 2
_SEARCH_REQUEST: Final = 3
_SEARCH_RESULT_ENTRY: Final = 4
_SEARCH_RESULT_DONE: Final = 5
_MODIFY_REQUEST: Final = 6
_MODIFY_RESPONSE: Final = 7
_ADD_REQUEST: Final = 8
_ADD_RESPONSE: Final = 9
_DEL_REQUEST: Final = 10
_DEL_RESPONSE: Final = 11
_MOD_DN_REQUEST: Final = 12
_MOD_DN_RESPONSE: Final = 13
_COMPARE_REQUEST: Final = 14
_COMPARE_RESPONSE: Final = 15
_ABANDON_REQUEST: Final = 16
_SEARCH_RESULT_REFERENCE: Final = 19
_EXTENDED_REQUEST: Final = 23
_EXTENDED_RESPONSE: Final = 24
_INTERMEDIATE_RESPONSE: Final = 25

# How a client authenticates (RFC 4511 section 4.2, MS-ADTS 5.1.1.1.3).
_SASL: Final = 3
_SICILY_NEGOTIATE: Final = 10
_SICILY_RESPONSE: Final = 11

_SUCCESS: Final = 0
_START_TLS: Final = b"1.3.6.1.4.1.1466.20037"
_SPNEGO_OID: Final = b"\x2b\x06\x01\x05\x05\x02"
_MS_KERBEROS_OID: Final = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"
_WRAP_TOKEN: Final = 0x0504
"""First octets of a Kerberos wrap token (RFC 4121 section 4.2.6.2)."""

# What the next message is wrapped in.
_PLAIN: Final = 0
_MS_KERBEROS: Final = 1
_TLS: Final = 2
_MAYBE_ENCRYPTED: Final = 3
_ENCRYPTED: Final = 4

# How an attempt to parse a message ended, other than with its length.
_NEED_MORE: Final = 0
_MALFORMED: Final = -1


@final
class LdapAnalyzer(Analyzer):
    """LDAP on one connection, service ``ldap_tcp`` or ``ldap_udp``."""

    def __init__(self, connection: Connection, over_tcp: bool) -> None:
        super().__init__(connection, "ldap_tcp" if over_tcp else "ldap_udp")
        self._orig: Final = MessageBuffer()
        self._resp: Final = MessageBuffer()
        self._wrapping: int = _PLAIN
        self._mechanism: bytes = b""
        """SASL mechanism that the client chose."""
        self._start_tls: bool = False
        """Whether the client asked for StartTLS."""
        self._tls: list[Analyzer] | None = None

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Take the next octets of one direction and judge the messages they complete."""
        buffer = self._orig if from_orig else self._resp
        data = buffer.gather(data)
        position = 0
        while position < len(data):
            if self._wrapping == _TLS:
                self._forward(from_orig, data[position:])
                return
            end = self._message(data, position, len(data))
            if end == _MALFORMED:
                self._disown()
                return
            if end <= position:
                buffer.keep(data, position, max(-end, len(data) - position + 1))
                return
            position = end
        buffer.keep(data, position, 1)

    def datagram(self, from_orig: bool, data: bytes, length: int) -> None:
        """Judge the messages of one datagram."""
        position = 0
        while position < len(data):
            if self._wrapping == _TLS:
                return
            end = self._message(data, position, len(data))
            if end <= position:
                self._disown()
                return
            position = end

    def gap(self, from_orig: bool, length: int) -> None:
        """Rest: message boundaries are lost."""
        self._rest()

    def end_of_stream(self, from_orig: bool) -> None:
        """A message that was cut off is malformed."""
        buffer = self._orig if from_orig else self._resp
        if buffer.held > 0 and self._wrapping != _TLS:
            self._disown()

    def finish(self) -> None:
        """Drop what is held; end what runs inside."""
        self._orig.clear()
        self._resp.clear()
        if self._tls is not None:
            finish_all(self._tls)
            self._tls = None

    def _disown(self) -> None:
        self.violation()
        self._rest()

    def _rest(self) -> None:
        """Take nothing more, whether or not the violation counted."""
        self.alive = False
        self._orig.clear()
        self._resp.clear()

    def _forward(self, from_orig: bool, data: bytes) -> None:
        """Hand octets on to TLS after StartTLS (RFC 4511 section 4.14)."""
        tls = self._tls
        if tls is None:
            tls = self.connection.context.stream_analyzers(self.connection, "ssl")
            self._tls = tls
        deliver_stream(tls, from_orig, data)

    def _message(self, data: bytes, position: int, end: int) -> int:
        """Judge the message at ``position``: where it ends, ``_MALFORMED``, or minus the octets
        that it needs (``_NEED_MORE`` when that is not known)."""
        if self._wrapping == _MAYBE_ENCRYPTED:
            if not self._explore(data, position, end):
                return _NEED_MORE
        if self._wrapping == _PLAIN:
            return self._plain(data, position, end)
        if end - position < 4:
            return _NEED_MORE
        size = 4 + u32(data, position)
        if size > end - position:
            return -size
        if self._wrapping == _MS_KERBEROS:
            if not self._kerberos_wrapped(FieldReader(data, position, position + size), size):
                return _MALFORMED
        return position + size

    def _explore(self, data: bytes, position: int, end: int) -> bool:
        """After SASL: decide by the first octets whether messages are encrypted; false for more."""
        if data[position] == 0x30:
            self._wrapping = _PLAIN
            return True
        if self._mechanism == b"" or self._mechanism.startswith(b"GSS"):
            if end - position < 4:
                return False
            if u32(data, position) >= 2:
                if end - position < 6:
                    return False
                if data[position + 4] << 8 | data[position + 5] == _WRAP_TOKEN:
                    self._wrapping = _MS_KERBEROS
                    return True
        self._wrapping = _ENCRYPTED
        return True

    def _kerberos_wrapped(self, reader: FieldReader, size: int) -> bool:
        """A wrap token with the messages in it, if it is not sealed (RFC 4121 section 4.2.6.2)."""
        reader.skip(4)
        if reader.u16() != _WRAP_TOKEN:
            return reader.intact()
        sealed = reader.u8() & 2 != 0
        filler = reader.u8()
        extra = reader.u16()
        rotation = reader.u16()
        reader.skip(8)
        if filler != 0xFF:
            return False
        trailer = 0
        if rotation == extra:
            reader.skip(extra)
        elif rotation == 0:
            trailer = extra
        elif not sealed:
            return False
        if not reader.intact() or trailer > reader.remaining():
            return False
        position = reader.position
        end = reader.end - trailer
        if sealed:
            return True
        while position < end:
            after = self._plain(reader.data, position, end)
            if after <= position:
                return False
            position = after
        return True

    def _plain(self, data: bytes, position: int, end: int) -> int:
        """Judge an LDAPMessage (RFC 4511 section 4.1.1); answers like ``_message``."""
        if data[position] & 0xDF != _SEQUENCE:
            return _MALFORMED
        available = end - position
        if available < 2 or (data[position + 1] > 0x80 and available < data[position + 1] - 0x7E):
            return _NEED_MORE
        reader = FieldReader(data, position + 1, end)
        length = _read_length(reader)
        if not reader.intact():
            return _MALFORMED
        if reader.remaining() > 0 and data[reader.position] & 0xDF != _INTEGER:
            return _MALFORMED
        total = reader.position - position + length
        if total > available:
            return -total
        message = reader.part(length)
        _read_integer(message)
        tag = message.u8()
        size = _read_length(message)
        operation = message.part(size)
        if tag >> 6 != _APPLICATION or not message.intact():
            return _MALFORMED
        self._operation(operation, tag & 31)
        # What an operation leaves unread is as malformed as what it lacks.
        if not operation.intact() or operation.remaining() > 0:
            return _MALFORMED
        self.confirm()
        return reader.position

    def _operation(self, reader: FieldReader, operation: int) -> None:
        if operation == _BIND_REQUEST:
            self._bind_request(reader)
        elif operation == _BIND_RESPONSE:
            self._bind_response(reader)
        elif operation == _SEARCH_REQUEST:
            _search_request(reader)
        elif operation == _SEARCH_RESULT_ENTRY:
            _read_string(reader)
            _value(reader, True, 0)
        elif operation in (
            _SEARCH_RESULT_DONE,
            _MODIFY_RESPONSE,
            _ADD_RESPONSE,
            _DEL_RESPONSE,
            _MOD_DN_RESPONSE,
            _COMPARE_RESPONSE,
        ):
            _result(reader)
        elif operation in (_MODIFY_REQUEST, _DEL_REQUEST):
            _read_string(reader)
        elif operation == _ABANDON_REQUEST:
            _read_integer(reader)
        elif operation == _EXTENDED_REQUEST:
            self._extended_request(reader)
        elif operation == _EXTENDED_RESPONSE:
            self._extended_response(reader)
        elif operation in (
            _ADD_REQUEST,
            _COMPARE_REQUEST,
            _INTERMEDIATE_RESPONSE,
            _MOD_DN_REQUEST,
            _SEARCH_RESULT_REFERENCE,
        ):
            reader.skip(reader.remaining())
        elif operation != _UNBIND_REQUEST:
            reader.failed = True

    def _bind_request(self, reader: FieldReader) -> None:
        _read_integer(reader)
        _read_string(reader)
        kind = reader.u8()
        credentials = reader.part(_read_length(reader))
        if kind >> 6 == _UNIVERSAL:
            reader.failed = True
        if reader.failed or credentials.remaining() == 0:
            return
        method = kind & 31
        if method == _SASL:
            mechanism = _read_string(credentials)
            if mechanism == b"GSS-SPNEGO":
                _spnego_initial(credentials)
            if credentials.intact():
                self._mechanism = mechanism
        elif method in (_SICILY_NEGOTIATE, _SICILY_RESPONSE):
            if credentials.take(7) != b"NTLMSSP":
                credentials.failed = True
        if not credentials.intact():
            reader.failed = True

    def _bind_response(self, reader: FieldReader) -> None:
        code = _result(reader)
        if not reader.intact():
            return
        if self._mechanism != b"" and code == _SUCCESS:
            self._wrapping = _MAYBE_ENCRYPTED
        first = b""
        present = False
        while reader.remaining() > 0:
            if reader.u8() & 0xDF != _CONTEXT << 6 | 7:
                reader.failed = True
            payload = reader.take(_read_length(reader))
            if not present:
                first = payload
                present = True
        if present and self._mechanism == b"GSS-SPNEGO" and reader.intact():
            answer = FieldReader(first, 0, len(first))
            if _spnego_subsequent(answer):
                self._wrapping = _MS_KERBEROS
            if not answer.intact():
                reader.failed = True

    def _extended_request(self, reader: FieldReader) -> None:
        tag = reader.u8()
        name = reader.take(_read_length(reader))
        if tag >> 6 != _CONTEXT:
            reader.failed = True
        if reader.remaining() > 0:
            tag = reader.u8()
            reader.skip(_read_length(reader))
            if tag >> 6 != _CONTEXT:
                reader.failed = True
        if reader.intact() and name == _START_TLS:
            self._start_tls = True

    def _extended_response(self, reader: FieldReader) -> None:
        code = _result(reader)
        for _ in range(2):
            if reader.remaining() > 0:
                tag = reader.u8()
                reader.skip(_read_length(reader))
                if tag & 0xDF not in (_CONTEXT << 6 | 10, _CONTEXT << 6 | 11):
                    reader.failed = True
        if reader.intact() and self._start_tls and code == _SUCCESS:
            self._wrapping = _TLS


def _read_length(reader: FieldReader) -> int:
    """The length octets; the indefinite form and more than eight octets are malformed."""
    first = reader.u8()
    if first & 0x80 == 0:
        return first
    count = first & 0x7F
    position = reader.advance(count)
    if position < 0 or count == 0 or count > 8:
        reader.failed = True
        return 0
    length = 0
    for index in range(count):
        length = length << 8 | reader.data[position + index]
    return length


def _value(reader: FieldReader, recursive: bool, depth: int) -> int:
    """A whole value; answers the class and type of its tag as ``class << 5 | type``.

    Constructed universal values are entered if ``recursive``; otherwise only their header is
    stepped over, which is how Zeek's parser leaves them.
    """
    tag = reader.u8()
    length = _read_length(reader)
    kind = tag & 31
    tag_class = tag >> 6
    if tag_class != _UNIVERSAL:
        reader.skip(length)
    elif kind in (_SEQUENCE, _SET):
        if recursive:
            inner = reader.part(length)
            if depth >= MAX_NESTING and length > 0:
                reader.failed = True
                return tag_class << 5 | kind
            while inner.remaining() > 0:
                _value(inner, True, depth + 1)
            if inner.failed:
                reader.failed = True
    else:
        if (
            (kind == _BOOLEAN and length != 1)
            or (kind == _NULL and length != 0)
            or (kind in (_INTEGER, _ENUMERATED) and not 1 <= length <= 8)
            or (kind in (_BIT_STRING, _OBJECT_IDENTIFIER) and length == 0)
        ):
            reader.failed = True
        reader.skip(length)
    return tag_class << 5 | kind


def _read_integer(reader: FieldReader) -> int:
    """An integer or enumerated value; only whether it is small and which matters here."""
    start = reader.position
    kind = _value(reader, True, 0)
    if kind not in (_INTEGER, _ENUMERATED):
        reader.failed = True
    if reader.failed:
        return -1
    value = 0
    first = True
    body = FieldReader(reader.data, start + 1, reader.position)
    for _ in range(_read_length(body)):
        octet = body.u8()
        if first and octet & 0x80 != 0:
            return -1
        first = False
        value = value << 8 | octet
    return value


def _read_small(reader: FieldReader) -> int:
    """An integer or enumerated value that must fit an octet."""
    value = _read_integer(reader)
    if value < 0 or value > 255:
        reader.failed = True
    return value


def _read_string(reader: FieldReader) -> bytes:
    """The content of a value that Zeek takes for a string; an OID's is its encoding."""
    start = reader.position
    kind = _value(reader, True, 0)
    if kind not in (_OCTET_STRING, _OBJECT_IDENTIFIER, _UTF8_STRING) and not (
        _FIRST_STRING <= kind <= _LAST_STRING
    ):
        reader.failed = True
    if reader.failed:
        return b""
    body = FieldReader(reader.data, start + 1, reader.position)
    return body.take(_read_length(body))


def _result(reader: FieldReader) -> int:
    """LDAPResult (RFC 4511 section 4.1.9) without referral; answers the result code."""
    code = _read_small(reader)
    _read_string(reader)
    _read_string(reader)
    return code


def _search_request(reader: FieldReader) -> None:
    _read_string(reader)
    _read_small(reader)
    _read_small(reader)
    _read_integer(reader)
    _read_integer(reader)
    if _value(reader, True, 0) != _BOOLEAN:
        reader.failed = True
    _filter(reader, 0)
    _value(reader, True, 0)


def _filter(reader: FieldReader, depth: int) -> None:
    """A search filter (RFC 4511 section 4.5.1.7)."""
    if depth > MAX_FILTER_NESTING:
        reader.failed = True
        return
    tag = reader.u8()
    body = reader.part(_read_length(reader))
    kind = tag & 31
    if tag >> 6 == _UNIVERSAL or kind > 9:
        reader.failed = True
    elif kind in (0, 1):
        while body.remaining() > 0:
            _filter(body, depth + 1)
    elif kind == 2:
        _filter(body, depth + 1)
    elif kind == 4:
        body.skip(1)
        body.skip(body.u8())
        body.skip(1)
        parts = body.part(_read_length(body))
        while parts.remaining() > 0:
            part = parts.u8()
            parts.skip(_read_length(parts))
            if part >> 6 == _UNIVERSAL or part & 31 > 2:
                parts.failed = True
        if parts.failed:
            body.failed = True
    elif kind != 7:
        # Zeek takes these lengths for single octets whatever they are.
        for _ in range(3 if kind == 9 else 2):
            body.skip(1)
            body.skip(body.u8())
    if body.failed:
        reader.failed = True


def _spnego_initial(reader: FieldReader) -> None:
    """The client's credentials: an initial or following SPNEGO token, or NTLM bare."""
    if reader.u8() & 31 != _OCTET_STRING:
        reader.failed = True
    _read_length(reader)
    first = reader.u8()
    if first == 0x60:
        _read_length(reader)
        if reader.u8() & 0xDF != _OBJECT_IDENTIFIER:
            reader.failed = True
        if reader.take(_read_length(reader)) != _SPNEGO_OID:
            reader.failed = True
    elif first == 0xA1:
        _read_length(reader)
    elif first != 0x4E or reader.take(6) != b"TLMSSP":
        reader.failed = True


def _spnego_subsequent(reader: FieldReader) -> bool:
    """The server's answer; true if it accepts Microsoft's Kerberos (RFC 4178 section 4.2.2)."""
    first = reader.u8()
    if first != 0xA1:
        if first != 0x4E or reader.take(6) != b"TLMSSP":
            reader.failed = True
        return False
    _read_length(reader)
    if reader.u8() & 0xDF not in (_SEQUENCE, _SET):
        reader.failed = True
    fields = reader.part(_read_length(reader))
    accepted = False
    kerberos = False
    token = False
    while fields.remaining() > 0:
        tag = fields.u8()
        content = fields.take(_read_length(fields))
        kind = tag & 31
        if tag >> 6 == _UNIVERSAL or kind > 3:
            fields.failed = True
        elif kind == 0:
            accepted = content == b"\x0a\x01\x00"
        elif kind == 1:
            mechanism = FieldReader(content, 0, len(content))
            kerberos = _read_string(mechanism) == _MS_KERBEROS_OID
            if mechanism.failed:
                fields.failed = True
        elif kind == 2:
            token = True
    if fields.failed:
        reader.failed = True
    return accepted and kerberos and token
