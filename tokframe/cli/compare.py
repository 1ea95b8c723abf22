"""`tokframe compare`: tokenizers compared on one text."""

from __future__ import annotations

import sys

import click

from tokframe.cli.installed import complete_names
from tokframe.cli.options import Command, Place, corpus_option, json_file_option, languages_option, open_corpus
from tokframe.evaluate.columns import COLUMNS, LANGUAGES, STABILITY

__all__ = ["command"]

_DEFAULT = "stdlib:heldout"
_KEYS = ", ".join(f'"{column.key}"' for column in COLUMNS)
_LANGUAGE_KEYS = ", ".join(f'"{column.key}"' for column in LANGUAGES)
_STABILITY_KEYS = ", ".join(f'"{column.key}"' for column in STABILITY)
_HELP = f"""Compare tokenizers side by side on a text: compression, losses, speed, cost.

NAME is a registered name or a path with a separator; without any, all installed tokenizers that are ready to use are
compared.

Where the names of sources or files end in a language (help-de, tales-pt-br, fr.txt), languages are compared with
English too; --language says it where they do not.

JSON: {{"tokenizers": {{NAME: {{{_KEYS}, {_LANGUAGE_KEYS}, "languages": {{LANGUAGE: {{...}}}}, "sources": {{SOURCE:
{{...}}}}, "files": {{FILE: {{"language", ...}}}}}}}}, "corpus": {{...}}, "versions": {{...}}}}. 1 MB = 10^6 bytes. With
--stability each NAME also has "stability": {{{_STABILITY_KEYS}}}; docs/looking.md says what all of these mean.
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
@languages_option
@click.option(
    "--stability",
    is_flag=True,
    help="Also measure what cuts and small edits of the text change in its ids.",
)
@click.option(
    "--html",
    type=Place("file"),
    metavar="FILE.html",
    help="Also write an HTML page: the table, charts, and text as each tokenizer segments it (extra: report).",
)
@json_file_option
def command(
    names: tuple[str, ...],
    corpus: tuple[str, ...],
    baseline: str | None,
    rounds: int,
    languages: dict[str, str],
    stability: bool,
    html: str | None,
    json_to: str | None,
) -> None:
    """Compare tokenizers side by side on a text."""
    from tokframe.cli.console import note, show, write_json
    from tokframe.evaluate.calls import compare
    from tokframe.evaluate.report.page import check_installed
    from tokframe.evaluate.report.table import comparison_table
    from tokframe.loading.ready import ready
    from tokframe.training.terminal import make_console, reporting

    if html is not None:
        check_installed()
    chosen = list(dict.fromkeys(names or ready(note, "compare")))
    for name in chosen:
        if names.count(name) > 1:
            note(f"{name} is named {names.count(name)} times and compared once")
    if baseline is not None and baseline not in chosen:
        raise click.BadParameter(f"{baseline!r} is not among {', '.join(chosen)}", param_hint="--baseline")
    text = open_corpus(corpus or [_DEFAULT])
    with reporting() as reporter:
        comparison = compare(
            chosen,
            text,
            baseline=baseline,
            rounds=rounds,
            stability=stability,
            languages=languages,
            html=html,
            reporter=reporter,
        )
    if json_to != "-":
        show(comparison_table(comparison, width=make_console(sys.stdout).width))
    if json_to is not None:
        write_json(comparison.to_json(), json_to)
    if html is not None:
        note(f"wrote {html}")
