"""The client's certificate and key in one PEM file: who may read it, and until when it holds."""

from __future__ import annotations

import os
import ssl
import stat
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from osect_sensor.errors import OsectError

_ACL_ATTRIBUTE: Final = "system.posix_acl_access"
_ACL_ENTRY: Final = struct.Struct("<HHI")
_ACL_GROUP: Final = frozenset({0x04, 0x08})
"""Tags of the owning group and of a named group (linux/posix_acl.h)."""

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18

MAX_PEM_OCTETS: Final = 1024 * 1024
"""A certificate chain with its key takes some ten kilobytes."""


def _group_may_read(path: Path, mode: int) -> bool:
    """Whether a group can read the file; with an access list the group bits hold its mask only."""
    if mode & stat.S_IRWXG == 0:
        return False
    try:
        acl = os.getxattr(path, _ACL_ATTRIBUTE)
    except OSError:
        return True
    entries = [_ACL_ENTRY.unpack_from(acl, at) for at in range(4, len(acl) - 7, 8)]
    return any(tag in _ACL_GROUP and permissions != 0 for tag, permissions, _ in entries)


def check_key_file(path: Path) -> None:
    """Refuse a file with a private key that others than its owner can read.

    Files that systemd hands over with LoadCredential= pass: an access list gives them to the
    service's user alone.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise OsectError(
            f"the client certificate {path} cannot be read: {error.strerror}",
            "[upload] client_certificate names a PEM file with certificate and key",
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise OsectError(f"the client certificate {path} is no regular file")
    others = found.st_mode & stat.S_IRWXO != 0
    if others or _group_may_read(path, found.st_mode):
        raise OsectError(
            f"the private key in {path} can be read by others"
            f" (mode {stat.S_IMODE(found.st_mode):04o})",
            f"chmod 600 {path}",
        )


def _value(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the DER value at ``at`` (X.690 8.1); ValueError when it is cut."""
    if at + 2 > len(der):
        raise ValueError("cut off")
    tag, length, at = der[at], der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if count == 0 or count > 4 or at + count > len(der):
            raise ValueError("length")
        length = int.from_bytes(der[at : at + count], "big")
        at += count
    if at + length > len(der):
        raise ValueError("cut off")
    return tag, at, at + length


def _not_after(der: bytes) -> datetime:
    """End of the validity of an X.509 certificate (RFC 5280 section 4.1.2.5)."""
    _, at, _ = _value(der, 0)
    _, at, _ = _value(der, at)
    tag, _, end = _value(der, at)
    # version is optional; then serial number, signature algorithm and issuer before the validity.
    for _ in range(3 if tag != _VERSION else 4):
        _, _, end = _value(der, at)
        at = end
    tag, at, _ = _value(der, at)
    if tag != _SEQUENCE:
        raise ValueError("validity")
    _, _, at = _value(der, at)
    tag, at, end = _value(der, at)
    text = der[at:end].decode("ascii")
    if tag == _UTC_TIME:
        # Two digits of the year: 50 to 99 are 1950 to 1999.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def certificate_expiry(path: Path) -> datetime:
    """Until when the first certificate of a PEM file is valid: that of the client itself."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_PEM_OCTETS).decode("ascii", "replace")
    except OSError as error:
        raise OsectError(f"the certificate {path} cannot be read: {error.strerror}") from error
    start = text.find(_BEGIN)
    end = text.find(_END, start)
    if start < 0 or end < 0:
        raise OsectError(
            f"{path} holds no certificate", "put certificate and key in it, both in PEM"
        )
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(text[start : end + len(_END)]))
    except ValueError as error:
        raise OsectError(f"the certificate in {path} is damaged") from error
