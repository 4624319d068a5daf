"""Updates of the rules: only what is whole, verified and loadable replaces what is in use."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import ssl
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from osect_sensor.config import Capture, Config, Rules, Sensor
from osect_sensor.service import rules as module
from osect_sensor.service.files import write_json
from osect_sensor.service.layout import Layout
from osect_sensor.service.rules import RulesError, RulesUpdater, current_rules

RULE = 'alert tcp any any -> any 502 (msg:"{message}"; sid:{sid}; rev:1;)\n'

SURICATA = """#!/bin/sh
case "$1" in
-V) echo "This is Suricata version 7.0.10 RELEASE"; exit 0 ;;
esac
while [ $# -gt 0 ]; do [ "$1" = -S ] && rules=$2; shift; done
if grep -q BROKEN "$rules"; then echo "E: detect: broken"; exit 1; fi
count=$(grep -c ^alert "$rules")
echo "i: detect: 1 rule files processed. $count rules successfully loaded, 1 rules failed"
"""

UPDATER = """#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
    --output) output=$2 ;;
    --url) url=$2 ;;
    esac
    shift
done
tar -xzOf "${url#file://}" --wildcards '*.rules' > "$output/suricata.rules"
"""


def tarball(*messages: str, name: str = "rules/one.rules") -> bytes:
    text = "".join(
        RULE.format(message=message, sid=sid) for sid, message in enumerate(messages, 1)
    ).encode()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return gzip.compress(plain.getvalue())


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.source = tmp_path / "source"
        self.source.mkdir()
        self.layout = Layout(
            Config(
                sensor=Sensor(state=str(tmp_path / "state"), runtime=str(tmp_path / "run")),
                capture=Capture(spool=str(tmp_path / "spool")),
            )
        )
        self.settings = Rules(url=(self.source / "emerging.rules.tar.gz").as_uri())
        self.programs = tmp_path / "bin"
        self.programs.mkdir()
        self.program("suricata", SURICATA)
        self.program("suricata-update", UPDATER)

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def publish(self, data: bytes, version: str = "", md5: str | None = None) -> None:
        (self.source / "emerging.rules.tar.gz").write_bytes(data)
        checksum = hashlib.md5(data).hexdigest() if md5 is None else md5
        (self.source / "emerging.rules.tar.gz.md5").write_text(checksum + "\n")
        if version:
            (self.source / "version.txt").write_text(version + "\n")

    def updater(self, **changes: object) -> RulesUpdater:
        return RulesUpdater(
            dataclasses.replace(self.settings, **changes),
            str(self.programs / "suricata"),
            self.layout,
            updater=str(self.programs / "suricata-update"),
        )

    def in_use(self) -> str:
        return (self.layout.rules / "current" / "suricata.rules").read_text()

    def report(self) -> dict[str, str]:
        return json.loads(self.layout.rules_report.read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def installed(bench: Bench) -> Bench:
    """With a rule set of version 1 in use."""
    bench.publish(tarball("first"), "1")
    assert bench.updater().update()
    return bench


def test_new_rules_are_put_to_use_and_reported(installed: Bench) -> None:
    assert "first" in installed.in_use()
    assert installed.report() == {"suricata": "7.0.10", "signature": "1", "message": "success"}
    current = current_rules(installed.layout)
    assert current is not None
    assert (current.version, current.loaded, current.failed) == ("1", 1, 1)


def test_the_same_version_is_not_fetched_again(installed: Bench) -> None:
    (installed.source / "emerging.rules.tar.gz").unlink()
    assert not installed.updater().update()
    assert installed.report()["message"] == "current version is the latest"


def test_a_new_version_replaces_the_old_one(installed: Bench) -> None:
    installed.publish(tarball("second"), "2")
    assert installed.updater().update()
    assert "second" in installed.in_use()
    assert installed.report()["signature"] == "2"


def test_force_fetches_the_same_version(installed: Bench) -> None:
    installed.publish(tarball("other"), "1")
    assert installed.updater().update(force=True)
    assert "other" in installed.in_use()


def test_without_version_file_the_checksum_tells_what_is_new(bench: Bench) -> None:
    bench.publish(tarball("first"))
    assert bench.updater().update()
    assert not bench.updater().update()
    bench.publish(tarball("second"))
    assert bench.updater().update()


def test_a_tarball_from_elsewhere_is_installed_even_under_the_same_version(
    installed: Bench, tmp_path: Path
) -> None:
    other = tmp_path / "other.tar.gz"
    other.write_bytes(tarball("elsewhere"))
    (tmp_path / "version.txt").write_text("1")
    assert installed.updater(url=other.as_uri()).update()
    assert "elsewhere" in installed.in_use()


WHOLE = tarball("second", "third", "fourth")


@pytest.mark.parametrize(
    ("data", "md5", "message"),
    [
        (WHOLE, "0" * 32, "incorrect md5 value"),
        (WHOLE, "nonsense", "incorrect md5 value"),
        (WHOLE[: len(WHOLE) // 2], hashlib.md5(WHOLE).hexdigest(), "incorrect md5 value"),
        (WHOLE[: len(WHOLE) // 2], None, "damaged"),
        (WHOLE[:-4], None, "damaged"),
        (WHOLE[:-8] + bytes(8), None, "damaged"),
        (b"<html>Not found</html>", None, "damaged"),
        (b"", None, "damaged"),
        (tarball("second", name="rules/readme.txt"), None, "no rules"),
        (tarball("BROKEN"), None, "does not load the rules: E: detect: broken"),
        (tarball(), None, "understands none"),
    ],
)
def test_what_is_not_whole_or_does_not_load_keeps_the_old_rules(
    installed: Bench, data: bytes, md5: str | None, message: str
) -> None:
    installed.publish(data, "2", md5)
    with pytest.raises(RulesError, match=message) as caught:
        installed.updater().update()
    assert caught.value.exit_code == 69
    assert "first" in installed.in_use()
    assert installed.report()["signature"] == "1"
    assert message in installed.report()["message"]
    assert not (installed.layout.rules / ".new").exists()
    status = json.loads(installed.layout.rules_status.read_text())
    assert message in status["problem"]


def test_a_missing_tarball_keeps_the_old_rules(installed: Bench) -> None:
    installed.publish(WHOLE, "2")
    (installed.source / "emerging.rules.tar.gz").unlink()
    with pytest.raises(RulesError, match="failed to download file:"):
        installed.updater().update()
    assert "first" in installed.in_use()


def test_a_configured_version_file_must_be_there(installed: Bench) -> None:
    with pytest.raises(RulesError, match="failed to download"):
        installed.updater(version_url="file:///nowhere/version.txt").update()


@pytest.mark.parametrize("text", ["", "<html> not found </html>", "x" * 65])
def test_a_version_that_is_none_is_refused(installed: Bench, text: str) -> None:
    (installed.source / "version.txt").write_text(text)
    with pytest.raises(RulesError, match="holds no version"):
        installed.updater().update()


@pytest.mark.parametrize("program", ["suricata", "suricata-update"])
def test_a_missing_program_is_told(installed: Bench, program: str) -> None:
    installed.publish(WHOLE, "2")
    (installed.programs / program).unlink()
    with pytest.raises(RulesError, match=program):
        installed.updater().update()
    assert "first" in installed.in_use()


def test_an_update_that_was_killed_does_not_hinder_the_next(installed: Bench) -> None:
    rubbish = installed.layout.rules / ".new" / "version"
    rubbish.mkdir(parents=True)
    (installed.layout.rules / ".current").symlink_to("versions/nowhere")
    installed.publish(WHOLE, "2")
    assert installed.updater().update()
    assert "second" in installed.in_use()


def test_at_every_moment_a_whole_rule_set_is_in_use(installed: Bench, monkeypatch) -> None:
    seen: list[str] = []
    real = os.rename

    def watch(source: Path, target: Path) -> None:
        seen.append(installed.in_use())
        real(source, target)
        seen.append(installed.in_use())

    monkeypatch.setattr(os, "rename", watch)
    installed.publish(WHOLE, "2")
    installed.updater().update()
    assert len(seen) >= 4
    assert all("first" in text or text.count("sid:") == 3 for text in seen)


def test_the_version_before_is_kept_and_older_ones_go(installed: Bench) -> None:
    for version in ("2", "3", "4"):
        installed.publish(tarball(version), version)
        installed.updater().update()
    names = sorted(path.name for path in (installed.layout.rules / "versions").iterdir())
    assert [name.rpartition("-")[2] for name in names] == ["3", "4"]


def test_two_updates_at_once_are_refused(installed: Bench) -> None:
    with installed.updater()._alone(), pytest.raises(RulesError, match="another update"):
        installed.updater().update()


def test_a_version_with_odd_characters_makes_no_odd_path(bench: Bench) -> None:
    bench.publish(tarball("first"), "../../../etc/1")
    assert bench.updater().update()
    (version,) = (bench.layout.rules / "versions").iterdir()
    assert version.parent == bench.layout.rules / "versions"
    assert current_rules(bench.layout).version == "../../../etc/1"


def test_the_loop_waits_for_the_interval_with_a_random_part(installed: Bench) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 3

    updated = json.loads(installed.layout.rules_status.read_text())["updated_at"]
    from datetime import datetime

    now = datetime.fromisoformat(updated).timestamp() + 1000
    installed.updater(interval=86_400, delay=600).run(wait, lambda: 0.5, lambda: now)
    assert waits == [85_400 + 300, 86_400 + 300, 86_400 + 300]


def test_the_loop_tries_again_sooner_after_a_failure(bench: Bench) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 2

    bench.updater(interval=86_400, delay=600).run(wait, lambda: 0.0, lambda: 0.0)
    assert waits == [0, module.RETRY_SECONDS]


def test_a_clock_set_back_does_not_put_the_update_off(installed: Bench) -> None:
    waits: list[float] = []
    installed.updater(interval=86_400).run(
        lambda seconds: bool(waits.append(seconds)) or True, lambda: 0.0, lambda: 0.0
    )
    assert waits == [86_400]


class Server:
    """An HTTPS server of files."""

    def __init__(self, directory: Path, tmp_path: Path) -> None:
        authority = trustme.CA()
        self.ca = tmp_path / "rules-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self.cut: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.location = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                path = directory / name
                status = outer.statuses.get(name, 200 if path.exists() else 404)
                data = path.read_bytes() if status == 200 else b"no"
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if name in outer.cut else data)

            def log_message(self, *arguments: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/open/emerging.rules.tar.gz"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(installed: Bench, tmp_path: Path) -> Iterator[Server]:
    one = Server(installed.source, tmp_path)
    installed.settings = dataclasses.replace(installed.settings, url=one.url, ca=str(one.ca))
    installed.publish(WHOLE, "2")
    yield one
    one.close()


def test_rules_are_fetched_over_https(installed: Bench, server: Server) -> None:
    assert installed.updater().update()
    assert "second" in installed.in_use()


def test_a_server_that_cannot_be_trusted_gives_no_rules(installed: Bench, server: Server) -> None:
    with pytest.raises(RulesError, match="not trusted"):
        installed.updater(ca="").update()
    assert "first" in installed.in_use()


@pytest.mark.parametrize(
    "name", ["emerging.rules.tar.gz", "emerging.rules.tar.gz.md5", "version.txt"]
)
def test_a_download_that_is_cut_off_keeps_the_old_rules(
    installed: Bench, server: Server, name: str
) -> None:
    server.cut.add(name)
    with pytest.raises(RulesError):
        installed.updater().update()
    assert "first" in installed.in_use()


@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_http_error_keeps_the_old_rules(installed: Bench, server: Server, status: int) -> None:
    server.statuses["emerging.rules.tar.gz"] = status
    with pytest.raises(RulesError, match=f"HTTP {status}"):
        installed.updater().update()
    assert "first" in installed.in_use()


def test_over_https_a_checksum_is_a_must(installed: Bench, server: Server) -> None:
    server.statuses["emerging.rules.tar.gz.md5"] = 404
    with pytest.raises(RulesError, match="md5: HTTP 404"):
        installed.updater().update()
    assert "first" in installed.in_use()


def test_a_redirection_out_of_https_is_not_followed(installed: Bench, server: Server) -> None:
    server.statuses["emerging.rules.tar.gz"] = 302
    server.location = "http://127.0.0.1:1/emerging.rules.tar.gz"
    with pytest.raises(RulesError, match="something other than https"):
        installed.updater().update()


def test_a_file_that_is_too_large_is_not_kept(
    installed: Bench, server: Server, monkeypatch
) -> None:
    monkeypatch.setattr(module, "MAX_TARBALL_OCTETS", 100)
    with pytest.raises(RulesError, match="larger than 100 octets"):
        installed.updater().update()


def test_secrets_of_the_url_are_in_no_report(installed: Bench, caplog) -> None:
    url = "https://rules.example.invalid/0123456789abcdef/rules.tar.gz?code=hunter2"
    with pytest.raises(RulesError) as caught:
        installed.updater(url=url, timeout=1).update()
    said = str(caught.value) + json.dumps(installed.report()) + caplog.text
    said += installed.layout.rules_status.read_text()
    assert "hunter2" not in said
    assert "0123456789abcdef" not in said


needs_suricata = pytest.mark.skipif(
    shutil.which("suricata") is None or shutil.which("suricata-update") is None,
    reason="needs suricata and suricata-update",
)


def real_updater(bench: Bench, **changes: object) -> RulesUpdater:
    return RulesUpdater(dataclasses.replace(bench.settings, **changes), "suricata", bench.layout)


@needs_suricata
def test_the_real_programs_take_a_tarball(bench: Bench) -> None:
    bench.publish(tarball("first", "second"), "10")
    assert real_updater(bench).update()
    current = current_rules(bench.layout)
    assert (current.loaded, current.failed) == (2, 0)
    assert bench.in_use().count("sid:") == 2


@needs_suricata
def test_the_real_suricata_keeps_rules_of_ot_protocols(bench: Bench) -> None:
    text = (
        b'alert modbus any any -> any any (msg:"write"; modbus: access write; sid:1; rev:1;)\n'
        b'alert dnp3 any any -> any any (msg:"dnp3"; dnp3_func:2; sid:2; rev:1;)\n'
    )
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as tar:
        info = tarfile.TarInfo("rules/ot.rules")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    bench.publish(plain.getvalue(), "10")
    assert real_updater(bench).update()
    assert current_rules(bench.layout).loaded == 2


@needs_suricata
def test_the_real_suricata_refuses_rules_that_it_does_not_understand(bench: Bench) -> None:
    text = b'alert nonsense any any -> any any (msg:"x"; sid:1; rev:1;)\n'
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as tar:
        info = tarfile.TarInfo("rules/bad.rules")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    bench.publish(plain.getvalue(), "10")
    with pytest.raises(RulesError):
        real_updater(bench).update()
    assert current_rules(bench.layout) is None


@needs_suricata
@pytest.mark.skipif("OSECT_SLOW" not in os.environ, reason="takes a minute: set OSECT_SLOW")
def test_emerging_threats_open_is_taken(bench: Bench) -> None:
    shared = Path(os.environ.get("OSECT_SHARED", Path(__file__).parents[4] / "shared"))
    source = shared / "rules" / "emerging.rules.tar.gz"
    if not source.exists():
        pytest.skip(f"no {source}")
    assert real_updater(bench, url=source.as_uri()).update()
    assert current_rules(bench.layout).loaded > 20_000


def test_facts_that_are_damaged_count_as_no_rules(installed: Bench) -> None:
    write_json(installed.layout.rules / "current" / "version.json", {"version": "1"})
    assert current_rules(installed.layout) is None
    assert installed.updater().update()
