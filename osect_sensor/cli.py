"""The osect-sensor command: finds the subcommand and turns failures into exit codes."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Final, NoReturn

import click

from osect_sensor import __version__
from osect_sensor.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    OsectError,
)

PROGRAM: Final = "osect-sensor"

SUBCOMMANDS: Final[dict[str, tuple[str, str]]] = {
    "capture": ("osect_sensor.commands.capture:capture", "Capture to the spool, by the minute."),
    "config": ("osect_sensor.commands.config:config", "Check or show the configuration."),
    "replay": ("osect_sensor.commands.replay:replay", "Write the logs of captures."),
    "rules": ("osect_sensor.commands.rules:rules", "Keep Suricata's rules up to date."),
    "run": ("osect_sensor.commands.run:run", "Make windows of captures in the spool."),
    "schema": ("osect_sensor.commands.schema:schema", "Show the logs and their fields."),
    "status": ("osect_sensor.commands.status:status", "Show how the sensor does."),
    "support": ("osect_sensor.commands.support:support", "Make a support report."),
    "upload": ("osect_sensor.commands.upload:upload", "Send the archives to the cloud."),
}
"""Where each subcommand is and what it does: the help needs no more than that."""

EXIT_CODES: Final = """\
\b
Exit codes:
    0  success
    1  status --check: something needs attention
    2  the command line, an input or the output is at fault; nothing was written
    3  Suricata failed: eve.json is empty, the other logs are complete
   70  a defect of osect-sensor; nothing was written
   78  the configuration has problems; nothing was begun
  130  interrupted (143: terminated); nothing was written
"""


def is_compiled() -> bool:
    """Whether the packet rooms run compiled by mypyc."""
    spec = importlib.util.find_spec("osect_sensor.wire.octets")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


class LazyGroup(click.Group):
    """A group that imports a subcommand only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the subcommands."""
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand called ``cmd_name``."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, name = SUBCOMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name][1]) for name in self.list_commands(ctx)])


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    # As an eager option: a subcommand that cannot be loaded fails before the group runs.
    context.obj["debug"] = value


@click.group(
    cls=LazyGroup,
    epilog=EXIT_CODES,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(
    __version__, message=f"{PROGRAM} {__version__} (compiled: {'yes' if is_compiled() else 'no'})"
)
@click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback of a failure.",
)
def command_line() -> None:
    """OT network sensor: every minute of packets becomes fifteen logs."""


def _say(message: str) -> None:
    """One line on standard error, whatever ``message`` holds."""
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line ``arguments`` (those of the process when None); returns the exit code.

    This is the one place where exceptions end.
    """
    settings = {"debug": False}
    try:
        result = command_line.main(
            arguments, prog_name=PROGRAM, standalone_mode=False, obj=settings
        )
    except OsectError as error:
        if settings["debug"]:
            raise
        for line in str(error).splitlines():
            _say(line)
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else PROGRAM
        _say(f"{error.format_message().rstrip('.')} (see {path} --help)")
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:
        if settings["debug"]:
            raise
        _say(
            f"internal error: {type(error).__name__}: {error}"
            f" (a defect: please report it with the output of {PROGRAM} --debug)"
        )
        return EXIT_INTERNAL
    return result if isinstance(result, int) else EXIT_OK


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    sys.exit(run(arguments))
