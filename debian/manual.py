"""Write the manual pages and the bash completions of the two commands, from their own help.

    python3 manual.py DIRECTORY

One page a subcommand, as git has them, and osect-sensor.toml(5) from the example configuration. Run
it where ``osect_sensor`` and ``osect_harness`` can be imported. The date is SOURCE_DATE_EPOCH's, so
that two builds are equal.
"""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from click.shell_completion import BashComplete
from osect_harness.cli import cli as harness

from osect_sensor import __version__, config
from osect_sensor.cli import command_line as sensor

PROGRAMS: dict[str, click.Group] = {"osect-sensor": sensor, "osect-harness": harness}

FILES = """\
.SH FILES
.TP
.I /etc/osect-sensor/config.toml
Configuration, see
.BR osect\\-sensor.toml (5).
.TP
.I /var/lib/osect\\-sensor
Captures, archives and what else outlives a restart.
.TP
.I /run/osect\\-sensor
Status files, read by
.BR "osect\\-sensor status" .
"""

CONFIGURATION = """\
A TOML file. A setting has the value of the environment variable OSECT_SENSOR_<SECTION>_<KEY>,
else that of the file, else its default. Unknown keys are problems, so that no slip of the pen goes
unnoticed: osect-sensor config check lists them all, and osect-sensor config show tells where each
value comes from.

The services read the file when they start. What follows shows each key with its default.
"""


def escaped(text: str) -> str:
    """``text`` as roff shows it: no line of it can be a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^([.])", r"\\&\1", text, flags=re.MULTILINE)


def header(title: str, section: int) -> str:
    """The page's title line."""
    moment = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    return (
        f'.TH "{escaped(title.upper())}" {section} "{moment:%Y\\-%m\\-%d}"'
        f' "osect\\-sensor {escaped(__version__)}" "OT network sensor"\n'
    )


def prose(text: str) -> str:
    """Paragraphs of a help text; those that click shows as they are (``\\b``) stay so."""
    parts = []
    for paragraph in re.split(r"\n[ \t]*\n|\n(?=[ \t]*[\x08])", text.strip("\n")):
        if paragraph.lstrip().startswith("\b"):
            lines = paragraph.lstrip().removeprefix("\b").strip("\n")
            parts.append(f".PP\n.nf\n{escaped(lines)}\n.fi\n")
        elif paragraph.strip():
            parts.append(f".PP\n{escaped(' '.join(paragraph.split()))}\n")
    return "".join(parts)


def summary(command: click.Command) -> str:
    """The first sentence of a command's help, without its full stop."""
    text = " ".join((command.help or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.])\s", text)[0].rstrip(".")
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def options(command: click.Command, context: click.Context) -> str:
    """The options as a list."""
    entries = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            entries.append(f".TP\n.B {escaped(record[0])}\n{escaped(record[1])}\n")
    return ".SH OPTIONS\n" + "".join(entries) if entries else ""


def page(command: click.Command, context: click.Context, children: list[str]) -> str:
    """The page of one command."""
    path = context.command_path
    title = path.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    text = header(title, 1)
    text += f".SH NAME\n{escaped(title)} \\- {escaped(summary(command))}\n"
    text += f".SH SYNOPSIS\n.B {escaped(path)}\n{escaped(usage)}\n"
    text += f".SH DESCRIPTION\n{prose(command.help or '')}"
    if isinstance(command, click.Group) and children:
        text += ".SH COMMANDS\n"
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            text += f".TP\n.BR {escaped(path)}\\-{escaped(name)} (1)\n{escaped(summary(child))}\n"
    text += options(command, context)
    if command.epilog:
        text += f".SH NOTES\n{prose(command.epilog)}"
    if any(parameter.name == "config_file" for parameter in command.params):
        text += FILES
    related = [path.split()[0]] if " " in path else [name for name in PROGRAMS if name != path]
    text += ".SH SEE ALSO\n" + ",\n".join(f".BR {escaped(name)} (1)" for name in related) + "\n"
    return text


def write_pages(command: click.Command, context: click.Context, directory: Path) -> None:
    """Write the page of a command and those of its subcommands."""
    children = command.list_commands(context) if isinstance(command, click.Group) else []
    name = context.command_path.replace(" ", "-")
    (directory / f"{name}.1").write_text(page(command, context, children), encoding="utf-8")
    for child_name in children:
        assert isinstance(command, click.Group)
        child = command.get_command(context, child_name)
        assert child is not None
        write_pages(child, click.Context(child, parent=context, info_name=child_name), directory)


def configuration_page() -> str:
    """osect-sensor.toml(5): every key with its default and meaning."""
    return (
        header("osect-sensor.toml", 5)
        + ".SH NAME\nosect\\-sensor.toml \\- configuration of osect\\-sensor\n"
        + ".SH SYNOPSIS\n.I /etc/osect\\-sensor/config.toml\n"
        + ".SH DESCRIPTION\n"
        + prose(CONFIGURATION)
        + ".SH EXAMPLE\n.nf\n"
        + escaped(config.example())
        + ".fi\n.SH SEE ALSO\n.BR osect\\-sensor\\-config (1)\n"
    )


def main(directory: Path) -> None:
    """Write all pages and completions into ``directory``."""
    completions = directory / "completions"
    completions.mkdir(parents=True, exist_ok=True)
    for name, command in PROGRAMS.items():
        context = click.Context(command, info_name=name, **command.context_settings)
        write_pages(command, context, directory)
        variable = f"_{name.replace('-', '_')}_COMPLETE".upper()
        script = BashComplete(command, {}, name, variable).source()
        (completions / name).write_text(script, encoding="utf-8")
    (directory / "osect-sensor.toml.5").write_text(configuration_page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
