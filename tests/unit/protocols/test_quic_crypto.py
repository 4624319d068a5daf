from __future__ import annotations

import pytest

from osect_sensor.protocols.quic_crypto import (
    VERSION_1,
    VERSION_2,
    Aes128,
    Ghash,
    InitialKeys,
    gcm_decrypt,
    is_supported,
)

CONNECTION_ID = bytes.fromhex("8394c8f03e515708")


def test_aes_by_the_example_of_the_standard() -> None:
    # FIPS 197, appendix C.1.
    cipher = Aes128(bytes(range(16)))
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert cipher.encrypt(block) == 0x69C4E0D86A7B0430D8CDB78070B4C55A


KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
HEADER = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
CIPHER = bytes.fromhex(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
)
TAG = bytes.fromhex("5bc94fbc3221a5db94fae95ae7121a47")


def test_gcm_by_the_example_of_its_authors() -> None:
    # McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4.
    assert gcm_decrypt(KEY, NONCE, HEADER, CIPHER + TAG) == PLAIN


def test_gcm_refuses_what_was_altered() -> None:
    assert gcm_decrypt(KEY, NONCE, HEADER, CIPHER + TAG[:-1] + b"\x00") is None
    assert gcm_decrypt(KEY, NONCE, HEADER[:-1], CIPHER + TAG) is None
    assert gcm_decrypt(KEY, NONCE, HEADER, b"\x00" + CIPHER[1:] + TAG) is None
    assert gcm_decrypt(KEY, NONCE, HEADER, TAG[:15]) is None


def test_keys_of_version_1() -> None:
    # RFC 9001, appendix A.1.
    keys = InitialKeys(VERSION_1, CONNECTION_ID, True)
    assert keys._key.hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert keys._iv.hex() == "fa044b2f42a3fd3b46fb255c"
    keys = InitialKeys(VERSION_1, CONNECTION_ID, False)
    assert keys._key.hex() == "cf3a5331653c364c88f0f379b6067e37"
    assert keys._iv.hex() == "0ac1493ca1905853b0bba03e"


def test_keys_of_version_2() -> None:
    # RFC 9369, appendix A.1.
    keys = InitialKeys(VERSION_2, CONNECTION_ID, True)
    assert keys._key.hex() == "8b1a0bc121284290a29e0971b5cd045d"
    assert keys._iv.hex() == "91f73e2351d8fa91660e909f"


@pytest.mark.parametrize("version", [0xFF000016, 0xFF000017, 0xFF00001D, 0xFF000022, 0xFACEB002])
def test_drafts_have_salts_of_their_own(version: int) -> None:
    assert is_supported(version)
    keys = InitialKeys(version, CONNECTION_ID, True)
    assert (keys._key.hex() == "1f369613dd76d5467730efcbe3b1a22d") == (version == 0xFF000022)


def test_other_versions_are_unknown() -> None:
    assert not is_supported(0)
    assert not is_supported(0x51303433)


def protect(
    version: int, header: bytes, number: int, frames: bytes, connection_id: bytes, client: bool
) -> bytes:
    """An Initial packet: ``header`` ends before the packet number, which takes four octets."""
    keys = InitialKeys(version, connection_id, client)
    clear = bytes([header[0] | 3]) + header[1:] + number.to_bytes(4, "big")
    nonce = bytearray(keys._iv)
    for index in range(4):
        nonce[11 - index] ^= number >> 8 * index & 0xFF
    cipher = Aes128(keys._key)
    body = bytearray()
    for index in range(0, len(frames), 16):
        block = frames[index : index + 16].ljust(16, b"\x00")
        stream = cipher.encrypt(bytes(nonce) + (2 + index // 16).to_bytes(4, "big"))
        body += (stream ^ int.from_bytes(block, "big")).to_bytes(16, "big")
    encrypted = bytes(body[: len(frames)])
    digest = Ghash(cipher.encrypt(bytes(16)))
    digest.octets(clear)
    digest.octets(encrypted)
    digest.block(0, len(clear) * 8, 0, len(encrypted) * 8)
    tag = digest.state() ^ cipher.encrypt(bytes(nonce) + b"\x00\x00\x00\x01")
    packet = bytearray(clear + encrypted + tag.to_bytes(16, "big"))
    sample = bytes(packet[len(header) + 4 : len(header) + 20])
    mask = keys._header.encrypt(sample).to_bytes(16, "big")
    packet[0] ^= mask[0] & 0x0F
    for index in range(4):
        packet[len(header) + index] ^= mask[1 + index]
    return bytes(packet)


def test_protection_is_removed() -> None:
    header = b"\xc0\x00\x00\x00\x01\x08" + CONNECTION_ID + b"\x00\x00\x40\x40"
    packet = protect(VERSION_1, header, 7, b"frames" * 8, CONNECTION_ID, True)
    keys = InitialKeys(VERSION_1, CONNECTION_ID, True)
    assert keys.decrypt(packet, len(header)) == b"frames" * 8
    assert InitialKeys(VERSION_1, CONNECTION_ID, False).decrypt(packet, len(header)) is None
    assert keys.decrypt(packet[: len(header) + 19], len(header)) is None
