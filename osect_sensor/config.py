"""config.toml ⇄ frozen, validated settings: the only place that knows defaults.

Each setting is a field of a section class below: its default, its kind, its limits and what it
means stand there once, and the checks, ``config show`` and the example file come from that.
A value comes from the default, is overruled by the file, and that by the environment variable
``OSECT_SENSOR_<SECTION>_<KEY>``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from osect_sensor.errors import EXIT_CONFIGURATION, OsectError

CONFIG_FILE: Final = Path("/etc/osect-sensor/config.toml")
"""Where the configuration is unless ``--config`` or ``OSECT_SENSOR_CONFIG`` says otherwise."""

ENVIRONMENT_PREFIX: Final = "OSECT_SENSOR_"
CONFIG_VARIABLE: Final = ENVIRONMENT_PREFIX + "CONFIG"

DEFAULT: Final = "default"
FILE: Final = "file"
ENVIRONMENT: Final = "environment"

Kind = Literal["text", "path", "integer", "flag", "size", "duration", "choice", "url", "texts"]

_SIZE_UNITS: Final = {
    "": 1,
    "B": 1,
    "K": 1 << 10,
    "KB": 1 << 10,
    "M": 1 << 20,
    "MB": 1 << 20,
    "G": 1 << 30,
    "GB": 1 << 30,
    "T": 1 << 40,
    "TB": 1 << 40,
}
_DURATION_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_QUANTITY: Final = re.compile(r"\s*([0-9]{1,18})\s*([A-Za-z]*)\s*")

_MASK: Final = "***"

MAX_CONFIG_OCTETS: Final = 1024 * 1024
"""Size of a configuration file; beyond it somebody named a capture by mistake."""


class ConfigError(OsectError):
    """The configuration has problems: all of them, a line each."""

    def __init__(self, problems: list[str], hint: str = "") -> None:
        super().__init__("\n".join(problems), hint, EXIT_CONFIGURATION)
        self.problems: Final = problems


@dataclass(frozen=True)
class _Setting:
    """What is known of one key beyond its default."""

    kind: Kind
    meaning: str
    minimum: int = 0
    maximum: int = 1 << 62
    choices: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""
    """What ``pattern`` asks for, in words."""
    example: str = ""
    """What the example file shows instead of an empty default."""


def _setting(default: Any, kind: Kind, meaning: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"setting": _Setting(kind, meaning, **more)})


@dataclass(frozen=True)
class Sensor:
    """Which sensor this is, and where it keeps what it has."""

    label_id: str = _setting(
        "",
        "text",
        "The sensor's identity at the cloud, as issued with the client certificate.",
        pattern=r"[\x21-\x7e]{1,128}",
        form="1 to 128 printable ASCII characters without spaces",
        example="plant-3-line-7",
    )
    period: int = _setting(
        60, "duration", "Length of a window: one directory of logs each.", minimum=1, maximum=3_600
    )
    report_interval: int = _setting(
        60,
        "duration",
        "How often a connection that stays open is reported; 0 for its end only.",
        maximum=86_400,
    )
    state: str = _setting(
        "/var/lib/osect-sensor",
        "path",
        "Directory of everything that must outlive a restart: queue, archives, checkpoints.",
    )
    runtime: str = _setting("/run/osect-sensor", "path", "Directory of status files; may be lost.")
    fingerprints: str = _setting(
        "/etc/p0f/p0f.fp", "path", "p0f database; without it every system in p0f-k.log is ???."
    )


@dataclass(frozen=True)
class Capture:
    """Writing the mirror port to the spool, a file for each period."""

    interface: str = _setting(
        "",
        "text",
        "Interface of the mirror port.",
        pattern=r"[^\s/-][^\s/]{0,14}",
        form="a Linux interface name: up to 15 characters, no spaces or slashes",
        example="eth1",
    )
    tool: str = _setting(
        "auto",
        "choice",
        "Program that captures; auto takes tcpdump, or dumpcap where that is missing.",
        choices=("auto", "tcpdump", "dumpcap"),
    )
    spool: str = _setting(
        "/var/lib/osect-sensor/spool",
        "path",
        "Directory of the capture files: incoming/ until their window is archived, then kept/.",
    )
    snapshot_length: int = _setting(
        262_144, "integer", "Octets of each frame to keep.", minimum=64, maximum=262_144
    )
    buffer: int = _setting(
        64 << 20,
        "size",
        "Kernel buffer: what may wait while the disk is busy.",
        minimum=1 << 20,
        maximum=2 << 30,
    )
    filter: str = _setting(
        "", "text", "BPF filter expression; empty captures everything.", example="not port 22"
    )
    minimum_free: int = _setting(
        512 << 20, "size", "Disk space that capture leaves free: below it packets are dropped."
    )


NATIVE: Final = "native"

GENERATORS: Final[dict[str, tuple[str, ...]]] = {
    "conn": (NATIVE, "zeek"),
    "arp": (NATIVE, "zeek"),
    "ns": (NATIVE, "zeek"),
    "dns": (NATIVE, "zeek"),
    "http": (NATIVE, "zeek"),
    "dhcp2": (NATIVE, "zeek"),
    "netbios-ns": (NATIVE, "zeek"),
    "mswin-browser": (NATIVE, "zeek"),
    "dhcpv6": (NATIVE, "zeek"),
    "ssdp": (NATIVE, "zeek"),
    "cclink-ief-basic": (NATIVE, "zeek"),
    "cclink-ie": (NATIVE, "zeek"),
    "yaf_flow": (NATIVE, "yaf"),
    "p0f-k": (NATIVE, "p0f"),
}
"""Who can write each log."""


def _generator(log: str) -> Any:
    choices = GENERATORS[log]
    return _setting(
        NATIVE, "choice", f"Who writes the {log} log: {' or '.join(choices)}.", choices=choices
    )


@dataclass(frozen=True)
class Generators:
    """Who writes which log. The native generator needs no other program; a real tool must be
    installed, and sees each window by itself: connections end at the window's edge."""

    conn: str = _generator("conn")
    arp: str = _generator("arp")
    ns: str = _generator("ns")
    dns: str = _generator("dns")
    http: str = _generator("http")
    dhcp2: str = _generator("dhcp2")
    netbios_ns: str = _generator("netbios-ns")
    mswin_browser: str = _generator("mswin-browser")
    dhcpv6: str = _generator("dhcpv6")
    ssdp: str = _generator("ssdp")
    cclink_ief_basic: str = _generator("cclink-ief-basic")
    cclink_ie: str = _generator("cclink-ie")
    yaf_flow: str = _generator("yaf_flow")
    p0f_k: str = _generator("p0f-k")
    zeek_scripts: tuple[str, ...] = _setting(
        ("local",), "texts", "Scripts that Zeek loads where it writes a log."
    )

    patience: int = _setting(
        120,
        "duration",
        "How long a real tool may take for a window before its log stays empty.",
        minimum=1,
        maximum=3_600,
    )

    def chosen(self) -> dict[str, str]:
        """Logs that a real tool writes, with its name."""
        tools = {log: getattr(self, log.replace("-", "_")) for log in GENERATORS}
        return {log: tool for log, tool in tools.items() if tool != NATIVE}


@dataclass(frozen=True)
class Suricata:
    """Signature matching: eve.json."""

    enabled: bool = _setting(True, "flag", "Run Suricata; without it eve.json is empty.")
    program: str = _setting("suricata", "text", "The program, by name or path.", pattern=r".+")
    rules: str = _setting(
        "/var/lib/osect-sensor/rules/current/suricata.rules",
        "path",
        "Rules to match; where the file is missing none are.",
    )
    patience: int = _setting(
        120,
        "duration",
        "How long a window waits for Suricata before it is archived without its events.",
        minimum=1,
        maximum=3_600,
    )


@dataclass(frozen=True)
class Upload:
    """Sending archives to the cloud over mutual TLS."""

    enabled: bool = _setting(True, "flag", "Send archives; without it they stay in the queue.")
    host: str = _setting(
        "",
        "text",
        "Host of the cloud, with :port where it is not 443.",
        pattern=r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?",
        form="a host name or address, with an optional port, without https://",
        example="sensor.cloud.example",
    )
    ca: str = _setting(
        "",
        "path",
        "PEM file of the authority that signed the server's certificate; empty: the system's.",
        example="/etc/osect-sensor/ca.pem",
    )
    client_pem: str = _setting(
        "/etc/osect-sensor/client.pem",
        "path",
        "PEM file with the client certificate and its key; nobody else may read it.",
    )
    connect_timeout: int = _setting(10, "duration", "To reach the server.", minimum=1, maximum=120)
    read_timeout: int = _setting(
        60, "duration", "Of silence while sending or awaiting the answer.", minimum=1, maximum=300
    )
    proxy: str = _setting(
        "",
        "url",
        "Proxy, http://HOST:PORT; empty: none. Those of the environment are not used.",
        choices=("http",),
        example="http://proxy.plant.example:3128",
    )
    bandwidth: int = _setting(0, "size", "Most octets a second; 0 for no limit.")
    backoff: int = _setting(
        2, "duration", "Wait after a failure; doubles each time.", minimum=1, maximum=3_600
    )
    backoff_limit: int = _setting(
        300, "duration", "Longest wait after failures.", minimum=1, maximum=86_400
    )
    attempts: int = _setting(
        10,
        "integer",
        "Failures of an archive while others are accepted, after which it is put into"
        " quarantine; one that the cloud refuses goes at once.",
        minimum=1,
        maximum=1_000_000,
    )
    modem: str = _setting(
        "",
        "path",
        "Serial device of a modem that must answer AT with OK before each upload; empty: none.",
        example="/dev/ttyUSB1",
    )
    modem_speed: int = _setting(
        115_200, "integer", "Speed of the modem's device, baud.", minimum=300, maximum=4_000_000
    )


@dataclass(frozen=True)
class Rules:
    """Suricata's rule set: fetched once a day."""

    enabled: bool = _setting(True, "flag", "Keep the rules up to date.")
    url: str = _setting(
        "https://rules.emergingthreats.net/open/suricata-7.0/emerging.rules.tar.gz",
        "url",
        "Tarball of the rules: https: or file:.",
        choices=("https", "file"),
    )
    version_url: str = _setting(
        "",
        "url",
        "File with the version of the newest rule set; empty: version.txt beside the tarball.",
        choices=("https", "file"),
    )
    ca: str = _setting(
        "",
        "path",
        "PEM file of the authority of the server of the rules; empty: the system's.",
        example="/etc/osect-sensor/rules-ca.pem",
    )
    proxy: str = _setting(
        "",
        "url",
        "Proxy, http://HOST:PORT; empty: none. Those of the environment are not used.",
        choices=("http",),
        example="http://proxy.plant.example:3128",
    )
    interval: int = _setting(
        86_400, "duration", "Time between updates.", minimum=300, maximum=30 * 86_400
    )
    delay: int = _setting(
        3_600, "duration", "Longest random delay added to it.", maximum=30 * 86_400
    )
    timeout: int = _setting(120, "duration", "For each download.", minimum=1, maximum=3_600)


@dataclass(frozen=True)
class Retention:
    """What is deleted when. Of both limits the one that is reached first counts; 0 is no limit."""

    capture_age: int = _setting(
        86_400, "duration", "Age at which captures are deleted whose windows are archived."
    )
    capture_size: int = _setting(
        20 << 30, "size", "Size of all captures together, the ones that still wait included."
    )
    archive_age: int = _setting(
        30 * 86_400, "duration", "Age at which uploaded and quarantined archives are deleted."
    )
    archive_size: int = _setting(
        10 << 30,
        "size",
        "Size of all archives together; those not uploaded go last, with an error in the log.",
    )
    minimum_free: int = _setting(
        1 << 30, "size", "Disk space below which the oldest is deleted whatever its age."
    )


@dataclass(frozen=True)
class Recovery:
    """What a restart can rebuild."""

    warm_up: int = _setting(
        900,
        "duration",
        "How much of the captures is read again after a restart, to know open connections"
        " as they were.",
        maximum=86_400,
    )
    checkpoint_interval: int = _setting(
        300, "duration", "Capture time between checkpoints.", minimum=1, maximum=86_400
    )


@dataclass(frozen=True)
class Metrics:
    """Metrics in Prometheus' text format, also printed by ``osect-sensor status --prometheus``."""

    textfile: str = _setting(
        "",
        "path",
        "File to write after each window, for node_exporter's textfile collector; empty: none.",
        example="/var/lib/prometheus/node-exporter/osect-sensor.prom",
    )
    listen: str = _setting(
        "",
        "text",
        "Address and port to serve them on; empty: none.",
        pattern=r"(\d{1,3}(\.\d{1,3}){3}|localhost|\[[0-9A-Fa-f:]+\]):\d{1,5}",
        form="ADDRESS:PORT",
        example="127.0.0.1:9187",
    )


@dataclass(frozen=True)
class Logging:
    """The sensor's own messages, key=value on standard error."""

    level: str = _setting(
        "info", "choice", "Least level to log.", choices=("debug", "info", "warning", "error")
    )


@dataclass(frozen=True)
class Config:
    """All settings, by section."""

    sensor: Sensor = Sensor()
    capture: Capture = Capture()
    generators: Generators = Generators()
    suricata: Suricata = Suricata()
    upload: Upload = Upload()
    rules: Rules = Rules()
    retention: Retention = Retention()
    recovery: Recovery = Recovery()
    metrics: Metrics = Metrics()
    logging: Logging = Logging()


@dataclass(frozen=True)
class Origin:
    """Where a value comes from."""

    source: str
    """``default``, ``file`` or ``environment``."""
    where: str = ""
    """The file or the variable."""


@dataclass(frozen=True)
class Loaded:
    """A configuration and where each of its values comes from."""

    config: Config
    file: Path
    origins: dict[str, Origin]
    """By dotted key."""


SECTIONS: Final[dict[str, type[Any]]] = {
    field.name: type(field.default) for field in dataclasses.fields(Config)
}


def _keys(section: type[Any]) -> dict[str, tuple[_Setting, Any]]:
    """Keys of a section as the file spells them, with what is known and the default."""
    return {
        _spelling(section, field.name): (field.metadata["setting"], field.default)
        for field in dataclasses.fields(section)
    }


def _spelling(section: type[Any], attribute: str) -> str:
    """A key as the file has it: logs keep the names that they have everywhere else."""
    if section is Generators and attribute.replace("_", "-") in GENERATORS:
        return attribute.replace("_", "-")
    return attribute


def _attribute(section: type[Any], key: str) -> str:
    return key.replace("-", "_") if section is Generators else key


def variable_name(section: str, key: str) -> str:
    """The environment variable that overrules a key."""
    return ENVIRONMENT_PREFIX + f"{section}_{key}".upper().replace("-", "_")


class _Refused(Exception):
    """A value that will not do: what is wrong, and what would be right."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.wrong: Final = wrong
        self.remedy: Final = remedy


def _quantity(value: object, units: Mapping[str, int], what: str, example: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is not None and match.group(2) in units:
            return int(match.group(1)) * units[match.group(2)]
    raise _Refused(f"not a {what}", f"write a number of {example}")


def _checked_number(number: int, setting: _Setting, show: Callable[[int], str]) -> int:
    if number < setting.minimum:
        raise _Refused("too small", f"at least {show(setting.minimum)}")
    if number > setting.maximum:
        raise _Refused("too large", f"at most {show(setting.maximum)}")
    return number


def _checked_text(value: object, setting: _Setting) -> str:
    if not isinstance(value, str):
        raise _Refused("not a text", 'put it in quotes: "…"')
    if "\0" in value or "\n" in value:
        raise _Refused("has a line break or a NUL", "write it on one line")
    if value != "" and setting.pattern and re.fullmatch(setting.pattern, value) is None:
        raise _Refused("malformed", f"write {setting.form or 'something'}")
    return value


def _checked(value: object, setting: _Setting) -> Any:
    """The value as the program uses it; raises ``_Refused``."""
    kind = setting.kind
    if kind == "flag":
        if not isinstance(value, bool):
            raise _Refused("neither true nor false", "write true or false, without quotes")
        return value
    if kind == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Refused("not a whole number", "write it without quotes or decimals")
        return _checked_number(value, setting, str)
    if kind == "size":
        example = 'octets, or "500MB", "20GB"'
        return _checked_number(_quantity(value, _SIZE_UNITS, "size", example), setting, size_text)
    if kind == "duration":
        example = 'seconds, or "90s", "15m", "12h", "7d"'
        number = _quantity(value, _DURATION_UNITS, "duration", example)
        return _checked_number(number, setting, duration_text)
    if kind == "texts":
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            raise _Refused("not a list of texts", 'write ["one", "two"]')
        return tuple(_checked_text(one, setting) for one in value)
    text = _checked_text(value, setting)
    if kind == "choice" and text not in setting.choices:
        raise _Refused(
            "unknown", f"one of {', '.join(setting.choices)}{_meant(text, setting.choices)}"
        )
    if kind == "path" and text != "" and not text.startswith("/"):
        raise _Refused("not an absolute path", "begin it with /")
    if kind == "url" and text != "":
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError as error:
            raise _Refused("not a URL", "write https://HOST/…") from error
        if parts.scheme not in setting.choices:
            raise _Refused(
                "a URL of another kind", f"begin it with {' or '.join(setting.choices)}:"
            )
        if parts.scheme != "file" and not parts.hostname:
            raise _Refused("a URL without a host", "write https://HOST/…")
    return text


def _meant(word: str, choices: tuple[str, ...] | list[str]) -> str:
    # Here because it takes as long to import as all the rest of a configuration that is right.
    import difflib

    close = difflib.get_close_matches(word, choices, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _shown(value: object) -> str:
    """A value for a message: as TOML has it, not too long, without secrets."""
    if isinstance(value, str):
        value = mask(value)
    try:
        text = json.dumps(value, ensure_ascii=False)
    except TypeError:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _printable(text: str) -> str:
    """``text`` as a terminal can show it: no line break, no control sequence."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _from_environment(text: str, setting: _Setting) -> object:
    """The value that a variable's text stands for."""
    if setting.kind == "flag" and text in ("true", "false"):
        return text == "true"
    if setting.kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if setting.kind == "texts":
        return [part for part in text.split(",") if part]
    return text


class _Loader:
    """One pass over file and environment, collecting every problem."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path: Final = path
        self._environment: Final = environment
        self.problems: list[str] = []
        self.origins: dict[str, Origin] = {}

    def load(self, data: dict[str, Any]) -> Config:
        """Settings from the parsed file."""
        for name in data:
            if name not in SECTIONS:
                self._unknown(name, list(SECTIONS), data[name], "section")
        known = {CONFIG_VARIABLE}
        sections: dict[str, Any] = {}
        for name, section in SECTIONS.items():
            table = data.get(name, {})
            if not isinstance(table, dict):
                self._problem(
                    str(self._path), name, "not a section", table, f"write [{name}] on its own line"
                )
                table = {}
            keys = _keys(section)
            for key in table:
                if key not in keys:
                    self._unknown(f"{name}.{key}", list(keys), table[key], "key")
            values: dict[str, Any] = {}
            for key, (setting, default) in keys.items():
                variable = variable_name(name, key)
                known.add(variable)
                values[_attribute(section, key)] = self._value(
                    f"{name}.{key}", table, key, variable, setting, default
                )
            sections[name] = section(**values)
        for variable in sorted(self._environment):
            if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known:
                remedy = "unset it" + _meant(variable, sorted(known))
                value = self._environment[variable]
                self._problem("environment", variable, "unknown variable", value, remedy)
        return Config(**sections)

    def _value(
        self,
        dotted: str,
        table: dict[str, Any],
        key: str,
        variable: str,
        setting: _Setting,
        default: Any,
    ) -> Any:
        value: Any = default
        origin = Origin(DEFAULT)
        if key in table:
            value = table[key]
            origin = Origin(FILE, str(self._path))
        if variable in self._environment:
            value = _from_environment(self._environment[variable], setting)
            origin = Origin(ENVIRONMENT, variable)
        self.origins[dotted] = origin
        if origin.source == DEFAULT:
            return default
        try:
            return _checked(value, setting)
        except _Refused as refused:
            place = str(self._path) if origin.source == FILE else f"environment {variable}"
            self._problem(place, dotted, refused.wrong, value, refused.remedy)
            return default

    def _unknown(self, dotted: str, choices: list[str], value: object, what: str) -> None:
        name = dotted.rpartition(".")[2]
        close = _meant(name, choices)
        remedy = close[2:] if close else f"remove it; known: {', '.join(choices)}"
        self._problem(str(self._path), dotted, f"unknown {what}", value, remedy)

    def _problem(self, place: str, dotted: str, wrong: str, value: object, remedy: str) -> None:
        problem = f"{place}: {dotted}: {wrong} (got {_shown(value)}); {remedy}"
        self.problems.append(_printable(problem))


def _parse(path: Path, required: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_CONFIG_OCTETS + 1)
    except FileNotFoundError as error:
        if not required:
            return {}
        raise ConfigError(
            [f"{path}: there is no such file"],
            "osect-sensor config example prints one to start from",
        ) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(octets) > MAX_CONFIG_OCTETS:
        raise ConfigError([f"{path}: larger than a configuration can be"])
    try:
        return tomllib.loads(octets.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 at octet {error.start}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not TOML: {_printable(str(error))}"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: a number has too many digits"]) from error
    except RecursionError as error:
        raise ConfigError([f"{path}: lists within lists, too many of them"]) from error


def config_path(given: Path | None, environment: Mapping[str, str] | None = None) -> Path:
    """The configuration file: as given, else from the environment, else the usual one."""
    if given is not None:
        return given
    variables = os.environ if environment is None else environment
    named = variables.get(CONFIG_VARIABLE, "")
    return Path(named) if named else CONFIG_FILE


def load(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    required: bool = True,
) -> Loaded:
    """Read the configuration; raises ``ConfigError`` with every problem there is.

    A missing file is a problem only where ``required``.
    """
    variables = dict(os.environ if environment is None else environment)
    file = config_path(path, variables)
    data = _parse(file, required)
    loader = _Loader(file, variables)
    config = loader.load(data)
    problems = loader.problems or [
        f"{file}: {problem}" for problem in contradictions(config, loader.origins)
    ]
    if problems:
        raise ConfigError(problems)
    return Loaded(config, file, loader.origins)


def contradictions(config: Config, origins: Mapping[str, Origin]) -> list[str]:
    """Settings that are right by themselves but not together."""
    problems: list[str] = []

    def missing(dotted: str, why: str) -> None:
        problems.append(f'{dotted}: missing (got ""); {why}')

    if config.upload.enabled:
        if not config.upload.host:
            missing("upload.host", "name the cloud's host, or set upload.enabled = false")
        if not config.sensor.label_id:
            missing("sensor.label_id", "the cloud needs it, or set upload.enabled = false")
        if not config.upload.client_pem:
            missing("upload.client_pem", "the cloud needs it, or set upload.enabled = false")
    if config.upload.backoff > config.upload.backoff_limit:
        problems.append(
            f"upload.backoff: longer than upload.backoff_limit (got {config.upload.backoff});"
            f" at most {config.upload.backoff_limit}"
        )
    if config.sensor.period > 60 and config.sensor.period % 60:
        problems.append(
            f"sensor.period: not a whole number of minutes (got {config.sensor.period});"
            " a multiple of 60, or at most 60"
        )
    elif 60 % config.sensor.period and config.sensor.period < 60:
        problems.append(
            f"sensor.period: does not divide a minute (got {config.sensor.period});"
            " 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60"
        )
    if config.rules.enabled and not config.rules.url:
        missing("rules.url", "name the rules' tarball, or set rules.enabled = false")
    return problems


# Showing


def size_text(number: int) -> str:
    """A size with the largest unit that leaves it whole."""
    for unit, factor in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return str(number)


def duration_text(seconds: int) -> str:
    """A duration with the largest unit that leaves it whole."""
    for unit, factor in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % factor == 0:
            return f"{seconds // factor}{unit}"
    return f"{seconds}s"


_USER_IN_URL: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_CODE_IN_URL: Final = re.compile(r"(?<=/)[0-9a-fA-F]{12,}(?=/)")
"""What a subscriber of rules is known by, as a directory of the URL (ET Pro's oinkcode)."""


def mask(text: str) -> str:
    """``text`` without the secrets that URLs can hold: user, password, code and query."""
    if "://" not in text:
        return text
    masked = _CODE_IN_URL.sub(_MASK, _USER_IN_URL.sub(_MASK, text))
    if "?" in masked:
        parts = urlsplit(masked)
        if parts.query:
            masked = urlunsplit(parts._replace(query=_MASK))
    return masked


def secrets(config: Config) -> list[str]:
    """Texts of the configuration that no log may show."""
    found: list[str] = []
    rules = config.rules
    for url in (rules.url, rules.version_url, rules.proxy, config.upload.proxy):
        parts = urlsplit(url)
        found += [
            text for text in (parts.password or "", parts.username or "", parts.query) if text
        ]
    return found


def shown(loaded: Loaded) -> list[tuple[str, object, Origin]]:
    """Every key with its value (secrets masked) and origin, in the order of the sections."""
    rows: list[tuple[str, object, Origin]] = []
    for name, section in SECTIONS.items():
        values = getattr(loaded.config, name)
        for key in _keys(section):
            value = getattr(values, _attribute(section, key))
            if isinstance(value, str):
                value = mask(value)
            elif isinstance(value, tuple):
                value = list(value)
            dotted = f"{name}.{key}"
            rows.append((dotted, value, loaded.origins[dotted]))
    return rows


def _toml(value: object, kind: Kind) -> str:
    if kind == "size":
        assert isinstance(value, int)
        return str(value) if value == 0 else f'"{size_text(value)}"'
    if kind == "duration":
        assert isinstance(value, int)
        return str(value) if value < 60 else f'"{duration_text(value)}"'
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(value, ensure_ascii=False)


def example() -> str:
    """A configuration file with every key, its default, and what it means."""
    lines = [
        "# Configuration of osect-sensor. Every key is shown with its default, commented out;",
        "# those that have none must be set. Check with: osect-sensor config check",
        "# Sizes: octets, or KB, MB, GB, TB (powers of 1024). Durations: seconds, or s, m, h, d.",
    ]
    for name, section in SECTIONS.items():
        lines += ["", f"# {' '.join((section.__doc__ or '').split())}", f"[{name}]"]
        for key, (setting, default) in _keys(section).items():
            lines.append(f"# {setting.meaning}")
            value = _toml(default, setting.kind)
            if default == "" and setting.example:
                lines.append(f'# {key} = "{setting.example}"')
            else:
                lines.append(f"# {key} = {value}")
    return "\n".join(lines) + "\n"
