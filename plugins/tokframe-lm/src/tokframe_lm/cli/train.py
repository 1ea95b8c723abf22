"""`tokframe lm train`: train a language model on text; imports what is heavy when it runs."""

from __future__ import annotations

import shlex
from typing import Any

import click

from tokframe.cli.options import corpus_option, open_corpus
from tokframe_lm.cli.options import ConfigCommand, print_config, read_settings, training_options

__all__ = ["train_command"]


@click.command(
    "train",
    cls=ConfigCommand,
    config="tokframe_lm.model.config:LMConfig",
    examples=[
        "tokframe lm train --tokenizer bpe --corpus stdlib:train --out runs/lm --steps 200",
        "tokframe lm train --tokenizer bpe --corpus stdlib:train --out runs/lm --steps 200 --resume",
    ],
)
@click.option("--tokenizer", required=True, metavar="NAME", help="A registered tokenizer or a path with a separator.")
@corpus_option(required=True)
@click.option("--from", "start", metavar="MODEL", help="Start from this model's weights (see lm migrate).")
@click.option("--steps", type=click.IntRange(1), help="Number of steps; by default one pass over the corpus.")
@training_options
@click.pass_context
def train_command(
    ctx: click.Context, /, tokenizer: str, corpus: tuple[str, ...], out: str, as_json: bool, **options: Any
) -> None:
    """Train a language model on your text, the tokenizer frozen, and save both at DIR.

    Ctrl-C once saves a checkpoint and prints how to resume; twice stops at once.

    JSON: {"out", "tokenizer", "steps", "tokens", "bytes", "seconds", "flops", "parameters", "loss": [[step, nats]],
    "corpus": {"files", "skipped", "skipped_files", "skipped_records"}}.
    """
    from tokframe.cli.console import say, show_json
    from tokframe.cli.interruption import resumable
    from tokframe.training.torchrun import is_first
    from tokframe_lm.model.config import LMConfig, config_for
    from tokframe_lm.training import train

    settings = read_settings(options, "steps", "max_bytes", "seed")
    if options.pop("print_config"):
        print_config(LMConfig, config_for(settings, tokenizer or ""))
        return
    text = open_corpus(corpus)
    with resumable(ctx) as control:
        done = train(tokenizer, corpus=text, out=out, config=settings, **control, **options)
    if not is_first():
        return
    record = {"out": out, "tokenizer": done.tokenizer.name, **done.training, "corpus": text.summary()}
    if as_json:
        show_json(record)
        return
    sizes = record["parameters"]
    say(
        f"{done.tokenizer.name}: {record['steps']:,} steps, {record['bytes'] / 1e6:,.2f} MB as {record['tokens']:,} "
        f"tokens in {record['seconds']:,.0f} s; loss {record['loss'][-1][1]:.3f} nats per token"
    )
    say(f"{sizes['body']:,} parameters and {sizes['embedding']:,} of the embedding, saved at {out}")
    say(f"Try it:\n  tokframe lm generate {shlex.quote(out)} --prompt 'It was'")
