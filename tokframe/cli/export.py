"""`tokframe export`: write a tokenizer in another library's format. The formats are left to exporters of plugins."""

from __future__ import annotations

from pathlib import Path

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]


@click.command(
    "export",
    cls=Command,
    examples=[
        "tokframe export autoencoder-fsq --format huggingface --out hf-tokenizer",
        "tokframe export autoencoder-fsq --format huggingface --special-tokens text --out hf-tokenizer",
    ],
)
@name_argument
@click.option("--format", "kind", required=True, metavar="FORMAT", help="The format; see components --kind exporter.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to write.")
@click.option(
    "--special-tokens",
    type=click.Choice(["auto", "text", "found"]),
    default="auto",
    show_default=True,
    help="What a special token's text in a text becomes: text, as in tokframe, or its id, as chat templates need. "
    "auto: found, but text for an imported tokenizer.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export at DIR.")
@json_option
def command(name: str, kind: str, out: Path, special_tokens: str, overwrite: bool, as_json: bool) -> None:
    """Write a tokenizer in another library's format, and compare what was written with it.

    JSON: {"tokenizer", "format", "out", "same", "files", "checks": [{"name", "ok", "detail", "skipped"}]}. Differences
    are reported, not treated as errors.
    """
    from tokframe.cli.console import checks_table, note, show, show_json
    from tokframe.loading.exporting import export

    made = export(name, format=kind, out=out, special_tokens=special_tokens, overwrite=overwrite)
    if as_json:
        show_json(made.to_dict())
        return
    show(checks_table(made.checks, "same", "DIFFERENT", "bold yellow"))
    note(f"wrote {out}: {', '.join(made.files)}")
