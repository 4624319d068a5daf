"""GSS-API with SPNEGO (RFC 2743 section 3.1, RFC 4178) for service detection.

Tokens are embedded in SMB and DCE RPC; those that carry NTLM or Kerberos are handed on.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.asn1 import context_index, read_length, skip_header, skip_value
from osect_sensor.protocols.embedded import feed_embedded
from osect_sensor.protocols.fields import FieldReader
from osect_sensor.protocols.kerberos import KerberosAnalyzer
from osect_sensor.protocols.ntlm import NtlmAnalyzer

_APPLICATION_0: Final = 0x60
"""Tag of an initial context token."""

_MIC: Final = 0x0404
_WRAP: Final = 0x0504
"""Per-message tokens of Kerberos (RFC 4121 section 4.2.6), by their first two octets."""


@final
class GssapiAnalyzer(Analyzer):
    """GSS-API tokens of one exchange, service ``gssapi``; ``stream`` takes one token a call."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, "gssapi")
        self._ntlm: NtlmAnalyzer | None = None
        self._kerberos: KerberosAnalyzer | None = None

    def stream(self, from_orig: bool, data: bytes) -> None:
        """Judge one token and hand its mechanism's token on."""
        reader = FieldReader(data, 0, len(data))
        tag = reader.u8()
        kind = tag << 8 | (data[1] if len(data) > 1 else 0)
        read_length(reader)
        if kind != _MIC and kind != _WRAP:
            self._negotiation(reader, tag == _APPLICATION_0)
        if reader.failed:
            self.violation()
        else:
            self.confirm()

    def _negotiation(self, reader: FieldReader, initial: bool) -> None:
        """NegTokenInit, or NegTokenResp (RFC 4178 sections 4.2.1 and 4.2.2)."""
        if initial:
            skip_value(reader)
            skip_header(reader)
        skip_header(reader)
        while reader.remaining() > 0:
            index = context_index(reader.u8())
            field = reader.part(read_length(reader))
            if index == 2:
                self._mechanism_token(field, initial)
            elif index <= 3:
                skip_value(field)
            else:
                reader.failed = True
            if field.failed:
                reader.failed = True

    def _mechanism_token(self, field: FieldReader, from_orig: bool) -> None:
        token = field.take(skip_header(field))
        if token.startswith(b"NTLMSSP"):
            ntlm = self._ntlm
            if ntlm is None:
                ntlm = NtlmAnalyzer(self.connection)
                self._ntlm = ntlm
            feed_embedded(ntlm, from_orig, token)
        elif token.startswith(b"\x60"):
            reader = FieldReader(token, 0, len(token))
            skip_header(reader)
            skip_value(reader)
            reader.skip(2)
            if reader.failed:
                field.failed = True
                return
            kerberos = self._kerberos
            if kerberos is None:
                kerberos = KerberosAnalyzer(self.connection)
                self._kerberos = kerberos
            feed_embedded(kerberos, from_orig, reader.rest())
