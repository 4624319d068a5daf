"""The servers: one for sensors over mutual TLS, one on loopback for people and tests."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from aiohttp import BodyPartReader, web
from osect_harness.cloud import archives, faults
from osect_harness.cloud.certificates import Certificates
from osect_harness.cloud.faults import Fault, Faults
from osect_harness.cloud.page import PAGE
from osect_harness.errors import UsageError

ARCHIVE_PATH: Final = "/paper/api/v1/createlogdata/post"
RULE_STATUS_PATH: Final = "/paper/api/v1/sensor_status/post"
SUPPORT_PATH: Final = "/paper/api/v1/supportlog/post"

NAMES: Final = ("localhost", "127.0.0.1", "::1")
"""Hosts that the server certificate is for, whatever else it is for."""

START_SECONDS: Final = 10.0
MAX_FIELD_OCTETS: Final = 64 * 1024
"""Size of a form field that is no file."""

MAX_SHOWN: Final = 200
"""Latest events in the state; all of them stand in ``events.jsonl``."""

_LAST_SECONDS: Final = 0.05
_CHUNK: Final = 64 * 1024
_SLOW_CHUNK: Final = 1024
_ABORT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that turns closing into a reset."""


@dataclass(slots=True)
class Event:
    """One request that reached the cloud, or one thing that kept it from being kept."""

    kind: str
    """``archive``, ``rule-status``, ``support``."""
    name: str
    outcome: str
    """``kept``, ``again`` (same name and content as before), ``conflict`` (same name, other
    content), ``refused``, or the fault that befell it."""
    at: str = ""
    label_id: str = ""
    client: str = ""
    """Common name in the client certificate."""
    octets: int = 0
    sha256: str = ""
    rows: int = 0
    total: int = 0
    """Violations of the contract."""
    violations: list[str] = field(default_factory=list)
    detail: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _Cut(Exception):
    """The connection is to be cut instead of answered."""


@dataclass(slots=True)
class _Received:
    """A file that was received whole."""

    name: str
    path: Path
    label_id: str
    client: str
    """Known before the file came: afterwards the connection may be gone."""
    fault: Fault | None


class MockCloud:
    """The cloud in a thread of its own; a context manager.

    Everything lies in ``directory``: ``certificates/``, ``archives/`` as received, ``logs/`` as
    unpacked, ``support/``, and ``events.jsonl``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        names: Sequence[str] = (),
        strict: bool = False,
    ) -> None:
        """A port of zero is any free one. ``strict`` refuses logs that break the contract."""
        self.directory: Final = directory
        self.certificates: Final = Certificates(
            directory / "certificates", list(dict.fromkeys([*NAMES, *names]))
        )
        self.faults: Final = Faults()
        self.archives: Final = directory / "archives"
        self.logs: Final = directory / "logs"
        self.support: Final = directory / "support"
        self._incoming: Final = directory / "incoming"
        for path in (self.archives, self.logs, self.support, self._incoming):
            path.mkdir(parents=True, exist_ok=True)
        self._host: Final = host
        self._port = port
        self._control_port = control_port
        self._strict: Final = strict
        self._changed: Final = threading.Condition()
        self._keeping: Final = threading.Lock()
        """Held by whoever judges an archive: it may be sent again before that is over."""
        self._events: list[Event] = []
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ending: asyncio.Event | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    # For tests and for the command

    def __enter__(self) -> MockCloud:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; again on the same ports after ``stop``."""
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="mock-cloud", daemon=True
        )
        self._thread.start()
        started.result(START_SECONDS)

    def stop(self) -> None:
        """End all connections and listen no more."""
        loop, ending, thread = self._loop, self._ending, self._thread
        if loop is None or ending is None or thread is None:
            return
        loop.call_soon_threadsafe(ending.set)
        thread.join()
        self._loop = self._ending = self._thread = None

    @property
    def address(self) -> str:
        """Host and port, as the sensor's configuration wants them."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    @property
    def url(self) -> str:
        """Address of the cloud."""
        return f"https://{self.address}"

    @property
    def control_url(self) -> str:
        """Address of the status page and the control endpoint."""
        return f"http://127.0.0.1:{self._control_port}"

    def inject(self, kind: str, times: int = 1, **values: Any) -> None:
        """Misbehave so often; see ``Fault`` for the other values."""
        self.faults.add(Fault(kind, times, **values))

    def events(self, kind: str = "") -> list[Event]:
        """What has happened so far, all of it or of one kind."""
        with self._changed:
            return [event for event in self._events if kind in ("", event.kind)]

    def kept(self) -> list[str]:
        """Names of the archives that were kept, in the order of their first arrival."""
        return [event.name for event in self.events("archive") if event.outcome == "kept"]

    def wait_for(self, done: Callable[[MockCloud], bool], seconds: float) -> bool:
        """Wait until ``done`` holds; whether it does. It is asked after each event."""
        end = time.monotonic() + seconds
        while not done(self):
            with self._changed:
                seen = len(self._events)
                left = end - time.monotonic()
                if left <= 0:
                    return False
                if seen == self._count:
                    self._changed.wait(min(left, 0.2))
        return True

    def state(self) -> dict[str, Any]:
        """What the status page shows."""
        events = self.events()
        taken = [event for event in events if event.kind == "archive"]
        counts: dict[str, int] = {}
        for event in events:
            counts[event.outcome] = counts.get(event.outcome, 0) + 1
        return {
            "address": self.address,
            "directory": str(self.directory),
            "archives": sum(1 for event in taken if event.outcome == "kept"),
            "rows": sum(event.rows for event in taken if event.outcome == "kept"),
            "violations": sum(event.total for event in taken if event.outcome == "kept"),
            "outcomes": counts,
            "injected": dict(self.faults.injected),
            "faults": [dataclasses.asdict(fault) for fault in self.faults.waiting()],
            "events": [dataclasses.asdict(event) for event in events[-MAX_SHOWN:]],
        }

    # The thread

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
                return
            raise

    async def _serve(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        cloud = web.Application()
        cloud.router.add_post(ARCHIVE_PATH, self._answering(self._archive))
        cloud.router.add_post(SUPPORT_PATH, self._answering(self._support))
        cloud.router.add_post(RULE_STATUS_PATH, self._answering(self._rule_status))
        control = web.Application()
        control.router.add_get("/", self._page)
        control.router.add_get("/state.json", self._state)
        control.router.add_post("/faults", self._add_fault)
        control.router.add_delete("/faults", self._clear_faults)
        runners = [web.AppRunner(one, access_log=None) for one in (cloud, control)]
        try:
            for runner in runners:
                await runner.setup()
            context = self._tls()
            self._port = await _listen(runners[0], self._host, self._port, context)
            self._control_port = await _listen(runners[1], "127.0.0.1", self._control_port, None)
            started.set_result(None)
            await self._ending.wait()
        finally:
            for runner in runners:
                _abort_connections(runner)
                await runner.cleanup()
            # Connections whose end is known but not yet dealt with would stay open.
            await asyncio.sleep(_LAST_SECONDS)

    def _tls(self) -> ssl.SSLContext:
        certificates = self.certificates
        self._contexts = {
            "tls-expired": certificates.server_context("expired"),
            "tls-wrong-ca": certificates.server_context("wrong-ca"),
            "tls-wrong-name": certificates.server_context("wrong-name"),
            "tls-client-refused": certificates.server_context(clients=certificates.other_ca),
        }
        context = certificates.server_context()
        context.sni_callback = self._choose_certificate
        return context

    def _choose_certificate(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        # Called in each handshake, also without a server name.
        fault = self.faults.take(faults.TLS_KINDS)
        if fault is not None:
            connection.context = self._contexts[fault.kind]

    # What sensors see

    def _answering(
        self, handler: Callable[[web.Request], Coroutine[Any, Any, web.Response]]
    ) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except _Cut:
                _cut(request)
                return web.Response(status=503)

        return answer

    async def _archive(self, request: web.Request) -> web.Response:
        received = await self._receive(request, "archive")
        if isinstance(received, web.Response):
            return received
        loop = asyncio.get_running_loop()
        event = await loop.run_in_executor(None, self._keep_alone, received)
        return await self._conclude(request, received, event)

    def _keep_alone(self, received: _Received) -> Event:
        with self._keeping:
            return self._keep(received)

    def _keep(self, received: _Received) -> Event:
        """Judge an archive and put it where it belongs."""
        name, path = received.name, received.path
        event = Event("archive", name, "kept", octets=path.stat().st_size)
        event.sha256 = archives.digest(path)
        target = self.archives / name
        if target.exists():
            same = archives.digest(target) == event.sha256
            event.outcome = "again" if same else "conflict"
            if same:
                path.unlink()
                return event
            target = self.archives / f"{name}.{self._number()}"
        window = self.logs / target.name.replace(archives.SUFFIX, "")
        try:
            archives.unpack(path, window)
        except archives.BadArchive as error:
            path.unlink()
            event.outcome, event.detail = "refused", str(error)
            return event
        judgement = archives.judge(window)
        event.rows, event.total = judgement.rows, judgement.total
        event.violations = judgement.violations
        if self._strict and event.total:
            path.unlink()
            shutil.rmtree(window)
            event.outcome = "refused"
            event.detail = f"{event.total} violations of the contract: {event.violations[0]}"
            return event
        path.rename(target)
        return event

    async def _support(self, request: web.Request) -> web.Response:
        received = await self._receive(request, "support")
        if isinstance(received, web.Response):
            return received
        event = Event("support", received.name, "kept", octets=received.path.stat().st_size)
        event.sha256 = archives.digest(received.path)
        received.path.rename(self.support / received.name)
        return await self._conclude(request, received, event)

    async def _rule_status(self, request: web.Request) -> web.Response:
        fault = self.faults.take(faults.HTTP_KINDS, "rule-status")
        form = await request.post()
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        event = Event("rule-status", "rule-status", "kept", fields=fields)
        event.label_id = fields.get("label_id", "")
        missing = {"label_id", "suricata", "signature", "message"} - set(fields)
        if fault is not None and fault.kind == faults.STATUS:
            event.outcome = faults.STATUS
            self._note(request, event)
            return _status(fault)
        if missing:
            event.outcome, event.detail = "refused", f"without {', '.join(sorted(missing))}"
            self._note(request, event)
            return web.Response(status=400, text=event.detail)
        if fault is not None and fault.kind in (faults.RESET, faults.STALL):
            event.outcome = fault.kind
            self._note(request, event)
            raise _Cut
        self._note(request, event)
        if fault is not None and fault.kind == faults.LOST_RESPONSE:
            raise _Cut
        return web.Response(text="ok")

    async def _receive(self, request: web.Request, kind: str) -> _Received | web.Response:
        """Read a form with one file, misbehaving as told."""
        label_id: str | None = None
        if request.content_type != "multipart/form-data":
            return self._refuse(request, kind, "", f"no multipart form: {request.content_type}")
        try:
            reader = await request.multipart()
            async for part in reader:
                if not isinstance(part, BodyPartReader):
                    break
                if part.name == "label_id":
                    label_id = (await part.read_chunk(MAX_FIELD_OCTETS)).decode("utf-8", "replace")
                elif part.name == "file_uploaded":
                    return await self._receive_file(request, kind, part, label_id)
        except (ValueError, AssertionError) as error:
            return self._refuse(request, kind, "", f"no multipart form: {error}")
        return self._refuse(request, kind, "", "no field file_uploaded")

    async def _receive_file(
        self, request: web.Request, kind: str, part: BodyPartReader, label_id: str | None
    ) -> _Received | web.Response:
        name = part.filename or ""
        client = _common_name(request)
        fault = self.faults.take(faults.HTTP_KINDS, name)
        path = self._incoming / str(self._number())
        try:
            with path.open("wb") as file:
                octets = 0
                while chunk := await part.read_chunk(_SLOW_CHUNK if fault else _CHUNK):
                    octets += len(chunk)
                    if fault is not None:
                        await self._misbehave(request, kind, name, fault, octets)
                    file.write(chunk)
            rest = await part.next()
            while rest is not None:
                rest = await part.next()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if fault is not None and fault.kind in (faults.RESET, faults.STALL):
            path.unlink()
            await self._cut_off(request, kind, name, fault)
        if fault is not None and fault.kind == faults.STATUS:
            path.unlink()
            event = Event(kind, name, faults.STATUS, detail=f"HTTP {fault.status}")
            event.label_id = label_id or ""
            self._note(request, event)
            return _status(fault)
        problem = ""
        if label_id is None:
            problem = "no field label_id before the file"
        elif kind == "archive" and not archives.NAME.fullmatch(name):
            problem = f"{name!r} is no name of an archive"
        elif kind == "support" and (not name or "/" in name or name.startswith(".")):
            problem = f"{name!r} is no name of a file"
        if problem:
            path.unlink()
            return self._refuse(request, kind, name, problem)
        return _Received(name, path, label_id or "", client, fault)

    async def _misbehave(
        self, request: web.Request, kind: str, name: str, fault: Fault, octets: int
    ) -> None:
        """What befalls an upload while its file is read."""
        if fault.kind == faults.SLOW:
            await asyncio.sleep(fault.seconds)
        elif fault.kind in (faults.RESET, faults.STALL) and octets > fault.octets:
            await self._cut_off(request, kind, name, fault)

    async def _cut_off(self, request: web.Request, kind: str, name: str, fault: Fault) -> None:
        self._note(request, Event(kind, name, fault.kind))
        if fault.kind == faults.STALL:
            transport = request.transport
            if isinstance(transport, asyncio.ReadTransport):
                transport.pause_reading()
            await asyncio.sleep(fault.seconds)
        raise _Cut

    async def _conclude(
        self, request: web.Request, received: _Received, event: Event
    ) -> web.Response:
        """Note what came of a file, and answer, or not."""
        event.label_id, event.client = received.label_id, received.client
        fault = received.fault
        if fault is not None and event.outcome != "refused":
            event.detail = fault.kind
        self._note(request, event)
        if event.outcome == "refused":
            return web.Response(status=422 if event.total else 400, text=event.detail)
        if fault is not None and fault.kind == faults.LOST_RESPONSE:
            raise _Cut
        if fault is not None and fault.kind == faults.LATE_RESPONSE:
            await asyncio.sleep(fault.seconds)
        return web.Response(text="ok")

    def _refuse(self, request: web.Request, kind: str, name: str, why: str) -> web.Response:
        self._note(request, Event(kind, name, "refused", detail=why))
        return web.Response(status=400, text=why)

    def _note(self, request: web.Request, event: Event) -> None:
        event.at = datetime.now(UTC).isoformat(timespec="milliseconds")
        event.client = event.client or _common_name(request)
        with self._changed:
            with (self.directory / "events.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(dataclasses.asdict(event)) + "\n")
            self._events.append(event)
            self._count = len(self._events)
            self._changed.notify_all()

    def _number(self) -> int:
        """A number that no other file of this directory has."""
        return time.monotonic_ns()

    # What people see

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state(), headers={"Cache-Control": "no-store"})

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            values = await request.json()
            if not isinstance(values, dict):
                raise UsageError("a fault is a JSON object")
            self.faults.add(faults.fault_from(values))
        except (UsageError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self.state()["faults"])

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response([])


async def _listen(
    runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None
) -> int:
    """Listen, and give the port."""
    listener = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    )
    await web.SockSite(runner, listener, ssl_context=context).start()
    return int(listener.getsockname()[1])


def _abort_connections(runner: web.AppRunner) -> None:
    """End all connections at once: TLS would wait for the clients to say goodbye."""
    server = runner.server
    for connection in server.connections if server is not None else ():
        if connection.transport is not None:
            connection.transport.abort()


def _cut(request: web.Request) -> None:
    """End a connection by a reset."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    transport.abort()


def _status(fault: Fault) -> web.Response:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    return web.Response(status=fault.status, text=f"injected {fault.status}", headers=headers)


def _common_name(request: web.Request) -> str:
    certificate = request.get_extra_info("peercert") or {}
    for group in certificate.get("subject", ()):
        for key, value in group:
            if key == "commonName":
                return str(value)
    return ""
