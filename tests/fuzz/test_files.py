"""Whatever stands in files that are read again is taken or refused in words; nothing is raised."""

from __future__ import annotations

import functools
import io
import json
import os
import random
import shutil
import tarfile
import tempfile
from collections.abc import Hashable, Iterable
from dataclasses import asdict
from pathlib import Path

import pytest
import zstandard
from corpus import BUILT, FINGERPRINTS, words
from fuzzing import Campaign, octets, of_octets
from osect_harness.adapters import golden_profile
from osect_harness.check import CheckOptions, check
from osect_harness.cloud.archives import BadArchive, judge, unpack
from osect_harness.compare import Options, compare_capture
from osect_harness.contract import load_eve
from osect_harness.errors import UsageError
from osect_harness.eve import check_event

from osect_sensor import config
from osect_sensor.errors import OsectError
from osect_sensor.fingerprint.database import read_database
from osect_sensor.generators import state
from osect_sensor.generators.native import NativeGenerator
from osect_sensor.generators.replay import Replay
from osect_sensor.generators.suricata import WindowSplitter
from osect_sensor.logs.catalog import OSECT_2023
from osect_sensor.logs.reader import read_log, unescape
from osect_sensor.logs.sink import CollectingSink
from osect_sensor.service.certificate import certificate_expiry
from osect_sensor.service.checkpoint import CHECKPOINT_FILE, Checkpoint, Checkpoints, StateFile
from osect_sensor.service.files import read_json
from osect_sensor.service.status import gather
from osect_sensor.wire.capture import open_capture

START = 1_500_000_000_000_000

EVENTS = (
    b'{"timestamp":"2017-07-14T02:40:00.123456+0000","flow_id":1,"event_type":"alert",'
    b'"src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP",'
    b'"alert":{"action":"allowed","gid":1,"signature_id":1,"rev":1,"signature":"s","category":"",'
    b'"severity":3}}\n',
    b'{"timestamp":"2017-07-14T02:41:00.000000+0000","event_type":"stats","stats":{"uptime":1}}\n',
)

TEXT = (
    b"\t", b"\n", b"#", b"#close", b"#fields\t", b"-", b"(empty)", b"\\x", b"\\\\", b"\xff",
    b"\xc3\xa9", b",", b"T", b"F", b"1e999", b"nan", b"-1", b"0x", b"99999999999999999999",
    b"::", b"1.2.3.4", b"[", b"{", b"}", b"]", b'"', b"null", b"true", b"\0", b"\r", b"=", b"'''",
    b'"""', b"\x1b[",
)  # fmt: skip


@functools.cache
def reference_logs() -> Path:
    """The logs of the reference capture."""
    directory = Path(tempfile.mkdtemp(prefix="osect-fuzz-")) / "logs"
    selection = [name for name in OSECT_2023.names() if name != "eve"]
    capture = str(BUILT / "factory_minute.pcap")
    Replay([capture], directory, selection, fingerprints=FINGERPRINTS).run()
    (directory / "eve.json").write_bytes(b"".join(EVENTS))
    return directory


@pytest.fixture(scope="module", autouse=True)
def _reference_logs_are_removed() -> Iterable[None]:
    yield
    if reference_logs.cache_info().currsize:
        shutil.rmtree(reference_logs().parent)


@pytest.mark.parametrize("name", OSECT_2023.names())
def test_any_log_is_read_or_refused(tmp_path: Path, name: str) -> None:
    log = OSECT_2023.find(name)
    assert log is not None
    path = tmp_path / "any.log"

    def target(data: bytes) -> Iterable[Hashable]:
        path.write_bytes(data)
        try:
            contents = read_log(str(path), log)
        except ValueError as error:
            return [str(error).rpartition(":")[2]]
        for row in contents.rows:
            assert len(row) == len(contents.fields)
            for value in row:
                unescape(value)
        return [len(contents.rows).bit_length(), len(contents.events), contents.closed != ""]

    seeds = [(reference_logs() / log.file_name).read_bytes()[:4000]]
    Campaign(f"log-{name}", tmp_path, seeds, of_octets(TEXT), tries=80, share=0.2).run(target)


def test_any_logs_are_checked_and_compared(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    shutil.copytree(reference_logs(), ours)
    names = sorted(path.name for path in ours.iterdir())
    contents = [(ours / name).read_bytes() for name in names]

    def target(data: bytes) -> Iterable[Hashable]:
        for name, content in zip(names, contents, strict=True):
            header = content.split(b"\n")[:1]
            if data.split(b"\n")[:1] == header and name != "eve.json":
                break
        (ours / name).write_bytes(data)
        try:
            report = check(ours, CheckOptions(any_time=len(data) % 2 == 0))
            result = compare_capture(
                "fuzz", ours, reference_logs(), Options(profile=golden_profile())
            )
        finally:
            (ours / name).write_bytes(content)
        return [
            *((one.file, one.column, one.kind) for one in report.violations),
            sum(log.missing for log in result.logs).bit_length(),
        ]

    Campaign("checked-logs", tmp_path, contents, of_octets(TEXT), tries=60).run(target)


def test_any_event_is_checked_and_dealt_to_a_window(tmp_path: Path) -> None:
    contract = load_eve()
    paths = [tmp_path / "one", tmp_path / "two"]

    def target(data: bytes) -> Iterable[Hashable]:
        line = data.decode("utf-8", "surrogateescape").replace("\n", "") + "\n"
        found: list[Hashable] = [(one.kind, one.key) for one in check_event(contract, line)]
        printable = line.encode("utf-8", "replace").decode()
        splitter = WindowSplitter([START, START + 60_000_000], paths)
        assert splitter.split(iter([EVENTS[0].decode(), printable])) == 2
        return found

    Campaign("events", tmp_path, EVENTS, of_octets(TEXT), tries=300, share=0.5).run(target)


def refusals(error: config.ConfigError) -> list[Hashable]:
    """What was refused, each in a line that a terminal can show."""
    assert error.problems
    assert all(problem.isprintable() for problem in error.problems), error.problems
    return [problem.partition("(got")[0][-60:] for problem in error.problems]


def test_any_configuration_is_taken_or_refused_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    names = tuple(
        name.encode() for section in config.SECTIONS for name in (section, f"[{section}]")
    )
    values = (b"https://[", b"https://a:b", b"9" * 4400, b"inf", b"2020-01-01", b"\\u001b", b"[[")

    def target(data: bytes) -> Iterable[Hashable]:
        path.write_bytes(data)
        try:
            loaded = config.load(path, {})
        except config.ConfigError as error:
            return refusals(error)
        return [loaded.config.sensor.period, loaded.config.upload.enabled]

    uncommented = config.example().replace("\n# ", "\n")
    seeds = [
        config.example().encode(),
        "\n".join(
            line for line in uncommented.splitlines() if " = " in line or "[" in line
        ).encode(),
        b'[upload]\nenabled = false\nproxy = "https://["\n[capture]\ninterface = "eth1"\n',
    ]
    campaign = Campaign(
        "configuration", tmp_path, seeds, of_octets(TEXT + names + values), tries=300
    )
    campaign.run(target)


def test_any_environment_is_taken_or_refused_in_lines(tmp_path: Path) -> None:
    known = [
        config.variable_name(section, key)
        for section, kind in config.SECTIONS.items()
        for key in config._keys(kind)
    ]

    def target(data: bytes) -> Iterable[Hashable]:
        text = data.decode("utf-8", "surrogateescape").replace("\0", "")
        environment = {known[len(text) % len(known)]: text, known[sum(data) % len(known)]: text}
        try:
            config.load(tmp_path / "absent", environment, required=False)
        except config.ConfigError as error:
            return refusals(error)
        return []

    seeds = [b"10", b"true", b"1h", b"5 MB", b"eth1", b"https://x", b"/var/lib", b"[1]", b"native"]
    seeds += [b"https://[", b"https://a:b", b"9" * 4400]
    Campaign("environment", tmp_path, seeds, of_octets(TEXT), tries=300, share=0.5).run(target)


def one_line(error: OsectError) -> str:
    assert "\n" not in str(error)
    return error.message


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(data)


def tar(members: list[tuple[str, bytes]], form: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        if form == tarfile.PAX_FORMAT:
            archive.addfile(link)
    return file.getvalue()


def archive_seeds() -> list[bytes]:
    """Archives as sensors make them, without their compression."""
    logs = [(path.name, path.read_bytes()) for path in sorted(reference_logs().iterdir())]
    odd = [("conn.log", b"1\t2\n"), ("./arp.log", b""), ("\xfc" * 60, b"x"), ("a" * 200, b"y")]
    return [
        tar(logs, tarfile.USTAR_FORMAT),
        tar(odd, tarfile.PAX_FORMAT),
        tar(odd, tarfile.GNU_FORMAT),
    ]


HEADERS = (
    b"../x\0", b"/etc/passwd\0", b"ustar\0", b"ustar  \0", b"\0" * 12, b"7777777777\0", b"L", b"x",
    b"g", b"2", b"1", b"5", b"S", b"././@LongLink\0", b"\x80\0\0\0\0\0\0\0\0\0\0\1",
    b"30 path=../../x\n", b"22 size=99999999999999\n", b"A" * 300,
)  # fmt: skip


def with_checksum(data: bytes, at: int) -> bytes:
    """The tar with the checksum right of the header that stands around ``at``."""
    start = at // 512 * 512
    header = bytearray(data[start : start + 512])
    if len(header) < 512:
        return data
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + 512 :]


@pytest.mark.parametrize("where", ["tar", "header", "zstd"])
def test_any_archive_is_unpacked_into_its_directory_or_refused(tmp_path: Path, where: str) -> None:
    archive = tmp_path / "archive"
    cloud = tmp_path / "cloud"
    cloud.mkdir()
    directory = cloud / "window"

    def target(data: bytes) -> Iterable[Hashable]:
        archive.write_bytes(data if where == "zstd" else packed(data))
        shutil.rmtree(directory, ignore_errors=True)
        try:
            unpack(archive, directory)
        except BadArchive as error:
            assert os.listdir(cloud) == []
            return [str(error)[:25]]
        assert os.listdir(cloud) == ["window"]
        for path in directory.iterdir():
            assert path.is_file()
            assert not path.is_symlink()
        return [judge(directory).total.bit_length()]

    def mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
        changed = octets(chance, data, other, HEADERS)
        if where == "header":
            at = chance.randrange(0, max(1, min(len(changed), 4096)), 512)
            head = octets(chance, changed[at : at + 512], other, HEADERS)[:512].ljust(512, b"\0")
            changed = with_checksum(changed[:at] + head + changed[at + 512 :], at)
        return changed

    seeds = archive_seeds()
    if where == "zstd":
        seeds = [packed(data) for data in seeds]
    Campaign(f"archive-{where}", tmp_path, seeds, mutate, tries=100, share=0.5).run(target)


def test_any_fingerprint_database_is_read(tmp_path: Path) -> None:
    def target(data: bytes) -> Iterable[Hashable]:
        read_database(data.decode("utf-8", "surrogateescape"))
        return []

    text = FINGERPRINTS.read_bytes()
    seeds = [text[start : start + 3000] for start in range(0, len(text), 3000)]
    mutate = of_octets(TEXT + words("fingerprint"))
    Campaign("fingerprints", tmp_path, seeds, mutate, tries=200, share=0.5).run(target)


def test_any_certificate_has_an_end_or_is_refused(tmp_path: Path) -> None:
    import base64

    from trustme import CA

    path = tmp_path / "client.pem"
    pem = CA().issue_cert("sensor").cert_chain_pems[0].bytes()
    body = base64.b64decode(b"".join(pem.splitlines()[1:-1]))

    def target(data: bytes) -> Iterable[Hashable]:
        # One input in two is the text, the other what the text encodes.
        if not data.startswith(b"-"):
            shown = base64.encodebytes(data)
            data = b"-----BEGIN CERTIFICATE-----\n" + shown + b"-----END CERTIFICATE-----\n"
        path.write_bytes(data)
        try:
            return [certificate_expiry(path).year]
        except OsectError as error:
            return [one_line(error)[-20:]]

    dictionary = (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"\x30\x84", b"Z")
    mutate = of_octets(dictionary)
    Campaign("certificate", tmp_path, [pem, body], mutate, tries=300, share=0.5).run(target)


def test_what_the_sensor_noted_may_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_FILE
    one = Checkpoint(1, done="a", names=[[1, 2, 60]], states=[StateFile("s", "a", 3)])
    seeds = [json.dumps(asdict(one)).encode(), b"[]", b"{}", b'{"format": 1, "states": [{}]}']

    def target(data: bytes) -> Iterable[Hashable]:
        path.write_bytes(data)
        read_json(path)
        current = Checkpoints(tmp_path).current
        return [current.windows, current.done, len(current.states)]

    Campaign("checkpoint", tmp_path, seeds, of_octets(TEXT), tries=200, share=0.5).run(target)


def test_what_the_parts_say_of_themselves_may_be_damaged(tmp_path: Path) -> None:
    from osect_sensor.service.layout import Layout

    loaded = config.load(
        tmp_path / "absent",
        {
            config.variable_name("sensor", "state"): str(tmp_path / "state"),
            config.variable_name("sensor", "runtime"): str(tmp_path / "run"),
            config.variable_name("capture", "spool"): str(tmp_path / "spool"),
            config.variable_name("capture", "interface"): "eth1",
            config.variable_name("upload", "enabled"): "false",
        },
        required=False,
    )
    layout = Layout(loaded.config)
    places = [layout.capture_status, layout.cycle_status, layout.upload_status, layout.rules_status]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)

    def target(data: bytes) -> Iterable[Hashable]:
        for place in places:
            place.write_bytes(data)
        return list(gather(loaded.config).problems)

    seeds = [
        b'{"pid": 1, "state": "capturing", "problem": "", "dropped_by_kernel": 1}',
        b'{"set_aside": 2, "suricata": {"enabled": true, "failure": "x"}, "problem": "y"}',
    ]
    Campaign("status", tmp_path, seeds, of_octets(TEXT), tries=150, share=0.5).run(target)


def test_any_state_is_restored_or_refused(tmp_path: Path) -> None:
    seeds = []
    for name in ("factory_minute.pcap", "fragments.pcap", "tcp_flags.pcap"):
        generator = NativeGenerator(CollectingSink(), 0, 1)
        with (BUILT / name).open("rb") as file:
            reader = open_capture(file, name)
            for _ in range(40):
                if not reader.next():
                    break
                generator.read(reader, reader.timestamp + 1)
        seeds.append(state.save(generator))

    def target(data: bytes) -> Iterable[Hashable]:
        try:
            state.restore(NativeGenerator(CollectingSink(), 0, 1), data)
        except state.StateUnusable as error:
            return [str(error)[:12]]
        return ["restored"]

    def mutate(chance: random.Random, data: bytes, other: bytes) -> bytes:
        head = data.index(b"\n", len(state.MAGIC)) + 1 if b"\n" in data[len(state.MAGIC) :] else 0
        return data[:head] + octets(chance, data[head:], other)

    Campaign("states", tmp_path, seeds, mutate, tries=150, share=0.5).run(target)


def test_a_directory_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check(tmp_path)
