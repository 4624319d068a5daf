"""The support report: sos of the distribution, told by ``/etc/sos/extras.d`` what is ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from osect_sensor.errors import EXIT_UNAVAILABLE, OsectError
from osect_sensor.service import messages
from osect_sensor.service.files import make_directory
from osect_sensor.service.transport import Answer, Cloud, Verdict

SOS: Final = Path("/usr/bin/sos")
PYTHON: Final = Path("/usr/bin/python3")
"""sos is a package of the distribution's Python; another may be first on the search path."""

EXTRAS: Final = Path("/etc/sos/extras.d")
DOCKER: Final = Path("/var/lib/docker")

SECONDS: Final = 1800.0
"""How long sos may take: some ten seconds as a rule, much longer on a machine in trouble."""

UPLOAD_ATTEMPTS: Final = 3

_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SupportError(OsectError):
    """There is no report, or the cloud does not have it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, EXIT_UNAVAILABLE)


def extras(config_file: Path, docker: bool) -> str:
    """What sos collects beyond its own: commands, and after a colon files with a limit in MB."""
    command = f"{sys.executable} -m osect_sensor support --state --config {config_file}"
    lines = [
        "# osect-sensor: removed when the report is made",
        command,
        "journalctl --no-pager --unit=osect-sensor*",
        "systemctl --no-pager --all status osect-sensor*",
        ":/var/log/osect-sensor* 50",
    ]
    if docker:
        lines += [
            "docker ps --all --no-trunc",
            "docker info",
            "journalctl --no-pager --unit=docker.service",
            f":{DOCKER}/containers/*/*-json.log 50",
            ":/var/log 100",
        ]
    return "\n".join(lines) + "\n"


class SupportReport:
    """Makes a report; the places are those of every Debian and Ubuntu."""

    def __init__(
        self,
        config_file: Path,
        *,
        sos: Path = SOS,
        python: Path = PYTHON,
        extras_directory: Path = EXTRAS,
        docker: Path = DOCKER,
    ) -> None:
        self._config_file: Final = config_file
        self._sos: Final = sos
        self._python: Final = python
        self._extras: Final = extras_directory
        self._docker: Final = docker

    def make(self, directory: Path) -> Path:
        """Run sos; the report it made, in ``directory``."""
        if not self._sos.exists():
            raise SupportError(
                "sos is not installed", "apt install sos (sosreport on older systems)"
            )
        if os.geteuid() != 0:
            raise SupportError("only root can make a support report", "run it with sudo")
        try:
            make_directory(directory)
            with (
                tempfile.TemporaryDirectory(prefix=".support-", dir=directory) as workshop,
                self._told(),
            ):
                made = self._run(Path(workshop))
                report = directory / made.name
                made.chmod(0o600)
                shutil.move(made, report)
        except OSError as error:
            raise SupportError(
                f"the report cannot be written: {error.strerror or error}", f"see {directory}"
            ) from error
        return report

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell sos what is ours while it runs."""
        self._extras.mkdir(parents=True, exist_ok=True)
        path = self._extras / "osect-sensor-report"
        path.write_text(extras(self._config_file, self._docker.is_dir()), encoding="utf-8")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def _run(self, workshop: Path) -> Path:
        command = [str(self._python), str(self._sos), "report", "--batch", "--quiet"]
        command += ["--tmp-dir", str(workshop), "--label", "osect-sensor"]
        environment = {"PATH": _SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SupportError(f"sos did not end within {SECONDS:.0f} s") from error
        made = sorted(
            path
            for path in workshop.glob("sosreport-*.tar.*")
            if path.suffix not in (".sha256", ".md5")
        )
        if ended.returncode != 0 or not made:
            said = ended.stdout.decode("utf-8", "replace").strip().splitlines()
            raise SupportError(f"sos failed: {said[-1][:200] if said else 'it said nothing'}")
        return made[-1]


def send(report: Path, cloud: Cloud, pause: Callable[[float], None]) -> None:
    """Send a report; ``pause`` is called with the seconds to wait between attempts."""
    answer = Answer(Verdict.FAILED, "")
    for attempt in range(1, UPLOAD_ATTEMPTS + 1):
        try:
            with report.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                answer = cloud.post_support_report(report.name, file, size)
        except OSError as error:
            raise SupportError(f"{report} cannot be read: {error.strerror}") from error
        if answer.verdict is Verdict.ACCEPTED:
            messages.info("support.sent", report=report.name, octets=size)
            return
        messages.warning("support.not_sent", reason=answer.reason, attempt=attempt)
        if answer.verdict is Verdict.REFUSED:
            break
        if attempt < UPLOAD_ATTEMPTS:
            pause(max(answer.retry_after, 5.0 * attempt))
    raise SupportError(
        f"the cloud does not take the report: {answer.reason}",
        f"send it later with osect-sensor support --send {report}",
    )
