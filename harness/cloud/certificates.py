"""Authorities and certificates of the mock cloud and its clients, made once and kept."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import trustme

LONG_AGO: Final = datetime(2020, 1, 1)
"""When the expired certificates ended."""

ELSEWHERE: Final = "elsewhere.invalid"
"""The name in the server certificate that is for another host."""


class Certificates:
    """A directory of PEM files; what is there already is used as it is.

    ``ca.pem`` vouches for the cloud and its clients, ``other-ca.pem`` for neither. The client
    files hold certificate and key, as the sensor's configuration wants them.
    """

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        """``names``: host names and addresses that the server certificate is for."""
        self.ca: Final = directory / "ca.pem"
        self.other_ca: Final = directory / "other-ca.pem"
        self.client: Final = directory / "client.pem"
        self.client_expired: Final = directory / "client-expired.pem"
        self.client_other_ca: Final = directory / "client-other-ca.pem"
        self._directory: Final = directory
        directory.mkdir(parents=True, exist_ok=True)
        if not self.ca.exists():
            self._make(names)

    def server_context(self, kind: str = "good", clients: Path | None = None) -> ssl.SSLContext:
        """TLS of the server with the certificate ``kind``, and of what authority clients must be.

        ``kind`` is good, expired, wrong-ca or wrong-name.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients or self.ca)
        context.load_cert_chain(self._server(kind))
        return context

    def _server(self, kind: str) -> Path:
        return self._directory / f"server-{kind}.pem"

    def _make(self, names: Sequence[str]) -> None:
        authority = trustme.CA()
        other = trustme.CA()
        self._write(self._server("good"), authority.issue_cert(*names))
        self._write(self._server("expired"), authority.issue_cert(*names, not_after=LONG_AGO))
        self._write(self._server("wrong-name"), authority.issue_cert(ELSEWHERE))
        self._write(self._server("wrong-ca"), other.issue_cert(*names))
        sensor = "sensor@osect.invalid"
        self._write(self.client, authority.issue_cert(sensor, common_name="sensor"))
        expired = authority.issue_cert(sensor, common_name="sensor", not_after=LONG_AGO)
        self._write(self.client_expired, expired)
        self._write(self.client_other_ca, other.issue_cert(sensor, common_name="sensor"))
        other.cert_pem.write_to_path(str(self.other_ca))
        # Last: its presence says that all the others are there.
        authority.cert_pem.write_to_path(str(self.ca))

    @staticmethod
    def _write(path: Path, leaf: trustme.LeafCert) -> None:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(leaf.private_key_and_cert_chain_pem.bytes())
