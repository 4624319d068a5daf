"""The configuration: every problem at once, every origin told, one statement of the defaults."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from osect_sensor import config
from osect_sensor.cli import run
from osect_sensor.config import Config, ConfigError

RIGHT = """
[sensor]
label_id = "line-7"
[upload]
host = "cloud.example"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        config.load(path, environment or {})
    return [problem.replace(str(path), "FILE") for problem in caught.value.problems]


def test_file_that_is_right_gives_its_values_and_defaults(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, RIGHT), {})
    assert loaded.config.sensor.label_id == "line-7"
    assert loaded.config.sensor.period == 60
    assert loaded.config.sensor.report_interval == 60
    assert loaded.config.suricata.enabled


def test_environment_overrules_file_and_file_overrules_default(tmp_path: Path) -> None:
    path = write(tmp_path, RIGHT + "[capture]\nbuffer = '32MB'\n")
    loaded = config.load(path, {"OSECT_SENSOR_CAPTURE_BUFFER": "8MB"})
    assert loaded.config.capture.buffer == 8 << 20
    assert loaded.origins["capture.buffer"].source == "environment"
    loaded = config.load(path, {})
    assert loaded.config.capture.buffer == 32 << 20
    assert loaded.origins["capture.buffer"].source == "file"
    assert loaded.origins["capture.tool"].source == "default"


def test_every_problem_is_told_at_once_with_key_value_and_remedy(tmp_path: Path) -> None:
    text = """
[sensor]
label_id = "two words"
period = "soon"
[uplod]
host = "a"
[capture]
bufer = 3
spool = "spool"
[suricata]
enabled = "yes"
[generators]
conn = "zek"
"""
    assert problems(tmp_path, text, {"OSECT_SENSOR_UPLOAD_HOST": "a b"}) == [
        'FILE: uplod: unknown section (got {"host": "a"}); did you mean upload?',
        'FILE: sensor.label_id: malformed (got "two words");'
        " write 1 to 128 printable ASCII characters without spaces",
        'FILE: sensor.period: not a duration (got "soon");'
        ' write a number of seconds, or "90s", "15m", "12h", "7d"',
        "FILE: capture.bufer: unknown key (got 3); did you mean buffer?",
        'FILE: capture.spool: not an absolute path (got "spool"); begin it with /',
        'FILE: generators.conn: unknown (got "zek"); one of native, zeek; did you mean zeek?',
        'FILE: suricata.enabled: neither true nor false (got "yes");'
        " write true or false, without quotes",
        'environment OSECT_SENSOR_UPLOAD_HOST: upload.host: malformed (got "a b");'
        " write a host name or address, with an optional port, without https://",
    ]


def test_unknown_variable_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, RIGHT, {"OSECT_SENSOR_UPLOAD_HOTS": "x"}) == [
        'environment: OSECT_SENSOR_UPLOAD_HOTS: unknown variable (got "x");'
        " unset it; did you mean OSECT_SENSOR_UPLOAD_HOST?"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[upload]\nenabled = true\n", 'upload.host: missing (got "")'),
        (RIGHT + "backoff = 20\nbackoff_limit = 10\n", "upload.backoff: longer than"),
        (RIGHT.replace("[upload]", "period = 7\n[upload]"), "sensor.period: does not divide"),
        (RIGHT.replace("[upload]", "period = 90\n[upload]"), "sensor.period: not a whole number"),
        (RIGHT + "[rules]\nurl = 'http://x/'\n", "rules.url: a URL of another kind"),
        (RIGHT + "[rules]\nurl = 'https://['\n", "rules.url: not a URL"),
        (RIGHT + "[rules]\nurl = 'https://x:port/'\n", "rules.url: not a URL"),
        (RIGHT + f"[capture]\nbuffer = '{'9' * 5000}'\n", "capture.buffer: not a size"),
        (RIGHT + "[capture]\nbuffer = 5\n", "capture.buffer: too small (got 5); at least 1MB"),
        (RIGHT + "[capture]\nbuffer = true\n", "capture.buffer: not a size (got true)"),
        (RIGHT + "[sensor.more]\nx = 1\n", "sensor.more: unknown key"),
    ],
)
def test_value_that_will_not_do_is_named(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in one for one in problems(tmp_path, text))


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"[sensor\n", "not TOML"),
        (b"[sensor]\nlabel_id = '\xff'\n", "not UTF-8"),
        (b"sensor = 1\n", "sensor: not a section (got 1)"),
        (b"sensor = " + b"9" * 5000, "a number has too many digits"),
        (b"sensor = " + b"[" * 5000, "lists within lists"),
        (b'"\\u001b[2J\\n" = 1', r"\x1b[2J\n: unknown section"),
    ],
)
def test_file_that_cannot_be_understood_is_one_problem(
    tmp_path: Path, octets: bytes, words: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(octets)
    with pytest.raises(ConfigError, match=r"config\.toml: ") as caught:
        config.load(path, {})
    assert words in caught.value.problems[0]


def test_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config example"):
        config.load(tmp_path / "none.toml", {})


def test_example_has_every_key_and_its_default(tmp_path: Path) -> None:
    text = config.example()
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in text.splitlines()
    )
    data = tomllib.loads(uncommented)
    assert set(data) == set(config.SECTIONS)
    path = write(tmp_path, text)
    bare = config.load(path, {"OSECT_SENSOR_UPLOAD_ENABLED": "false"})
    assert bare.config.capture == Config().capture
    full = write(tmp_path, uncommented)
    loaded = config.load(full, {})
    defaults = Config()
    for section in config.SECTIONS:
        for key, value in vars(getattr(defaults, section)).items():
            if value != "":
                assert getattr(getattr(loaded.config, section), key) == value, (section, key)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:secret@host/x", "https://***@host/x"),
        ("https://host/0123456789abcdef/rules.tar.gz", "https://host/***/rules.tar.gz"),
        ("https://host/rules?key=1", "https://host/rules?***"),
        ("no url ? at all", "no url ? at all"),
    ],
)
def test_secrets_in_urls_are_masked(text: str, masked: str) -> None:
    assert config.mask(text) == masked


def test_show_masks_secrets_and_tells_origins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, RIGHT + "[rules]\nurl = 'https://me:hunter2@rules.example/r.tar.gz'\n")
    assert run(["config", "show", "--config", str(path), "--json"]) == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    data = json.loads(shown)
    assert data["rules.url"]["origin"] == "file"
    assert data["sensor.period"] == {"origin": "default", "value": 60, "where": ""}


def test_check_says_ok_or_a_line_for_each_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, RIGHT)
    assert run(["config", "check", "--config", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: ok\n"
    path = write(tmp_path, "[upload]\n")
    assert run(["config", "check", "--config", str(path)]) == 78
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().sensor.period = 5  # type: ignore[misc]
