"""`tokframe migrate-report`: an old and a new tokenizer side by side; imports what is heavy when it runs."""

from __future__ import annotations

import click

from tokframe.cli.options import Command, Place, corpus_option, json_file_option, open_corpus

__all__ = ["report_command"]

_DEFAULT = "stdlib:heldout"


@click.command(
    "migrate-report",
    cls=Command,
    examples=[
        "tokframe migrate-report ./theirs autoencoder-fsq --corpus my-text/ --html report.html",
        "tokframe migrate-report ./theirs bpe --corpus my-text/ --model ./my-gpt2 --steps 200 --html report.html",
    ],
    short_help="Compare an old and a new tokenizer, and try a model on both.",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@corpus_option(required=False, default=_DEFAULT)
@click.option(
    "--model", metavar="DIR", help="A causal model of transformers with the tokenizer OLD; it is not changed."
)
@click.option(
    "--steps", type=click.IntRange(0), default=0, show_default=True, help="Training steps of the moved model."
)
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=5e-4, show_default=True, help="Of those."
)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Rounds of timing.")
@click.option("--html", type=Place("file"), metavar="FILE.html", help="Also write one HTML page (extra: report).")
@json_file_option
def report_command(
    old: str,
    new: str,
    corpus: tuple[str, ...],
    model: str | None,
    steps: int,
    learning_rate: float,
    rounds: int,
    html: str | None,
    json_to: str | None,
) -> None:
    """Compare an old and a new tokenizer for a decision: density, unknowns, languages, speed, context, stability.

    With --model also what the model becomes: bits per byte before, right after the move and after --steps of training,
    and text read and written a second. Four fifths of the text are for calibration and training, a fifth is measured.

    JSON: {"old", "new", "context", "context_bytes_before", "context_bytes_after", "context_gained", "width",
    "embedding_mb_before", "embedding_mb_after", "model": {"bits_per_byte_before", "bits_per_byte_converted",
    "bits_per_byte_trained", "steps", "reads_before", "reads_after", "writes_before", "writes_after", "copied",
    "composed", "guessed", "tied"}, "differences": [{"better", "source", "text"}], ...} and the keys of tokframe compare
    --stability; "model" is null without --model.
    """
    import sys

    from rich.table import Table

    from tokframe.cli.console import note, show, write_json
    from tokframe.evaluate.report.page import check_installed
    from tokframe.evaluate.report.table import comparison_table
    from tokframe.training.terminal import make_console, reporting
    from tokframe_lm.migration.report import migrate_report

    if html is not None:
        check_installed()
    if old == new:
        raise click.UsageError(f"OLD and NEW are both {old!r}; name two tokenizers")
    if steps and model is None:
        raise click.UsageError("--steps trains a model: add --model DIR")
    text = open_corpus(corpus or [_DEFAULT])
    with reporting() as reporter:
        found = migrate_report(
            old,
            new,
            text,
            model=model,
            steps=steps,
            learning_rate=learning_rate,
            rounds=rounds,
            html=html,
            reporter=reporter,
        )
    if json_to != "-":
        show(comparison_table(found.comparison, old, make_console(sys.stdout).width))
        table = Table("the way over", old, new)
        for fact in found.facts():
            table.add_row(*fact)
        show(table)
    if json_to is not None:
        write_json(found.to_json(text), json_to)
    if html is not None:
        note(f"wrote {html}")
