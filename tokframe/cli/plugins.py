"""`tokframe plugins`: installed plugins, their status, and why one is not ok."""

from __future__ import annotations

from importlib.util import find_spec

import attrs
import click
from rich.console import Group
from rich.text import Text

from tokframe.cli.console import plain_table, show, show_json
from tokframe.cli.options import Command, json_option
from tokframe.plugins.discovery import PluginRecord, host
from tokframe.plugins.registry import Registry, target_problem
from tokframe.storage.advice import CATALOG, install_command

__all__ = ["command"]

_COLORS = {"ok": "green", "disabled": "dim", "incompatible": "yellow", "broken": "bold red", "conflict": "yellow"}


@click.command(
    "plugins",
    cls=Command,
    examples=[
        "tokframe plugins",
        "tokframe plugins --available",
        "TOKFRAME_DISABLE_PLUGINS=tokframe-word tokframe plugins --json",
    ],
)
@click.option("--check", is_flag=True, help="Exit with 1 if any plugin is not ok; look for what its specs name, too.")
@click.option("--available", is_flag=True, help="List what this project has beside it, and how to install it.")
@json_option
@click.pass_context
def command(ctx: click.Context, check: bool, available: bool, as_json: bool) -> None:
    """List installed plugins with their status, and why one is not ok.

    JSON: {"plugins": [{"distribution", "version", "entry_point", "status", "reason", "location", "import_ms",
    "components", "heavy"}]}. Status is ok, disabled, incompatible, broken or conflict. With --available:
    {"available": [{"distribution", "extra", "adds", "installed", "install"}]}.
    """
    if available:
        if check:
            raise click.UsageError("--available lists what could be installed; --check looks at what is. Use one")
        _show_available(as_json)
        return
    found = host()
    commands = found.commands_with_owners()
    records = [_with_commands(record, commands) for record in found.records]
    if check:
        records = [_checked(record, found.registry) for record in records]
    if as_json:
        show_json({"plugins": [attrs.asdict(record) for record in records]})
    else:
        _show(records)
    if check and any(record.status != "ok" for record in records):
        ctx.exit(1)


def _with_commands(record: PluginRecord, commands: list[tuple[str, click.Command]]) -> PluginRecord:
    """Return a record whose components end with the commands that the plugin adds."""
    added = [f"command {command.name}" for owner, command in commands if owner == record.distribution]
    return attrs.evolve(record, components=(*record.components, *added))


def _checked(record: PluginRecord, registry: Registry) -> PluginRecord:
    """Return a record, broken if a module or name is not there that a spec of an ok plugin names."""
    specs = [spec for spec in registry.specs() if spec.distribution == record.distribution]
    problems = [problem for spec in specs if (problem := target_problem(spec))]
    if record.status != "ok" or not problems:
        return record
    return attrs.evolve(record, status="broken", reason="; ".join(problems))


def _show(records: list[PluginRecord]) -> None:
    if not records:
        show(Text(f"No plugins are installed. Try: {install_command('tokframe-autoencoder')}"))
        return
    table = plain_table("plugin", "version", "status", "ms", "adds")
    table.columns[3].justify = "right"
    for record in records:
        status = Text(record.status, style=_COLORS.get(record.status, ""))
        table.add_row(record.distribution, record.version, status, f"{record.import_ms:.1f}", _adds(record))
    details = []
    for record in records:
        if record.reason:
            details.append(Text.assemble((f"{record.distribution}: ", "bold"), record.reason))
        if record.heavy:
            details.append(
                Text(f"{record.distribution} imports {', '.join(record.heavy)} on discovery: all commands are slower")
            )
        if record.location:
            details.append(Text(f"{record.distribution}: editable, from {record.location}", style="dim"))
    show(Group(table, *([Text(), *details] if details else [])))


def _show_available(as_json: bool) -> None:
    rows = [
        {
            "distribution": distribution,
            "extra": extra,
            "adds": adds,
            "installed": find_spec(module) is not None,
            "install": install_command(distribution, extra),
        }
        for (distribution, extra), (adds, module) in CATALOG.items()
    ]
    if as_json:
        show_json({"available": rows})
        return
    table = plain_table("distribution", "installed", "adds")
    for row in rows:
        name = f"{row['distribution']}[{row['extra']}]" if row["extra"] else str(row["distribution"])
        table.add_row(name, Text("yes", style="green") if row["installed"] else Text("no"), str(row["adds"]))
    missing = [Text(str(row["install"])) for row in rows if not row["installed"]]
    show(Group(table, *([Text("\nTo install what is missing:"), *missing] if missing else [])))


def _adds(record: PluginRecord) -> str:
    """Group "kind name" strings by kind: `quantizer fsq, vq; tokenizer ...`."""
    kinds: dict[str, list[str]] = {}
    for component in record.components:
        kind, _, name = component.partition(" ")
        kinds.setdefault(kind, []).append(name)
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items())
