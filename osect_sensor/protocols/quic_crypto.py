"""The protection of QUIC Initial packets (RFC 9001 section 5): HKDF, AES-128 and GCM.

Initial packets are protected with keys that follow from what the packets themselves say, so that
looking into them takes no secret. Only a few packets of a connection are Initials, which is why
plain code does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from osect_sensor.wire.octets import u32

if TYPE_CHECKING:
    from mypy_extensions import i64

_DIGEST_LENGTH: Final = 32
"""Octets of a SHA-256."""

TAG_LENGTH: Final = 16
"""Octets of the authentication tag behind the payload."""

SAMPLE_OFFSET: Final = 4
"""Where the header protection's sample begins, counted from the packet number."""

VERSION_1: Final = 0x00000001
VERSION_2: Final = 0x6B3343CF

_SALT_1: Final = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
_SALT_2: Final = bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")
_SALT_DRAFT_22: Final = bytes.fromhex("7fbcdb0e7c66bbe9193a96cd21519ebd7a02644a")
_SALT_DRAFT_23: Final = bytes.fromhex("c3eef712c72ebb5a11a7d2432bb46365bef9f502")
_SALT_DRAFT_29: Final = bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899")


def is_supported(version: int) -> bool:
    """Whether packets of ``version`` have a known form: 1, 2, drafts 22 to 34, and mvfst."""
    return (
        version in (VERSION_1, VERSION_2)
        or 4278190102 <= version <= 4278190114
        or version in (4207849473, 4207849474, 4207849486, 4207849489, 4207849490, 4207849491)
    )


def _salt(version: int) -> bytes:
    if version == VERSION_2:
        return _SALT_2
    if version == 0xFF000016 or version == 0xFACEB001:
        return _SALT_DRAFT_22
    if 0xFF000017 <= version <= 0xFF00001C or 0xFACEB002 <= version <= 0xFACEB013:
        return _SALT_DRAFT_23
    if 0xFF00001D <= version <= 0xFF000020:
        return _SALT_DRAFT_29
    return _SALT_1


def _expand_label(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1) for at most one hash of output."""
    full = b"tls13 " + label
    info = bytes([length >> 8, length & 0xFF, len(full)]) + full + b"\x00"
    return _hmac(secret, info + b"\x01")[:length]


def _hmac(key: bytes, message: bytes) -> bytes:
    # Here because it brings a library of cryptography, and most captures have no QUIC.
    import hmac

    return hmac.digest(key, message, "sha256")


def _multiply_by_x(value: int) -> int:
    value <<= 1
    return (value ^ 0x11B) & 0xFF if value & 0x100 != 0 else value


def _s_box() -> list[int]:
    """The substitution of AES (FIPS 197 section 5.1.1)."""
    # 3 generates the field: walk its powers and those of its inverse side by side.
    box = [0] * 256
    power = 1
    inverse = 1
    while True:
        power = power ^ _multiply_by_x(power)
        inverse ^= inverse << 1
        inverse ^= inverse << 2
        inverse ^= inverse << 4
        inverse &= 0xFF
        if inverse & 0x80 != 0:
            inverse ^= 0x09
        rotated = inverse | inverse << 8
        box[power] = (
            inverse ^ rotated >> 7 ^ rotated >> 6 ^ rotated >> 5 ^ rotated >> 4 ^ 0x63
        ) & 0xFF
        if power == 1:
            break
    box[0] = 0x63
    return box


def _round_table(box: list[int]) -> list[int]:
    """SubBytes and MixColumns of one octet, as the first of a column (FIPS 197 section 5.1.3)."""
    table: list[int] = []
    for value in box:
        double = _multiply_by_x(value)
        table.append(double << 24 | value << 16 | value << 8 | double ^ value)
    return table


_BOX: Final = _s_box()
_ROUND: Final = _round_table(_BOX)


def _rotated(table: list[int], bits: int) -> list[int]:
    rotated: list[int] = []
    for value in table:
        rotated.append((value >> bits | value << (32 - bits)) & 0xFFFFFFFF)
    return rotated


_ROUND_1: Final = _rotated(_ROUND, 8)
_ROUND_2: Final = _rotated(_ROUND, 16)
_ROUND_3: Final = _rotated(_ROUND, 24)


@final
class Aes128:
    """AES with a 128-bit key, encryption only (FIPS 197)."""

    def __init__(self, key: bytes) -> None:
        words: list[int] = []
        for index in range(4):
            words.append(u32(key, 4 * index))
        constant = 1
        for index in range(4, 44):
            word = words[index - 1]
            if index % 4 == 0:
                word = (word << 8 | word >> 24) & 0xFFFFFFFF
                word = (
                    _BOX[word >> 24] << 24
                    | _BOX[word >> 16 & 0xFF] << 16
                    | _BOX[word >> 8 & 0xFF] << 8
                    | _BOX[word & 0xFF]
                )
                word ^= constant << 24
                constant = _multiply_by_x(constant)
            words.append(words[index - 4] ^ word)
        self._words: list[int] = words

    def encrypt(self, block: bytes) -> int:
        """The encryption of 16 octets, as an integer."""
        words = self._words
        a = u32(block, 0) ^ words[0]
        b = u32(block, 4) ^ words[1]
        c = u32(block, 8) ^ words[2]
        d = u32(block, 12) ^ words[3]
        index: i64 = 4
        while index < 40:
            e = _column(a, b, c, d) ^ words[index]
            f = _column(b, c, d, a) ^ words[index + 1]
            g = _column(c, d, a, b) ^ words[index + 2]
            d = _column(d, a, b, c) ^ words[index + 3]
            a = e
            b = f
            c = g
            index += 4
        return _joined(
            _last_column(a, b, c, d) ^ words[40],
            _last_column(b, c, d, a) ^ words[41],
            _last_column(c, d, a, b) ^ words[42],
            _last_column(d, a, b, c) ^ words[43],
        )


def _joined(a: int, b: int, c: int, d: int) -> int:
    """Four words of 32 bits as one of 128."""
    return a << 96 | b << 64 | c << 32 | d


def _column(a: i64, b: i64, c: i64, d: i64) -> i64:
    return _ROUND[a >> 24] ^ _ROUND_1[b >> 16 & 0xFF] ^ _ROUND_2[c >> 8 & 0xFF] ^ _ROUND_3[d & 0xFF]


def _last_column(a: i64, b: i64, c: i64, d: i64) -> i64:
    return (
        _BOX[a >> 24] << 24 | _BOX[b >> 16 & 0xFF] << 16 | _BOX[c >> 8 & 0xFF] << 8 | _BOX[d & 0xFF]
    )


def _to_int(data: bytes, offset: int, end: int) -> int:
    """The octets from ``offset`` on, at most 16, as the left part of a 128-bit integer."""
    last = min(offset + 16, end)
    value = int.from_bytes(data[offset:last], "big")
    return value << 8 * (16 - (last - offset))


_POLYNOMIAL: Final = 0xE1 << 120


def _times_x(value: int) -> int:
    """The product with x in GCM's field, whose bits count from the left."""
    return value >> 1 ^ (_POLYNOMIAL if value & 1 != 0 else 0)


def _reductions() -> list[int]:
    """What four bits shifted out on the right come back as, in the leftmost word."""
    table: list[int] = []
    for value in range(16):
        for _ in range(4):
            value = _times_x(value)
        table.append(value >> 96)
    return table


_REDUCTION: Final = _reductions()


@final
class Ghash:
    """The hash of GCM, four bits at a time (NIST SP 800-38D section 6.4).

    In four words of 32 bits, the first the leftmost: integers of 128 bits take ten times as long.
    """

    def __init__(self, key: int) -> None:
        products = [0] * 16
        for single in (8, 4, 2, 1):
            products[single] = key
            key = _times_x(key)
        for value in range(16):
            for single in (8, 4, 2, 1):
                if value & single != 0 and value != single:
                    products[value] = products[single] ^ products[value - single]
                    break
        self._products_0: list[int] = [product >> 96 for product in products]
        self._products_1: list[int] = [product >> 64 & 0xFFFFFFFF for product in products]
        self._products_2: list[int] = [product >> 32 & 0xFFFFFFFF for product in products]
        self._products_3: list[int] = [product & 0xFFFFFFFF for product in products]
        self._word_0: i64 = 0
        self._word_1: i64 = 0
        self._word_2: i64 = 0
        self._word_3: i64 = 0

    def state(self) -> int:
        """The hash of what was added so far."""
        return _joined(self._word_0, self._word_1, self._word_2, self._word_3)

    def block(self, a: i64, b: i64, c: i64, d: i64) -> None:
        """Add one block of four words."""
        a ^= self._word_0
        b ^= self._word_1
        c ^= self._word_2
        d ^= self._word_3
        self._word_0 = 0
        self._word_1 = 0
        self._word_2 = 0
        self._word_3 = 0
        # From the right.
        self._multiply(d)
        self._multiply(c)
        self._multiply(b)
        self._multiply(a)

    def _multiply(self, rest: i64) -> None:
        """Go on with the product, by another word of the factor."""
        a = self._word_0
        b = self._word_1
        c = self._word_2
        d = self._word_3
        for _ in range(8):
            shifted_out = d & 15
            nibble = rest & 15
            d = (d >> 4 | (c & 15) << 28) ^ self._products_3[nibble]
            c = (c >> 4 | (b & 15) << 28) ^ self._products_2[nibble]
            b = (b >> 4 | (a & 15) << 28) ^ self._products_1[nibble]
            a = a >> 4 ^ _REDUCTION[shifted_out] ^ self._products_0[nibble]
            rest >>= 4
        self._word_0 = a
        self._word_1 = b
        self._word_2 = c
        self._word_3 = d

    def octets(self, data: bytes) -> None:
        """Add octets, padded with zeros to whole blocks."""
        if len(data) % 16 != 0:
            data += bytes(16 - len(data) % 16)
        offset: i64 = 0
        while offset < len(data):
            self.block(
                u32(data, offset),
                u32(data, offset + 4),
                u32(data, offset + 8),
                u32(data, offset + 12),
            )
            offset += 16


def gcm_decrypt(key: bytes, nonce: bytes, header: bytes, data: bytes) -> bytes | None:
    """The plain text of ``data``, whose last 16 octets are the tag, or None if it is forged."""
    if len(data) < TAG_LENGTH:
        return None
    cipher = Aes128(key)
    end = len(data) - TAG_LENGTH
    digest = Ghash(cipher.encrypt(bytes(16)))
    digest.octets(header)
    digest.octets(data[:end])
    digest.block(0, len(header) * 8, 0, end * 8)
    tag = digest.state() ^ cipher.encrypt(nonce + b"\x00\x00\x00\x01")
    if tag != _to_int(data, end, len(data)):
        return None
    plain = bytearray()
    counter = 2
    offset = 0
    while offset < end:
        block = cipher.encrypt(nonce + counter.to_bytes(4, "big")) ^ _to_int(data, offset, end)
        plain += block.to_bytes(16, "big")
        offset += 16
        counter += 1
    return bytes(plain[:end])


@final
class InitialKeys:
    """The keys of one direction's Initial packets (RFC 9001 section 5.2, RFC 9369 section 3.3)."""

    def __init__(self, version: int, connection_id: bytes, from_client: bool) -> None:
        initial = _hmac(_salt(version), connection_id)
        label = b"client in" if from_client else b"server in"
        secret = _expand_label(initial, label, _DIGEST_LENGTH)
        prefix = b"quicv2 " if version == VERSION_2 else b"quic "
        self._key: bytes = _expand_label(secret, prefix + b"key", 16)
        self._iv: bytes = _expand_label(secret, prefix + b"iv", 12)
        self._header: Aes128 = Aes128(_expand_label(secret, prefix + b"hp", 16))

    def decrypt(self, packet: bytes, number_offset: int) -> bytes | None:
        """The frames of a packet whose packet number begins at ``number_offset``, or None."""
        sample = number_offset + SAMPLE_OFFSET
        if sample + 16 > len(packet):
            return None
        mask = self._header.encrypt(packet[sample : sample + 16])
        first = packet[0] ^ (mask >> 120 & 0x0F)
        number_length = (first & 0x03) + 1
        payload = number_offset + number_length
        header = bytearray(packet[:payload])
        header[0] = first
        number = 0
        for index in range(number_length):
            octet = packet[number_offset + index] ^ (mask >> (112 - 8 * index) & 0xFF)
            header[number_offset + index] = octet
            number = number << 8 | octet
        nonce = bytearray(self._iv)
        for index in range(4):
            nonce[11 - index] ^= number >> 8 * index & 0xFF
        return gcm_decrypt(self._key, bytes(nonce), bytes(header), packet[payload:])
