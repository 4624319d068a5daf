"""Files from https: and file: URLs, bounded in size and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit

import requests
import urllib3.exceptions

from osect_sensor import __version__
from osect_sensor.service.transport import TlsAdapter, client_context, explain

_CHUNK: Final = 64 * 1024


class DownloadError(Exception):
    """A file cannot be had; the text says why, without the URL."""


class Missing(DownloadError):
    """There is no such file."""


class Downloader:
    """Fetches files; https only with the system's authorities, nothing from the environment."""

    def __init__(
        self,
        timeout: float,
        proxy: str = "",
        ca: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``timeout``: seconds for each file; ``ca``: PEM file of other authorities."""
        self._timeout: Final = timeout
        self._proxy: Final = proxy
        self._ca: Final = ca
        self._clock: Final = clock

    def text(self, url: str, limit: int) -> str:
        """A short file of ASCII text, without blanks around it."""
        data = b""

        def take(chunk: bytes) -> None:
            nonlocal data
            data += chunk

        self._fetch(url, limit, take)
        try:
            return data.decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise DownloadError("not a text") from error

    def file(self, url: str, path: Path, limit: int) -> None:
        """A file, to ``path``."""
        with path.open("wb") as out:
            self._fetch(url, limit, lambda chunk: _write(out, chunk))

    def _fetch(self, url: str, limit: int, take: Callable[[bytes], None]) -> None:
        parts = urlsplit(url)
        if parts.scheme == "file":
            self._copy(Path(unquote(parts.path)), limit, take)
        elif parts.scheme == "https":
            self._get(url, limit, take)
        else:
            raise DownloadError("neither https: nor file:")

    def _copy(self, path: Path, limit: int, take: Callable[[bytes], None]) -> None:
        left = limit
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    left = _bounded(left, chunk, limit)
                    take(chunk)
        except FileNotFoundError as error:
            raise Missing("there is no such file") from error
        except OSError as error:
            raise DownloadError(error.strerror or str(error)) from error

    def _get(self, url: str, limit: int, take: Callable[[bytes], None]) -> None:
        end = self._clock() + self._timeout
        left = limit
        received = 0
        try:
            with (
                self._session(url) as session,
                session.get(url, stream=True, timeout=self._timeout) as response,
            ):
                if response.status_code == 404:
                    raise Missing("HTTP 404")
                if response.status_code != 200:
                    raise DownloadError(f"HTTP {response.status_code}")
                while chunk := response.raw.read(_CHUNK):
                    left = _bounded(left, chunk, limit)
                    received += len(chunk)
                    if self._clock() > end:
                        raise DownloadError(f"not complete after {self._timeout:.0f} s")
                    take(chunk)
                announced = response.headers.get("Content-Length", "")
                if announced.isdecimal() and int(announced) != received:
                    raise DownloadError(f"cut off after {received} of {announced} octets")
        except requests.exceptions.InvalidSchema as error:
            raise DownloadError("redirected to something other than https") from error
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            raise DownloadError(explain(error).reason) from error

    def _session(self, url: str) -> requests.Session:
        try:
            context = client_context(urlsplit(url).netloc.rpartition("@")[2], self._ca)
        except OSError as error:
            raise DownloadError(f"{self._ca}: {error.strerror or error}") from error
        session = requests.Session()
        session.trust_env = False
        session.headers["User-Agent"] = f"osect-sensor/{__version__}"
        session.headers["Accept-Encoding"] = "identity"
        if self._proxy:
            session.proxies = {"https": self._proxy}
        # With no other adapter a redirection cannot leave https.
        session.adapters.clear()
        session.mount("https://", TlsAdapter(context))
        return session


def _write(out: IO[bytes], chunk: bytes) -> None:
    out.write(chunk)


def _bounded(left: int, chunk: bytes, limit: int) -> int:
    left -= len(chunk)
    if left < 0:
        raise DownloadError(f"larger than {limit} octets")
    return left
