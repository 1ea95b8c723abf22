"""`tokframe lm score`: how likely a model finds texts after a context."""

from __future__ import annotations

import math
from typing import Any

import click

from tokframe.cli.options import Command, json_option

__all__ = ["score_command"]


@click.command(
    "score", cls=Command, examples=["tokframe lm score runs/lm --context 'The answer is' ' yes' ' no' ' not known'"]
)
@click.argument("model", metavar="DIR")
@click.argument("continuations", nargs=-1, required=True, metavar="TEXT...")
@click.option("--context", default="", metavar="TEXT", help="What the text begins with; without it, a new text.")
@json_option
def score_command(model: str, continuations: tuple[str, ...], context: str, as_json: bool) -> None:
    """Say how likely a model finds it that a text goes on with each TEXT, the likeliest first.

    Exact at any byte: a space at the end of the context and one at the beginning of a text are the same to it. The
    unit of log-likelihoods is the nat.

    JSON: {"context", "scores": [{"continuation", "loglikelihood", "bits_per_byte", "greedy"}]}, in the order given;
    "greedy" is whether the model writes it at temperature 0.
    """
    from rich.table import Table
    from rich.text import Text

    from tokframe.cli.console import show, show_json
    from tokframe_lm.evaluation.loglikelihood import score_pairs
    from tokframe_lm.storage import load

    found = score_pairs(load(model), [(context, text) for text in continuations])
    rows: list[dict[str, Any]] = [
        {
            "continuation": text,
            "loglikelihood": score.value,
            "bits_per_byte": -score.value / math.log(2) / len(text.encode()) if text else 0.0,
            "greedy": score.greedy,
        }
        for text, score in zip(continuations, found, strict=True)
    ]
    if as_json:
        show_json({"context": context, "scores": rows})
        return
    table = Table("text", "log-likelihood", "bits per byte", "greedy")
    for row in sorted(rows, key=lambda row: -row["loglikelihood"]):
        numbers = f"{row['loglikelihood']:.4f}", f"{row['bits_per_byte']:.4f}"
        table.add_row(Text(repr(row["continuation"])), *numbers, "yes" if row["greedy"] else "no")
    show(table)
