"""`tokframe prune`: a smaller vocabulary out of a tokenizer's own. Which ids it keeps is left to the tokenizer."""

from __future__ import annotations

from pathlib import Path

import click

from tokframe.cli.options import Command, json_option, name_argument

__all__ = ["command"]


@click.command("prune", cls=Command, examples=["tokframe prune ./mine --vocab-size 8192 --out ./mine-8k"])
@name_argument
@click.option("--vocab-size", required=True, type=int, metavar="N", help="How many ids to keep.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The artifact to write.")
@click.option("--overwrite", is_flag=True, help="Replace an artifact at DIR.")
@json_option
def command(name: str, vocab_size: int, out: Path, overwrite: bool, as_json: bool) -> None:
    """Write the tokenizer with a smaller vocabulary: the ids that matter most, numbered anew in the same order.

    Sizes are nested: what a smaller one keeps, a larger one has too. Codes and network of a learned tokenizer stay as
    they are. Nothing is trained, and no text is needed.

    JSON: {"tokenizer", "out", "vocab_size", "before"}.
    """
    from tokframe.cli.console import note, show_json
    from tokframe.loading.loading import load, prune

    pruned, before = prune(name, vocab_size=vocab_size, out=out, overwrite=overwrite), load(name).vocab_size
    if as_json:
        show_json({"tokenizer": name, "out": out, "vocab_size": pruned.vocab_size, "before": before})
    else:
        note(f"wrote {out}: {pruned.vocab_size:,} of {before:,} ids")
