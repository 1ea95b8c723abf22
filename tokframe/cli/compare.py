"""`tokframe compare`: tokenizers compared on one text."""

from __future__ import annotations

import os
import sys

import click

from tokframe.cli.installed import complete_names, ready
from tokframe.cli.options import Command, corpus_option, json_file_option, open_corpus
from tokframe.evaluate.columns import COLUMNS
from tokframe.storage.paths import expanded

__all__ = ["command"]

_DEFAULT = "stdlib:heldout"
_KEYS = ", ".join(f'"{column.key}"' for column in COLUMNS)
_HELP = f"""Compare tokenizers side by side on a text: compression, losses, speed, cost.

NAME is a registered name or a path with a separator; without any, all installed tokenizers that are ready to use are
compared. NAMEs stand before --corpus.

JSON: {{"tokenizers": {{NAME: {{{_KEYS}, "sources": {{SOURCE: {{...}}}}, "files": {{FILE: {{...}}}}}}}},
"corpus": {{...}}, "versions": {{...}}}}. 1 MB = 10^6 bytes.
"""


@click.command(
    "compare",
    cls=Command,
    help=_HELP,
    examples=[
        "tokframe compare autoencoder-fsq bpe word",
        "tokframe compare ./mine bpe --corpus notes/ 'docs/*.md' --html report.html",
    ],
)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_names)
@corpus_option(required=False, default=f"{_DEFAULT}, which no shipped tokenizer was trained on")
@click.option("--baseline", metavar="NAME", help="Show ratios to this one; by default the last NAME.")
@click.option(
    "--rounds", default=5, show_default=True, type=click.IntRange(1), help="Rounds of timing; medians are shown."
)
@click.option(
    "--html",
    metavar="FILE.html",
    help="Also write an HTML page: the table, charts, and text as each tokenizer segments it (extra: report).",
)
@json_file_option
def command(
    names: tuple[str, ...],
    corpus: tuple[str, ...],
    baseline: str | None,
    rounds: int,
    html: str | None,
    json_to: str | None,
) -> None:
    """Compare tokenizers side by side on a text."""
    from tokframe.cli.console import make_console, note, show, write_json, write_whole
    from tokframe.cli.progress import reporting
    from tokframe.evaluate.comparison import compare
    from tokframe.evaluate.report.page import check_installed, comparison_page
    from tokframe.evaluate.report.table import comparison_table
    from tokframe.loading.loading import load

    if html is not None:
        _check_place(html)
        check_installed()
    chosen = list(dict.fromkeys(names or ready("compare")))
    if baseline is not None and baseline not in chosen:
        raise click.BadParameter(f"{baseline!r} is not among {', '.join(chosen)}", param_hint="--baseline")
    text = open_corpus(corpus or [_DEFAULT])
    with reporting() as reporter:
        tokenizers = {name: load(name) for name in chosen}
        comparison = compare(chosen, text, load=tokenizers.__getitem__, rounds=rounds, reporter=reporter)
    if json_to is not None:
        write_json(comparison.to_json(), json_to)
    if json_to != "-":
        show(comparison_table(comparison, baseline or "", make_console(sys.stdout).width))
    if html is not None:
        write_whole(html, comparison_page(comparison, tokenizers, text, baseline or ""))
        note(f"wrote {html}")


def _check_place(html: str) -> None:
    """Refuse a file that cannot be written, before minutes of measuring."""
    path = expanded(html)
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        raise click.BadParameter(f"no permission to write in {path.parent.absolute()}", param_hint="--html")
    if path.is_dir() or html.endswith(("/", "\\")):
        raise click.BadParameter(f"{html} is a folder; name a file, e.g. report.html", param_hint="--html")
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}; create it first", param_hint="--html")
