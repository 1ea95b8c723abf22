"""`tokframe components`: all tokenizers and parts of tokenizers that can be used by name."""

from __future__ import annotations

from typing import Any

import attrs
import click
from rich.text import Text

from tokframe.cli.console import plain_table, show, show_json
from tokframe.cli.options import Command, json_option
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import KINDS, ComponentSpec, Registry, TokenizerSpec

__all__ = ["command"]


@click.command("components", cls=Command, examples=["tokframe components --kind quantizer"])
@click.option("--kind", type=click.Choice(["tokenizer", *KINDS]), help="Only one kind.")
@json_option
def command(kind: str | None, as_json: bool) -> None:
    """List the tokenizers and parts of tokenizers that can be used by name.

    JSON: {"components": [{"kind", "name", "distribution", "distribution_version", "summary", "target", "config",
    "extra", "deprecated", "conflict", and for tokenizers "artifact", "defaults", "trainable"}]}.
    """
    registry = host().registry
    specs = registry.specs(kind)
    if as_json:
        show_json({"components": [_data(spec, bool(registry.rivals(spec))) for spec in specs]})
    else:
        _show(specs, registry)


def _data(spec: ComponentSpec | TokenizerSpec, conflict: bool) -> dict[str, Any]:
    return {"kind": spec.kind, **attrs.asdict(spec), "conflict": conflict}


def _show(specs: list[ComponentSpec | TokenizerSpec], registry: Registry) -> None:
    if not specs:
        show(Text("Nothing of that kind is installed. Installed plugins: tokframe plugins"))
        return
    table = plain_table("kind", "name", "plugin", "description")
    order = {kind: number for number, kind in enumerate(("tokenizer", *KINDS))}
    last = ""
    for spec in sorted(specs, key=lambda spec: (order[spec.kind], spec.name, spec.distribution)):
        clash = bool(registry.rivals(spec))
        name = Text(registry.reference(spec), style="yellow" if clash else "bold")
        kind = Text(spec.kind if spec.kind != last else "", style="cyan")
        table.add_row(kind, name, spec.distribution, _description(spec, clash))
        last = spec.kind
    show(table)


def _description(spec: ComponentSpec | TokenizerSpec, clash: bool) -> Text:
    text = Text(spec.summary)
    if isinstance(spec, TokenizerSpec):
        facts = ["ready to use" if spec.artifact else "", "trainable" if spec.trainable else ""]
        text.append(f"{' ' if spec.summary else ''}({', '.join(filter(None, facts))})" if any(facts) else "", "dim")
    if spec.deprecated:
        text.append(f"{' ' if text else ''}deprecated: use {spec.deprecated} instead", "yellow")
    if clash:
        text.append(" claimed by more than one plugin: use the full name", "yellow")
    return text
