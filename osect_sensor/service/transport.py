"""POSTs to the cloud over mutual TLS; every outcome is an answer, none an exception."""

from __future__ import annotations

import contextlib
import email.utils
import enum
import math
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from osect_sensor import __version__
from osect_sensor.config import Upload
from osect_sensor.errors import OsectError
from osect_sensor.service.certificate import check_key_file

ARCHIVE_PATH: Final = "/paper/api/v1/createlogdata/post"
RULE_STATUS_PATH: Final = "/paper/api/v1/sensor_status/post"
SUPPORT_PATH: Final = "/paper/api/v1/supportlog/post"

MAX_RETRY_AFTER: Final = 3600.0
"""Seconds: a cloud that asks for more is asked again after an hour all the same, so that a wrong
header cannot silence a sensor."""

SLOWEST: Final = 1024
"""Octets a second below which an upload is given up: a minute's archive would take longer than
its minute."""

MAX_ANSWER_OCTETS: Final = 64 * 1024
"""What is read of an answer's body, to reuse the connection and to quote from it."""

MAX_QUOTED: Final = 200
"""Characters of an answer's body that are put into the log."""

_CHUNK: Final = 16 * 1024
_REFUSED_CREDENTIALS: Final = frozenset({401, 403, 407})
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")


class Verdict(enum.Enum):
    """What an answer means for the thing that was sent."""

    ACCEPTED = "accepted"
    """The cloud has it."""
    REFUSED = "refused"
    """The cloud does not want this one."""
    FAILED = "failed"
    """It did not work this time; whether for this one or for all is open."""
    UNAVAILABLE = "unavailable"
    """Nothing can be sent at present: no connection, no trust, or no permission."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of one POST."""

    verdict: Verdict
    reason: str
    """In words, for the log; without secrets."""
    status: int = 0
    """HTTP status, zero when there was no answer."""
    retry_after: float = -1.0
    """Seconds that the cloud asks to wait, negative when it does not ask."""
    local: bool = False
    """The fault lies with the file here."""


def _no_password() -> str:
    raise ValueError("the private key is encrypted")


class _HostContext(ssl.SSLContext):
    """A context for one host; whoever forgets to say which gets no other."""

    host: str = ""

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """Begin TLS; urllib3 1.26 does not name hosts that are addresses."""
        return super().wrap_socket(
            sock,
            server_side,
            do_handshake_on_connect,
            suppress_ragged_eofs,
            server_hostname or self.host,
            session,
        )


def client_context(host: str, ca: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; the server verified by name, and by the authorities in the PEM file ``ca``
    or else the system's.

    ``host`` may have a port. An ``OSError`` says that ``ca`` cannot be used.
    """
    context = _HostContext(ssl.PROTOCOL_TLS_CLIENT)
    context.host = urlsplit(f"//{host}").hostname or ""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca:
        context.load_verify_locations(ca)
    else:
        context.load_default_certs()
    return context


def tls_context(upload: Upload) -> ssl.SSLContext:
    """What the cloud is talked to with: ``client_context`` with the client's certificate."""
    client = Path(upload.client_pem)
    check_key_file(client)
    try:
        context = client_context(upload.host, upload.ca)
    except OSError as error:
        raise OsectError(
            f"the authorities in {upload.ca} cannot be used: {error.strerror or error}",
            "[upload] ca names a PEM file with certificates",
        ) from error
    try:
        context.load_cert_chain(client, password=_no_password)
    except (OSError, ValueError) as error:
        raise OsectError(
            f"the client certificate {client} cannot be used: {error}",
            "it must hold certificate and private key, unencrypted, and they must match",
        ) from error
    return context


class TlsAdapter(HTTPAdapter):
    """Uses one TLS context, and no authority beyond those in it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Connections straight to the server."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Connections by way of a proxy."""
        return super().proxy_manager_for(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verify by the context alone."""
        # The base class adds requests' own bundle of authorities to the context.
        conn.cert_reqs = "CERT_REQUIRED"


class _Body:
    """A multipart form with one file, read piece by piece (RFC 7578)."""

    def __init__(
        self,
        fields: dict[str, str],
        name: str,
        file: IO[bytes],
        size: int,
        pace: Callable[[int], None],
    ) -> None:
        boundary = secrets.token_hex(16)
        self.content_type: Final = f"multipart/form-data; boundary={boundary}"
        self.error: OSError | None = None
        """Why the file could not be read, once it could not."""
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file_uploaded";'
            f' filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        self._ahead = head.encode()
        self._behind = f"\r\n--{boundary}--\r\n".encode()
        self._length: Final = len(self._ahead) + size + len(self._behind)
        self._file: Final = file
        self._left = size
        self._pace: Final = pace

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk

    def read(self, size: int = -1) -> bytes:
        """The next octets; ``size`` at most."""
        wanted = _CHUNK if size < 0 else min(size, _CHUNK)
        if self._ahead:
            chunk, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        elif self._left:
            chunk = self._read_file(min(wanted, self._left))
            self._left -= len(chunk)
        else:
            chunk, self._behind = self._behind[:wanted], self._behind[wanted:]
        self._pace(len(chunk))
        return chunk

    def _read_file(self, size: int) -> bytes:
        try:
            chunk = self._file.read(size)
        except OSError as error:
            self.error = error
            raise
        if not chunk:
            self.error = OSError("the file became shorter while it was read")
            raise self.error
        return chunk


class _TooSlow(OSError):
    """An upload takes longer than any sensible network would."""


class _Pace:
    """Holds an upload to the bandwidth ceiling, and ends one that crawls."""

    def __init__(
        self,
        ceiling: int,
        longest: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._beat: Final = beat
        self._ceiling: Final = ceiling
        self._longest: Final = longest
        self._clock: Final = clock
        self._sleep: Final = sleep
        self._start: Final = clock()
        self._octets = 0

    def __call__(self, octets: int) -> None:
        elapsed = self._clock() - self._start
        if elapsed > self._longest:
            raise _TooSlow(f"given up after {elapsed:.0f} s")
        self._beat()
        if self._ceiling <= 0:
            return
        self._octets += octets
        ahead = self._octets / self._ceiling - elapsed
        if ahead > 0:
            self._sleep(ahead)


def retry_after(headers: Any) -> float:
    """Seconds that the answer asks to wait (RFC 9110 section 10.2.3), negative when it does not.

    A date counts from the answer's own Date, so that a sensor whose clock is wrong waits no
    longer than it was asked to.
    """
    text = str(headers.get("Retry-After", "")).strip()
    if not text:
        return -1.0
    if text.isdecimal() and text.isascii():
        # Ten digits are centuries; more would not fit a float.
        return min(float(text[:10]), MAX_RETRY_AFTER)
    try:
        until = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return -1.0
    now = time.time()
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        now = email.utils.parsedate_to_datetime(str(headers.get("Date", ""))).timestamp()
    return min(max(until - now, 0.0), MAX_RETRY_AFTER)


def _quoted(response: requests.Response) -> str:
    """The start of an answer's body in printable ASCII, the rest of it read within bounds."""
    try:
        data = response.raw.read(MAX_ANSWER_OCTETS)
        more = len(data) == MAX_ANSWER_OCTETS
    except (OSError, urllib3.exceptions.HTTPError):
        return ""
    if more:
        response.close()
    text = data[: 4 * MAX_QUOTED].decode("utf-8", "replace")
    return _UNPRINTABLE.sub(" ", text).strip()[:MAX_QUOTED]


def _judge(response: requests.Response) -> Answer:
    status = response.status_code
    said = _quoted(response)
    if status == 200:
        return Answer(Verdict.ACCEPTED, "HTTP 200", status)
    reason = f"HTTP {status}" + (f": {said}" if said else "")
    if 300 <= status < 400:
        verdict, reason = Verdict.UNAVAILABLE, f"HTTP {status}: redirections are not followed"
    elif status in _REFUSED_CREDENTIALS:
        verdict = Verdict.UNAVAILABLE
    elif 400 <= status < 500 and status not in _TRY_AGAIN:
        verdict = Verdict.REFUSED
    else:
        verdict = Verdict.FAILED
    return Answer(verdict, reason, status, retry_after(response.headers))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what lies below it: requests and urllib3 hand causes on as arguments."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        below = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        waiting += [cause for cause in below if isinstance(cause, BaseException)]


def explain(error: BaseException) -> Answer:
    """What a failure of requests means, in words without addresses."""
    causes = list(_causes(error))
    tls = [cause for cause in causes if isinstance(cause, ssl.SSLError)]
    for failure in tls:
        if isinstance(failure, ssl.SSLCertVerificationError):
            return Answer(
                Verdict.UNAVAILABLE, f"TLS: the server is not trusted: {failure.verify_message}"
            )
    if tls:
        what = tls[0].reason or tls[0]
        return Answer(Verdict.UNAVAILABLE, f"TLS: {str(what).replace('_', ' ').lower()}")
    for cause in causes:
        if isinstance(cause, _TooSlow):
            return Answer(Verdict.FAILED, f"too slow: {cause}")
    unreachable = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    if any(isinstance(cause, (*unreachable, requests.exceptions.ProxyError)) for cause in causes):
        return Answer(Verdict.UNAVAILABLE, f"no connection: {_innermost(causes)}")
    if any(isinstance(cause, (requests.exceptions.Timeout, TimeoutError)) for cause in causes):
        return Answer(Verdict.FAILED, "no answer in time")
    return Answer(Verdict.FAILED, f"connection lost: {_innermost(causes)}")


def _innermost(causes: list[BaseException]) -> str:
    """What the operating system says, or else the kind of the failure."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(causes[-1]).__name__


class Cloud:
    """A session with the cloud; certificates are read when it is made."""

    def __init__(
        self,
        upload: Upload,
        label_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """``beat`` is called as an upload goes on."""
        self._upload: Final = upload
        self._beat: Final = beat
        self._label_id: Final = label_id
        self._clock: Final = clock
        self._sleep: Final = sleep
        self._session: Final = requests.Session()
        # Neither proxies, nor bundles of authorities, nor passwords from the environment.
        self._session.trust_env = False
        self._session.headers["User-Agent"] = f"osect-sensor/{__version__}"
        self._session.headers["Accept-Encoding"] = "identity"
        if upload.proxy:
            self._session.proxies = {"https": upload.proxy}
        self._session.adapters.clear()
        self._session.mount("https://", TlsAdapter(tls_context(upload)))

    def __enter__(self) -> Cloud:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._session.close()

    def post_archive(self, name: str, file: IO[bytes], size: int) -> Answer:
        """Send a window's archive under ``name``."""
        return self._post_file(ARCHIVE_PATH, name, file, size)

    def post_support_report(self, name: str, file: IO[bytes], size: int) -> Answer:
        """Send a support report under ``name``."""
        return self._post_file(SUPPORT_PATH, name, file, size)

    def post_rule_status(self, suricata: str, signature: str, message: str) -> Answer:
        """Report Suricata's version, the rule set's version and how the update went."""
        data = {
            "label_id": self._label_id,
            "suricata": suricata,
            "signature": signature,
            "message": message,
        }
        return self._post(RULE_STATUS_PATH, data, {})

    def _post_file(self, path: str, name: str, file: IO[bytes], size: int) -> Answer:
        ceiling = self._upload.bandwidth
        rate = min(ceiling, SLOWEST) if ceiling > 0 else SLOWEST
        # Half again as long: a ceiling below the slowest rate must not end what it slows down.
        longest = self._upload.read_timeout + 1.5 * math.ceil(size / rate)
        pace = _Pace(ceiling, longest, self._clock, self._sleep, self._beat)
        body = _Body({"label_id": self._label_id}, name, file, size, pace)
        headers = {"Content-Type": body.content_type}
        answer = self._post(path, body, headers)
        if body.error is not None:
            what = body.error.strerror or body.error
            return Answer(Verdict.FAILED, f"the file cannot be read: {what}", local=True)
        return answer

    def _post(self, path: str, data: Any, headers: dict[str, str]) -> Answer:
        try:
            with self._session.post(
                f"https://{self._upload.host}{path}",
                data=data,
                headers=headers,
                timeout=(self._upload.connect_timeout, self._upload.read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                return _judge(response)
        except (
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
        ) as error:
            return explain(error)
