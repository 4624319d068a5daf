"""Encoders for the application messages that recipes carry: octets decided here, field by field."""

from __future__ import annotations

import ipaddress

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41
NB, NBSTAT = 32, 33
IN = 1


def dns_name(name: str) -> bytes:
    """A domain name as labels, uncompressed; "" is the root. Characters up to U+00FF are octets."""
    if name == "":
        return b"\0"
    parts = [label.encode("latin-1") for label in name.split(".")]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def question(name: str, kind: int, category: int = IN) -> bytes:
    """An entry of the question section."""
    return dns_name(name) + kind.to_bytes(2, "big") + category.to_bytes(2, "big")


def record(name: bytes, kind: int, ttl: int, data: bytes, category: int = IN) -> bytes:
    """A resource record; ``name`` is encoded, for instance a pointer."""
    return (
        name + kind.to_bytes(2, "big") + category.to_bytes(2, "big")
        + ttl.to_bytes(4, "big") + len(data).to_bytes(2, "big") + data
    )  # fmt: skip


POINTER = b"\xc0\x0c"
"""A compressed name: that of the first question."""


def address(text: str) -> bytes:
    """The octets of an IPv4 or IPv6 address."""
    return ipaddress.ip_address(text).packed


def dns(
    identifier: int, flags: int, questions: list[bytes], answers: list[bytes] | None = None,
    authority: list[bytes] | None = None, additional: list[bytes] | None = None,
) -> bytes:  # fmt: skip
    """A DNS message (RFC 1035 section 4.1)."""
    sections = [questions, answers or [], authority or [], additional or []]
    counts = b"".join(len(section).to_bytes(2, "big") for section in sections)
    head = identifier.to_bytes(2, "big") + flags.to_bytes(2, "big") + counts
    return head + b"".join(b"".join(section) for section in sections)


def netbios_name(name: str, kind: int, padding: str = " ") -> str:
    """First-level encoding (RFC 1001 section 14.1) of up to 15 characters and a type."""
    raw = name.ljust(15, padding).encode("latin-1") + bytes([kind])
    return "".join(chr(65 + (octet >> 4)) + chr(65 + (octet & 15)) for octet in raw)


def dhcp_option(code: int, data: bytes) -> bytes:
    """A DHCPv4 option."""
    return bytes([code, len(data)]) + data


def dhcp(
    operation: int, transaction: int, hardware: bytes, options: bytes,
    *, client: str = "0.0.0.0", yours: str = "0.0.0.0", flags: int = 0, end: bytes = b"\xff",
) -> bytes:  # fmt: skip
    """A BOOTP message with DHCP options (RFC 2131 section 2)."""
    return (
        bytes([operation, 1, len(hardware), 0]) + transaction.to_bytes(4, "big")
        + b"\0\0" + flags.to_bytes(2, "big") + address(client) + address(yours)
        + b"\0" * 8 + hardware.ljust(16, b"\0") + b"\0" * 192 + b"\x63\x82\x53\x63" + options + end
    )  # fmt: skip


def dhcpv6_option(code: int, data: bytes) -> bytes:
    """A DHCPv6 option."""
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def modbus(transaction: int, unit: int, body: bytes) -> bytes:
    """A Modbus/TCP message: header and function code with its data."""
    return (
        transaction.to_bytes(2, "big") + b"\0\0" + (len(body) + 1).to_bytes(2, "big")
        + bytes([unit]) + body
    )  # fmt: skip


def dns_labels(name: str) -> bytes:
    """A name as labels without its end: partial, as RFC 4704 allows."""
    return dns_name(name)[:-1]


def registration(
    identifier: int, name: str, kind: int, owner: str,
    *, flags: int = 0x2910, name_flags: int = 0, ttl: int = 300000,
) -> bytes:  # fmt: skip
    """A NetBIOS name registration request (RFC 1002 section 4.2.2)."""
    ask = question(netbios_name(name, kind), NB)
    extra = record(POINTER, NB, ttl, name_flags.to_bytes(2, "big") + address(owner))
    return dns(identifier, flags, [ask], additional=[extra])


def mailslot(
    source: str, destination: str, slot: str, data: bytes, owner: str, *, padding: bytes = b""
) -> bytes:
    """A NetBIOS datagram with an SMB transaction to a mailslot."""
    name = slot.encode("latin-1") + b"\0"
    names = dns_name(netbios_name(source, 0x20)) + dns_name(netbios_name(destination, 0x1E))
    offset = 32 + 1 + 34 + 2 + len(name) + len(padding)
    smb = b"\xffSMB\x25" + b"\0" * 27
    words = (
        b"\0\0" + len(data).to_bytes(2, "little") + b"\0" * 16 + b"\0\0"
        + len(data).to_bytes(2, "little") + offset.to_bytes(2, "little")
        + b"\x03\0" + b"\x01\0\x01\0\x02\0"
    )  # fmt: skip
    count = len(name) + len(padding) + len(data)
    smb += bytes([len(words) // 2]) + words + count.to_bytes(2, "little") + name + padding + data
    head = b"\x11\x02\x12\x34" + address(owner) + (138).to_bytes(2, "big")
    return head + (len(names) + len(smb)).to_bytes(2, "big") + b"\0\0" + names + smb


def announcement(
    opcode: int, name: bytes, comment: bytes, *, server_type: int = 0x11003,
    os_version: tuple[int, int] = (6, 1), browser_version: tuple[int, int] = (15, 1),
) -> bytes:  # fmt: skip
    """A browser announcement ([MS-BRWS] section 2.2.1)."""
    return (
        bytes([opcode, 0]) + b"\xc0\xd4\x01\x00" + name.ljust(16, b"\0") + bytes(os_version)
        + server_type.to_bytes(4, "little") + bytes(browser_version) + b"\x55\xaa" + comment
    )  # fmt: skip
