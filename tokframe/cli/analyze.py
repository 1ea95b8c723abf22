"""`tokframe analyze`: how a tokenizer uses its vocabulary on a text."""

from __future__ import annotations

import click

from tokframe.cli.options import (
    Command,
    Place,
    corpus_option,
    json_file_option,
    languages_option,
    name_argument,
    open_corpus,
)

__all__ = ["command"]


@click.command(
    "analyze",
    cls=Command,
    examples=[
        "tokframe analyze autoencoder-fsq --corpus notes/ --plots plots/",
        "tokframe analyze ./mine --corpus notes/ --html vocabulary.html",
    ],
)
@name_argument
@corpus_option(required=False, default="stdlib:heldout")
@languages_option
@click.option(
    "--plots",
    type=Place("folder"),
    metavar="DIR",
    help="Also write plots as PNG files to the folder DIR (extra: report).",
)
@click.option(
    "--html",
    type=Place("file"),
    metavar="FILE.html",
    help="Also write an HTML page with the figures, charts and, of learned ids, a map to search (extra: report).",
)
@click.option(
    "--top", default=20, show_default=True, type=click.IntRange(0), help="How many of the most used ids to list."
)
@json_file_option
def command(
    name: str,
    corpus: tuple[str, ...],
    languages: dict[str, str],
    plots: str | None,
    html: str | None,
    top: int,
    json_to: str | None,
) -> None:
    """Show how a tokenizer uses its vocabulary on a text.

    Frequencies of ids, how much of the vocabulary is used and how that grows with the text, the share of the
    text that learned ids spell, token lengths, where token borders fall in words, numbers and characters, what each
    language costs (docs/looking.md says what these figures are), and what fewer ids would cost: measured with the
    vocabularies that tokframe prune makes, or an estimate. Where the tokenizer knows how ids are used, the classes of
    ids used alike, each with those that the text uses most.

    JSON: {"tokenizer", "bytes", "chars", "tokens", "bytes_per_token", "vocab_size", "vocab_used", "utilisation",
    "perplexity", "perplexity_share", "renyi_efficiency", "unigram_bits_per_byte", "coverage", "lengths", "growth",
    "pruning", "rank_frequency", "top", "classes", "unused", "unused_count", "own", "tokens_per_word", "strr",
    "words_split", "tokens_per_number", "numbers_split_unevenly", "characters_split", "ids_splitting_characters",
    "ids_rarely_trained": [{"below", "ids"}], "gini", "cost_relative_to_english", "languages": {LANGUAGE: {...}},
    "sizes": [{"vocab_size", "tokens", "bytes_per_token"}], "corpus": {"files",
    "skipped", "skipped_files", "skipped_records"}}; "own" holds figures that the tokenizer adds.
    """
    from tokframe.cli.console import show, write_json
    from tokframe.evaluate.calls import analyze
    from tokframe.evaluate.report import plots as plotting
    from tokframe.evaluate.report import vocabulary
    from tokframe.evaluate.report.summary import analysis_summary
    from tokframe.loading.loading import load
    from tokframe.training.terminal import reporting

    if plots is not None:
        plotting.check_installed()
    if html is not None:
        vocabulary.check_installed()
    tokenizer = load(name)
    text = open_corpus(corpus or ["stdlib:heldout"])
    with reporting() as reporter:
        analysis = analyze(tokenizer, text, languages=languages, plots=plots, html=html, reporter=reporter)
    if json_to != "-":
        show(analysis_summary(analysis, top))
    if json_to is not None:
        write_json(analysis.to_json(top) | {"corpus": text.summary()}, json_to)
