"""`tokframe export`: write a tokenizer in another library's format. The formats are left to exporters of plugins."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import click

from tokframe.cli.options import Command, json_option, name_argument
from tokframe.errors import PluginBrokenError, UnsupportedError

__all__ = ["command"]

_MARK = ".tokframe-export"  # says that a folder is an export, which --overwrite may replace


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
    from attrs import asdict

    from tokframe.cli.console import checks_table, note, show, show_json
    from tokframe.loading.loading import load
    from tokframe.plugins.discovery import host
    from tokframe.plugins.protocols import Check
    from tokframe.plugins.registry import call_target, load_target
    from tokframe.storage.advice import FIRST_PARTY
    from tokframe.storage.places import claimed_place, writing_folder

    exporter = host().registry.component("exporter", kind, FIRST_PARTY)
    with claimed_place(out, _is_export, overwrite=overwrite):
        tokenizer = load(name)
        export = load_target(exporter)
        options = {"special_tokens": special_tokens} if "special_tokens" in signature(export).parameters else {}
        if not options and special_tokens != "auto":
            raise UnsupportedError(
                f"the format {kind!r} has no choice of special tokens. Leave out --special-tokens {special_tokens}",
                capability="special_tokens",
            )
        with writing_folder(out, _is_export, overwrite=overwrite) as folder:
            checks = call_target(exporter, export, tokenizer, folder, **options)
            if not isinstance(checks, list) or not all(isinstance(check, Check) for check in checks):
                raise PluginBrokenError(
                    f"exporter {kind!r} of {exporter.distribution} returned {checks!r:.60}; expected a list of "
                    "tokframe.Check",
                    distribution=exporter.distribution,
                )
            files = sorted(path.name for path in folder.iterdir())
            (folder / _MARK).touch()
    same = all(check.ok for check in checks)
    if as_json:
        found = [asdict(check) for check in checks]
        show_json({"tokenizer": name, "format": kind, "out": out, "same": same, "files": files, "checks": found})
        return
    show(checks_table(checks, "same", "DIFFERENT", "bold yellow"))
    note(f"wrote {out}: {', '.join(files)}")


def _is_export(folder: Path) -> bool:
    return (folder / _MARK).is_file()
