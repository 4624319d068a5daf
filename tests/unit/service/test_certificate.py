from __future__ import annotations

import os
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from osect_sensor.errors import OsectError
from osect_sensor.service.certificate import certificate_expiry, check_key_file

ACCESS_LIST = "system.posix_acl_access"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "client.pem"
    path.write_text("key")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_of_its_owner_alone_passes(pem: Path, mode: int) -> None:
    pem.chmod(mode)
    check_key_file(pem)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o602, 0o610])
def test_a_key_that_others_may_read_is_refused_with_path_and_remedy(pem: Path, mode: int) -> None:
    pem.chmod(mode)
    with pytest.raises(OsectError) as caught:
        check_key_file(pem)
    assert str(pem) in caught.value.message
    assert f"{mode:04o}" in caught.value.message
    assert caught.value.hint == f"chmod 600 {pem}"


def access_list(path: Path, *entries: tuple[int, int, int]) -> None:
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, ACCESS_LIST, value)
    except OSError:
        pytest.skip("this file system has no access lists")


def test_a_key_given_to_one_user_by_access_list_passes(pem: Path) -> None:
    access_list(
        pem,
        (USER_OBJ, 4, NOBODY),
        (USER, 4, 999),
        (GROUP_OBJ, 0, NOBODY),
        (MASK, 4, NOBODY),
        (OTHER, 0, NOBODY),
    )
    assert pem.stat().st_mode & 0o070
    check_key_file(pem)


def test_a_key_given_to_a_group_by_access_list_is_refused(pem: Path) -> None:
    access_list(
        pem,
        (USER_OBJ, 4, NOBODY),
        (GROUP_OBJ, 0, NOBODY),
        (GROUP, 4, 999),
        (MASK, 4, NOBODY),
        (OTHER, 0, NOBODY),
    )
    with pytest.raises(OsectError, match="can be read by others"):
        check_key_file(pem)


def test_a_missing_key_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(OsectError, match=r"missing\.pem cannot be read: No such file"):
        check_key_file(tmp_path / "missing.pem")


def test_a_directory_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(OsectError, match="no regular file"):
        check_key_file(tmp_path)


@pytest.mark.parametrize(
    "moment", [datetime(2031, 2, 3, 4, 5, 6), datetime(2049, 12, 31), datetime(2077, 1, 2, 3)]
)
def test_the_end_of_the_clients_certificate_is_read(pem: Path, moment: datetime) -> None:
    leaf = trustme.CA().issue_cert("sensor.example", not_after=moment)
    pem.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    assert certificate_expiry(pem) == moment.replace(tzinfo=UTC)


def test_a_file_without_certificate_is_told(pem: Path) -> None:
    with pytest.raises(OsectError, match="holds no certificate"):
        certificate_expiry(pem)


def test_a_certificate_cut_anywhere_is_told_as_damaged(pem: Path) -> None:
    import ssl

    leaf = trustme.CA().issue_cert("sensor.example")
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    for length in range(1, 60):
        pem.write_text(ssl.DER_cert_to_PEM_cert(der[:length]))
        with pytest.raises(OsectError, match="damaged"):
            certificate_expiry(pem)
