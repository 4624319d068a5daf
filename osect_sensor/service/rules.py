"""Suricata's rules: fetched, verified, tried, and swapped in as a whole; else the old ones stay.

``rules/current`` is a link to the version in use below ``rules/versions``. A version is a
directory that is complete and on the disk before the link points to it. ``osect-sensor run`` looks
there before each window, and has its Suricata load what is new.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

from osect_sensor.config import Rules, mask
from osect_sensor.errors import EXIT_UNAVAILABLE, OsectError
from osect_sensor.generators.suricata import configuration, suricata_version
from osect_sensor.service import messages
from osect_sensor.service.download import Downloader, DownloadError, Missing
from osect_sensor.service.files import (
    make_directory,
    move,
    read_json,
    sync_directory,
    write_json,
)
from osect_sensor.service.layout import Layout

RULES_FILE: Final = "suricata.rules"
FACTS_FILE: Final = "version.json"

SUCCESS: Final = "success"
IS_LATEST: Final = "current version is the latest"
WRONG_CHECKSUM: Final = "incorrect md5 value"
"""What the cloud is told: the words that it has always been told."""

MAX_TARBALL_OCTETS: Final = 256 * 1024 * 1024
"""ET Open is 5 MB, ET Pro twice that."""

MAX_UNPACKED_OCTETS: Final = 2 * 1024 * 1024 * 1024

MAX_TEXT_OCTETS: Final = 4096
"""Size of a version or checksum file."""

VERSIONS_KEPT: Final = 2
"""The one in use and the one before, to return to by hand."""

MERGE_SECONDS: Final = 600.0
TRIAL_SECONDS: Final = 900.0
"""How long suricata-update and ``suricata -T`` may take; both take under a minute on two cores."""

RETRY_SECONDS: Final = 3600.0
"""Between two attempts after a failure, where the interval is not shorter."""

_CHUNK: Final = 1 << 20
_LOADED: Final = re.compile(rb"(\d+) rules successfully loaded, (\d+) rules failed")
_VERSION: Final = re.compile(r"[\x21-\x7e]{1,64}")
_MD5: Final = re.compile(r"\b([0-9a-fA-F]{32})\b")
_BLANKS: Final = re.compile(r"\s+")
_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What is known of a rule set that was installed."""

    version: str
    md5: str
    url: str
    """Where it came from, secrets masked."""
    suricata: str
    """Version of the Suricata that tried it."""
    loaded: int
    failed: int
    """Rules that it understood, and that it did not."""
    installed_at: str


class RulesError(OsectError):
    """An update that did not happen: the old rules stay."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, EXIT_UNAVAILABLE)


def current_rules(layout: Layout) -> RuleSet | None:
    """The rule set in use; None where there is none."""
    facts = read_json(layout.rules / "current" / FACTS_FILE)
    if facts is None or not (layout.rules / "current" / RULES_FILE).is_file():
        return None
    try:
        return RuleSet(**facts)
    except TypeError:
        return None


def beside(url: str, name: str) -> str:
    """The URL of the file ``name`` in the folder of ``url``."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rpartition("/")[0] + "/" + name))


def _appended(url: str, suffix: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + suffix))


class RulesUpdater:
    """Keeps the rules up to date."""

    def __init__(
        self,
        settings: Rules,
        program: str,
        layout: Layout,
        *,
        updater: str = "suricata-update",
        downloader: Downloader | None = None,
    ) -> None:
        """``program``: Suricata."""
        self._settings: Final = settings
        self._program: Final = program
        self._updater: Final = updater
        self._layout: Final = layout
        self._downloader: Final = downloader or Downloader(
            settings.timeout, settings.proxy, settings.ca
        )

    def run(
        self,
        wait: Callable[[float], bool],
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Update once per interval, until ``wait`` says that it is time to stop.

        Sensors that were switched on together must not come together: each time a random part of
        the delay is added.
        """
        delay = self._due(clock())
        while not wait(delay + jitter() * self._settings.delay):
            delay = float(self._settings.interval)
            try:
                self.update()
            except RulesError as error:
                messages.error("rules.not_updated", reason=error)
                delay = min(delay, RETRY_SECONDS)

    def _due(self, now: float) -> float:
        """Seconds until the rules in use are as old as the interval."""
        status = read_json(self._layout.rules_status) or {}
        try:
            last = datetime.fromisoformat(str(status.get("updated_at", ""))).timestamp()
        except ValueError:
            return 0.0
        # A clock that was set back must not put the update off for years.
        age = max(now - last, 0.0)
        return max(self._settings.interval - age, 0.0)

    def update(self, force: bool = False) -> bool:
        """Get the newest rules in use; whether they are others than before.

        ``force`` fetches them even where the version says that there is nothing new. A
        ``RulesError`` says why the old ones stay. Either way the cloud is told.
        """
        make_directory(self._layout.rules)
        with self._alone():
            installed = suricata_version(self._program)
            try:
                changed = self._update(installed, force)
            except RulesError as error:
                self._report(installed, error.message)
                raise
            except OSError as error:
                what = f"the rules cannot be written: {error.strerror or error}"
                self._report(installed, what)
                raise RulesError(what, f"see {self._layout.rules}") from error
            self._report(installed, SUCCESS if changed else IS_LATEST)
        return changed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._layout.rules / ".lock").open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RulesError("another update of the rules is under way") from error
            yield

    def _update(self, installed: str, force: bool) -> bool:
        if not installed:
            raise RulesError(f"{self._program} does not run", "install suricata")
        url = self._settings.url
        current = current_rules(self._layout)
        version = self._newest_version()
        unchanged = current is not None and not force and current.url == mask(url)
        if unchanged and current is not None and version and version == current.version:
            return False
        workshop = self._layout.rules / ".new"
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(mode=0o750)
        try:
            tarball = workshop / "rules.tar.gz"
            md5 = self._fetch(url, tarball)
            if unchanged and current is not None and not version and md5 == current.md5:
                return False
            _check_tarball(tarball)
            fresh = workshop / "version"
            fresh.mkdir(mode=0o750)
            self._merge(tarball, fresh, workshop)
            loaded, failed = self._try(fresh / RULES_FILE, workshop)
            facts = RuleSet(
                version or md5[:12],
                md5,
                mask(url),
                installed,
                loaded,
                failed,
                datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self._install(fresh, facts)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
        messages.info("rules.installed", version=facts.version, loaded=loaded, failed=failed)
        self._prune()
        return True

    def _newest_version(self) -> str:
        """What version.txt says; empty where there is none and the checksum must do."""
        url = self._settings.version_url or beside(self._settings.url, "version.txt")
        try:
            text = _BLANKS.sub(" ", self._downloader.text(url, MAX_TEXT_OCTETS))
        except Missing as error:
            if self._settings.version_url:
                raise _not_downloaded(url, error) from error
            return ""
        except DownloadError as error:
            raise _not_downloaded(url, error) from error
        if not _VERSION.fullmatch(text):
            raise RulesError(f"{mask(url)} holds no version")
        return text

    def _fetch(self, url: str, tarball: Path) -> str:
        """Download the tarball and verify its checksum, which is returned."""
        try:
            self._downloader.file(url, tarball, MAX_TARBALL_OCTETS)
        except DownloadError as error:
            raise _not_downloaded(url, error) from error
        with tarball.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        checksum_url = _appended(url, ".md5")
        try:
            found = _MD5.search(self._downloader.text(checksum_url, MAX_TEXT_OCTETS))
        except Missing as error:
            if urlsplit(url).scheme == "file":
                return md5
            raise _not_downloaded(checksum_url, error) from error
        except DownloadError as error:
            raise _not_downloaded(checksum_url, error) from error
        if found is None or found[1].lower() != md5:
            raise RulesError(WRONG_CHECKSUM)
        return md5

    def _merge(self, tarball: Path, fresh: Path, workshop: Path) -> None:
        """Have suricata-update make one file of the tarball, for this Suricata as configured."""
        settings = workshop / "suricata.yaml"
        settings.write_text(configuration(workshop), encoding="utf-8")
        nothing = workshop / "nothing"
        nothing.mkdir()
        # Neither its own configuration nor the rules that come with Suricata: only the tarball.
        own = workshop / "update.yaml"
        own.write_text(f"sources: []\ndist-rule-directory: {nothing}\n", encoding="utf-8")
        command = [self._updater, "--config", str(own), "--data-dir", str(workshop / "data")]
        command += ["--output", str(fresh), "--url", tarball.as_uri()]
        command += ["--suricata", shutil.which(self._program) or self._program]
        command += ["--suricata-conf", str(settings), "--no-test", "--no-reload"]
        status, said = _run(command, MERGE_SECONDS, workshop)
        if status != 0 or not (fresh / RULES_FILE).is_file():
            raise RulesError(f"{self._updater} failed: {_last_line(said)}")

    def _try(self, rules: Path, workshop: Path) -> tuple[int, int]:
        """Have Suricata load the rules; how many it understood and how many not."""
        command = [self._program, "-T", "-v", "-c", str(workshop / "suricata.yaml")]
        command += ["-l", str(workshop), "-S", str(rules)]
        status, said = _run(command, TRIAL_SECONDS, workshop)
        found = _LOADED.search(said)
        if status != 0 or found is None:
            raise RulesError(f"Suricata does not load the rules: {_last_line(said)}")
        loaded, failed = int(found[1]), int(found[2])
        if loaded == 0:
            raise RulesError("Suricata understands none of the rules")
        return loaded, failed

    def _install(self, fresh: Path, facts: RuleSet) -> None:
        """Put the version beside the others, and the link on it; all of it durable."""
        write_json(fresh / FACTS_FILE, asdict(facts), durable=True)
        for path in sorted(fresh.iterdir()):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(fresh)
        versions = self._layout.rules / "versions"
        make_directory(versions)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        target = versions / f"{stamp}-{_FILE_NAME.sub('-', facts.version)}"
        move(fresh, target)
        link = self._layout.rules / ".current"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions") / target.name)
        move(link, self._layout.rules / "current")

    def _prune(self) -> None:
        versions = self._layout.rules / "versions"
        used = (self._layout.rules / "current").resolve().name
        others = sorted(
            (path.name for path in versions.iterdir() if path.name != used), reverse=True
        )
        for name in others[VERSIONS_KEPT - 1 :]:
            shutil.rmtree(versions / name, ignore_errors=True)

    def _report(self, installed: str, message: str) -> None:
        """Tell the cloud by way of the uploader, and leave word for ``osect-sensor status``."""
        current = current_rules(self._layout)
        signature = current.version if current else ""
        report = {"suricata": installed, "signature": signature, "message": message}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        good = message in (SUCCESS, IS_LATEST)
        status: dict[str, Any] = {
            **(read_json(self._layout.rules_status) or {}),
            **report,
            "checked_at": now,
            "problem": "" if good else message,
            "loaded": current.loaded if current else 0,
            "failed": current.failed if current else 0,
            "installed_at": current.installed_at if current else "",
        }
        if good:
            status["updated_at"] = now
        try:
            write_json(self._layout.rules_report, report, durable=True)
            make_directory(self._layout.runtime)
            write_json(self._layout.rules_status, status)
        except OSError as error:
            messages.error("rules.status_not_written", reason=error)


def _not_downloaded(url: str, error: DownloadError) -> RulesError:
    return RulesError(f"failed to download {mask(url)}: {error}")


def _check_tarball(path: Path) -> None:
    """Refuse what is cut off, damaged, too large when unpacked, or without rules."""
    rules = 0
    left = MAX_UNPACKED_OCTETS
    try:
        with gzip.open(path, "rb") as plain:
            with tarfile.open(fileobj=cast(IO[bytes], plain), mode="r|") as archive:
                for member in archive:
                    left -= member.size
                    if left < 0:
                        raise RulesError("the rules are too large when unpacked")
                    if member.isreg() and member.name.endswith(".rules"):
                        rules += 1
            # gzip's checksum stands at the very end.
            while plain.read(_CHUNK):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise RulesError(f"the tarball of the rules is damaged: {error}") from error
    if rules == 0:
        raise RulesError("the tarball holds no rules")


def _run(command: list[str], seconds: float, directory: Path) -> tuple[int, bytes]:
    """Run a program; its status and what it said. Nothing of the environment changes it."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise RulesError(f"{command[0]} is not installed", f"install {command[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise RulesError(f"{command[0]} did not end within {seconds:.0f} s") from error
    return ended.returncode, ended.stdout


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "<Error>" in line or line.startswith("E: ")]
    return (errors or lines or ["it said nothing"])[-1].strip()[:300]
