"""DNS messages (RFC 1035 section 4) and the NetBIOS name service's variety of them (RFC 1002).

The parser follows Zeek's in what it tolerates: it reads what a truncated or malformed message
still holds, section by section, and stops at the first record that makes no sense.
"""

from __future__ import annotations

from typing import Final, final

from osect_sensor.wire.octets import ipv4_text, ipv6_text, u16, u32

HEADER_LENGTH: Final = 12

OPCODE_QUERY: Final = 0

NETBIOS_PORT: Final = 137

MAX_QUESTIONS: Final = 25
"""More questions than this and the datagram is not DNS (Zeek's ``dns_max_queries``)."""

MAX_POINTER_DEPTH: Final = 20
"""Compression pointers followed for one name (Zeek's ``dns_max_compression_chain_depth``)."""

MAX_NAME_LENGTH: Final = 512
"""Octets of one name as text: twice what RFC 1035 allows, so that oversized names still show."""

MAX_ALGORITHM_NAME_LENGTH: Final = 1023
"""Octets of the algorithm name in a TSIG record."""

# What became of a message.
PARSED: Final = 0
"""Questions and answers are all there."""
INCOMPLETE: Final = 1
"""The message ends early or makes no sense from some point on."""
TOO_MANY_QUESTIONS: Final = 2
UNSUPPORTED_OPCODE: Final = 3
TOO_SHORT: Final = 4
"""Not even a header."""

# Resource record types with a rule of their own (IANA "Resource Record (RR) TYPEs").
_A: Final = 1
_NS: Final = 2
_CNAME: Final = 5
_SOA: Final = 6
_WKS: Final = 11
_PTR: Final = 12
_HINFO: Final = 13
_MX: Final = 15
_TXT: Final = 16
_AAAA: Final = 28
_LOC: Final = 29
_NB: Final = 32
_SRV: Final = 33
_NAPTR: Final = 35
_A6: Final = 38
_OPT: Final = 41
_DS: Final = 43
_SSHFP: Final = 44
_RRSIG: Final = 46
_NSEC: Final = 47
_DNSKEY: Final = 48
_NSEC3: Final = 50
_NSEC3PARAM: Final = 51
_SVCB: Final = 64
_HTTPS: Final = 65
_SPF: Final = 99
_TKEY: Final = 249
_TSIG: Final = 250
_CAA: Final = 257
_BIND_SIGNING: Final = 65534
"""BIND 9's private type that signals the state of signing a zone."""

_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"

_NAME_STARTS: Final = 0xC0
_LONGEST_LABEL: Final = 63


@final
class Question:
    """One entry of the question section (RFC 1035 section 4.1.2)."""

    __slots__ = ("name", "qclass", "qtype")

    def __init__(self, name: bytes, qtype: int, qclass: int) -> None:
        self.name: Final = name
        """Lower case, without the trailing dot."""
        self.qtype: Final = qtype
        self.qclass: Final = qclass


@final
class Answer:
    """One record of the answer section, as text."""

    __slots__ = ("name", "text", "ttl")

    def __init__(self, name: bytes, text: bytes, ttl: int) -> None:
        self.name: Final = name
        """The name the record is about."""
        self.text: Final = text
        """What the record says, empty for what is not shown."""
        self.ttl: Final = ttl
        """Seconds."""


@final
class DnsMessage:
    """One message: parse with ``parse_message``, then read the attributes."""

    def __init__(self) -> None:
        self.status: int = TOO_SHORT
        self.not_dns: bool = False
        """Whether a record broke the protocol badly enough to doubt that this is DNS."""
        self.identifier: int = 0
        self.response: bool = False
        self.opcode: int = 0
        self.authoritative: bool = False
        self.truncated: bool = False
        self.recursion_desired: bool = False
        self.recursion_available: bool = False
        self.z: int = 0
        """The three bits RFC 1035 reserves, AD and CD of RFC 4035 among them."""
        self.rcode: int = 0
        self.question_count: int = 0
        self.answer_count: int = 0
        self.authority_count: int = 0
        self.additional_count: int = 0
        self.questions: list[Question] = []
        self.answers: list[Answer] = []
        """Records of the answer section; those of the other sections are not read."""


def parse_message(data: bytes, netbios: bool, to_netbios: bool) -> DnsMessage:
    """Read one message.

    ``netbios`` allows the opcodes of the NetBIOS name service; ``to_netbios`` (the responder's
    port is 137) its longer labels and its meaning of record type 33.
    """
    message = DnsMessage()
    if len(data) < HEADER_LENGTH:
        return message
    flags = u16(data, 2)
    message.identifier = u16(data, 0)
    message.response = flags & 0x8000 != 0
    message.opcode = flags >> 11 & 0x0F
    message.authoritative = flags & 0x0400 != 0
    message.truncated = flags & 0x0200 != 0
    message.recursion_desired = flags & 0x0100 != 0
    message.recursion_available = flags & 0x0080 != 0
    message.z = flags >> 4 & 0x07
    message.rcode = flags & 0x0F
    message.question_count = u16(data, 4)
    message.answer_count = u16(data, 6)
    message.authority_count = u16(data, 8)
    message.additional_count = u16(data, 10)
    if message.opcode != OPCODE_QUERY and not netbios:
        message.status = UNSUPPORTED_OPCODE
        return message
    if message.question_count > MAX_QUESTIONS:
        message.status = TOO_MANY_QUESTIONS
        return message
    reader = _Reader(data, to_netbios)
    message.status = INCOMPLETE
    for _ in range(message.question_count):
        if not _read_question(reader, message):
            return message
    for _ in range(message.answer_count):
        if not _read_answer(reader, message, to_netbios):
            return message
    message.status = PARSED
    return message


@final
class _Reader:
    """A cursor over a message. Reading past the end yields zeros and leaves it where it is."""

    def __init__(self, data: bytes, long_labels: bool) -> None:
        self._data: Final = data
        self._long_labels: Final = long_labels
        self.position: int = HEADER_LENGTH
        self.end: Final = len(data)

    def left(self) -> int:
        """Octets that are still to be read."""
        return self.end - self.position

    def u16(self) -> int:
        """The next 16-bit integer."""
        position = self.position
        if self.end - position < 2:
            return 0
        self.position = position + 2
        return u16(self._data, position)

    def u32(self) -> int:
        """The next 32-bit integer."""
        position = self.position
        if self.end - position < 4:
            return 0
        self.position = position + 4
        return u32(self._data, position)

    def octet(self) -> int:
        """The next octet."""
        position = self.position
        if position >= self.end:
            return 0
        self.position = position + 1
        return self._data[position]

    def octets(self, length: int) -> bytes:
        """The next ``length`` octets, fewer at the end."""
        start = self.position
        stop = min(self.end, start + max(length, 0))
        self.position = stop
        return self._data[start:stop]

    def skip(self, length: int) -> None:
        """Pass over ``length`` octets."""
        self.position = min(self.end, self.position + max(length, 0))

    def name(self, lower: bool, limit: int = MAX_NAME_LENGTH) -> bytes:
        """The next name (RFC 1035 section 4.1.4) as dotted text of at most ``limit`` octets."""
        text, self.position = self._name(b"", limit, self.position, self.end, lower, 0)
        return text

    def _name(
        self, text: bytes, limit: int, position: int, end: int, lower: bool, depth: int
    ) -> tuple[bytes, int]:
        """Append the name at ``position`` to ``text``; where reading goes on afterwards."""
        if depth > MAX_POINTER_DEPTH:
            return text, position
        data = self._data
        before = len(text)
        while position < end:
            label_start = position
            length = data[position]
            position += 1
            if position >= end or length == 0:
                break
            if length & _NAME_STARTS == _NAME_STARTS:
                target = (length & 0x3F) << 8 | data[position]
                position += 1
                if target < label_start:
                    # The tail must end before the pointer, which rules out loops.
                    text, _ = self._name(text, limit, target, label_start, True, depth + 1)
                break
            if length > end - position:
                position = end
                break
            if length > _LONGEST_LABEL and not self._long_labels:
                break
            if length >= limit - len(text):
                break
            text += data[position : position + length] + b"."
            position += length
        if len(text) - before >= 2 and text.endswith(b"."):
            text = text[: len(text) - 1]
        if lower:
            text = text[:before] + text[before:].lower()
        return text, position


def _read_question(reader: _Reader, message: DnsMessage) -> bool:
    name = reader.name(True)
    if reader.left() < 4:
        return False
    qtype = reader.u16()
    message.questions.append(Question(name, qtype, reader.u16()))
    return True


def _read_answer(reader: _Reader, message: DnsMessage, to_netbios: bool) -> bool:
    """Read one record of the answer section; whether the next one can be read."""
    name = reader.name(True)
    if reader.left() < 4:
        return False
    record_type = reader.u16()
    reader.u16()
    ttl = reader.u32()
    length = reader.u16()
    if length > reader.left() or (length == 0 and reader.left() > 0):
        return False
    return _read_data(reader, message, to_netbios, name, record_type, ttl, length)


def _read_data(
    reader: _Reader,
    message: DnsMessage,
    to_netbios: bool,
    name: bytes,
    record_type: int,
    ttl: int,
    length: int,
) -> bool:
    """Read a record's data and note what it says; whether the next record can be read.

    Most types trust their own contents over ``length``; a record whose length lies thereby shifts
    what follows, as it does for Zeek.
    """
    start = reader.position
    text = b""
    if record_type == _A:
        if length != 4:
            return False
        text = ipv4_text(reader.octets(4), 0).encode()
    elif record_type in (_AAAA, _A6):
        text = _read_ipv6(reader)
    elif record_type in (_NS, _CNAME, _PTR):
        text = reader.name(True)
    elif record_type == _SOA:
        text = reader.name(True)
        reader.name(True)
        if reader.left() < 20:
            return False
        reader.skip(20)
    elif record_type == _WKS:
        # Counted as an answer but neither shown nor passed over.
        pass
    elif record_type == _MX:
        reader.u16()
        text = reader.name(True)
    elif record_type in (_TXT, _SPF):
        kind = b"TXT" if record_type == _TXT else b"SPF"
        text, rest = _read_strings(reader, kind, length)
        message.answers.append(Answer(name, text, ttl))
        return rest == 0
    elif record_type == _SRV:
        if to_netbios:
            # NBSTAT (RFC 1002 section 4.2.18), which is not read.
            return True
        reader.u16()
        reader.u16()
        reader.u16()
        text = reader.name(True)
    elif record_type == _NAPTR:
        return _read_naptr(reader, message, name, ttl, length)
    elif record_type == _OPT:
        return _skip_options(reader)
    elif record_type == _TSIG:
        _skip_signature(reader)
        return True
    elif record_type == _RRSIG:
        if reader.left() < 18:
            return False
        covered = reader.u16()
        reader.skip(16)
        signer_start = reader.position
        signer = reader.name(True)
        reader.skip(length - (reader.position - signer_start) - 18)
        text = b"RRSIG %d %s" % (covered, signer if signer != b"" else b"<Root>")
    elif record_type == _DNSKEY:
        if reader.left() < 4:
            return False
        reader.skip(3)
        text = b"DNSKEY %d" % reader.octet()
        reader.skip(length - 4)
    elif record_type == _NSEC:
        following = reader.name(True)
        _skip_type_bitmaps(reader, length - (reader.position - start))
        text = b"NSEC %s %s" % (name, following)
    elif record_type == _NSEC3:
        if reader.left() < 6:
            return False
        reader.skip(4)
        reader.skip(reader.octet())
        reader.skip(reader.octet())
        _skip_type_bitmaps(reader, length - (reader.position - start))
        text = b"NSEC3"
    elif record_type == _NSEC3PARAM:
        if reader.left() < 5:
            return False
        reader.skip(4)
        reader.skip(reader.octet())
        text = b"NSEC3PARAM"
    elif record_type == _DS:
        if reader.left() < 4:
            return False
        reader.skip(2)
        algorithm = reader.octet()
        text = b"DS %d %d" % (algorithm, reader.octet())
        reader.skip(length - 4)
    elif record_type == _BIND_SIGNING:
        if reader.left() < 5:
            return False
        reader.skip(4)
        reader.skip(length - 4)
        text = b"BIND9 signing signal"
    elif record_type == _SSHFP:
        if reader.left() < 2:
            return False
        reader.skip(2)
        text = b"SSHFP: " + reader.octets(length - 2).hex().encode()
    elif record_type == _LOC:
        if reader.left() < 15:
            return False
        reader.skip(1)
        size = reader.octet()
        horizontal = reader.octet()
        text = b"LOC:  %d %d %d" % (size, horizontal, reader.octet())
        reader.u32()
        reader.u32()
        reader.u32()
    elif record_type in (_SVCB, _HTTPS):
        if reader.left() < 3:
            return False
        reader.u16()
        reader.name(False)
        reader.skip(length - (reader.position - start))
        return True
    elif record_type in (_HINFO, _CAA, _TKEY, _NB):
        reader.skip(length)
        return True
    else:
        text = b"<unknown type=%d>" % record_type
        reader.skip(length)
    message.answers.append(Answer(name, text, ttl))
    return True


def _read_ipv6(reader: _Reader) -> bytes:
    address = b""
    for _ in range(4):
        octets = reader.octets(4) if reader.left() >= 4 else b""
        address += octets if len(octets) == 4 else bytes(4)
    if address.startswith(_IPV4_MAPPED):
        return ipv4_text(address, 12).encode()
    return ipv6_text(address, 0).encode()


def _read_string(reader: _Reader, length: int) -> tuple[bytes, int]:
    """A <character-string> within ``length`` octets; what is left, less than 0 without a string."""
    if length <= 0 or reader.left() <= 0:
        return b"", -1
    size = reader.octet()
    length -= 1
    if size > length:
        return b"", -1
    return reader.octets(size), length - size


def _read_strings(reader: _Reader, kind: bytes, length: int) -> tuple[bytes, int]:
    """All <character-string>s of a TXT record as text; how many octets no string covers."""
    text = b""
    while length > 0:
        string, rest = _read_string(reader, length)
        if rest < 0:
            # The length octet of a string that does not fit is gone all the same.
            return text, length - 1
        if text != b"":
            text += b" "
        text += b"%s %d %s" % (kind, len(string), string)
        length = rest
    return text, length


def _read_naptr(reader: _Reader, message: DnsMessage, name: bytes, ttl: int, length: int) -> bool:
    """RFC 3403 section 4.1."""
    order = reader.u16()
    preference = reader.u16()
    length -= 4
    if reader.left() <= 0 or length <= 0:
        message.not_dns = True
        return False
    flags, length = _read_string(reader, length)
    services, after_services = _read_string(reader, length)
    expression, after_expression = _read_string(reader, after_services)
    replacement = reader.name(False)
    if length < 0 or after_services < 0 or after_expression < 0:
        message.not_dns = True
        return False
    rule = expression
    if replacement != b"":
        rule = rule + b" " + replacement if rule != b"" else replacement
    text = b"NAPTR %d %d %s %s %s" % (order, preference, flags, services, rule)
    message.answers.append(Answer(name, text, ttl))
    return True


def _skip_options(reader: _Reader) -> bool:
    """Pass over EDNS options (RFC 6891 section 6.1.2): all that is left of the message."""
    while reader.left() >= 4:
        reader.u16()
        length = reader.u16()
        if length > reader.left():
            break
        reader.skip(length)
    return reader.left() <= 0


def _skip_signature(reader: _Reader) -> None:
    """Pass over a TSIG record (RFC 8945 section 4.2)."""
    reader.name(True, MAX_ALGORITHM_NAME_LENGTH)
    reader.u32()
    reader.u16()
    reader.u16()
    reader.skip(reader.u16())
    reader.u16()
    reader.u16()
    reader.skip(reader.u16())


def _skip_type_bitmaps(reader: _Reader, length: int) -> None:
    """Pass over the type bit maps of NSEC and NSEC3 (RFC 4034 section 4.1.2)."""
    while length > 0 and reader.left() > 0:
        size = reader.u16() & 0xFF
        if size == 0:
            break
        reader.skip(size)
        length -= 2 + size


def netbios_name(encoded: bytes) -> bytes:
    """Decode a first-level encoded NetBIOS name (RFC 1001 section 14.1) without its type octet.

    Empty where it is no such encoding. Decoding stops at the first octet that does not print;
    trailing spaces and NULs are dropped.
    """
    if len(encoded) != 32:
        return b""
    upper = encoded.upper()
    decoded: list[int] = []
    for index in range(16):
        high = upper[2 * index] - 0x41
        low = upper[2 * index + 1] - 0x41
        if high < 0 or high > 15 or low < 0 or low > 15:
            return b""
        octet = high << 4 | low
        if not (0x20 <= octet < 0x7F or octet < 3):
            break
        decoded.append(octet)
    length = min(len(decoded), 15)
    while length > 0 and (decoded[length - 1] == 0x20 or decoded[length - 1] == 0):
        length -= 1
    return bytes(decoded[:length])
