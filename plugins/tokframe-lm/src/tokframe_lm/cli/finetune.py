"""`tokframe lm finetune`: train a model together with its tokenizer; imports what is heavy when it runs."""

from __future__ import annotations

import shlex
from typing import Any

import click

from tokframe.cli.options import corpus_option, open_corpus
from tokframe_lm.cli.options import ConfigCommand, print_config, read_settings, training_options

__all__ = ["finetune_command"]


@click.command(
    "finetune",
    cls=ConfigCommand,
    config="tokframe_lm.finetuning.config:FinetuneConfig",
    examples=[
        "tokframe lm finetune runs/lm --corpus books/ --out runs/joint --lambda 1.0 --steps 200",
        "tokframe lm finetune runs/lm --corpus books/ --out runs/joint --lambda 1.0 --steps 200 --resume",
    ],
)
@click.argument("model", metavar="MODEL")
@corpus_option(required=True)
@click.option(
    "--lambda",
    "reconstruction",
    type=click.FloatRange(0),
    metavar="FLOAT",
    help="Weight of the reconstruction loss; 1 by default.",
)
@click.option("--steps", type=click.IntRange(1), help="Number of joint steps; 200 by default.")
@training_options
@click.pass_context
def finetune_command(
    ctx: click.Context, /, model: str, corpus: tuple[str, ...], out: str, as_json: bool, **options: Any
) -> None:
    """Train a model together with its tokenizer's encoder and decoder: loss = LM + lambda * reconstruction.

    Afterwards the tokenizer is made lossless again: codes are trained until they are stable, segments that decode
    exactly keep their ids, the tables are compiled and checked. MODEL is not changed; DIR gets the new model and its
    tokenizer.

    JSON: {"out", "steps", "tokens", "seconds", "lambda", "config", "loss": [[step, lm nats per token, reconstruction
    nats per symbol]], "ids": {"before", "kept", "dropped", "codes_moved"}, "settle_steps", "from_sha256",
    "dropped": [text], "checks": [{"name", "ok", "detail", "skipped"}]}.
    """
    from tokframe.cli.console import say, show_json
    from tokframe.cli.interruption import resumable
    from tokframe_lm.finetuning.config import FinetuneConfig
    from tokframe_lm.finetuning.finetuning import finetune

    settings = read_settings(options, "reconstruction", "steps", "max_bytes", "seed")
    if options.pop("print_config"):
        print_config(FinetuneConfig, settings)
        return
    text = open_corpus(corpus)
    with resumable(ctx) as control:
        done = finetune(model, corpus=text, out=out, config=settings, **control, **options)
    record = done.model.training["finetuned"]
    if as_json:
        show_json({"out": out, **done.to_dict(), "corpus": text.summary()})
        return
    _, lm, reconstruction = record["loss"][-1]
    say(
        f"{record['steps']:,} steps on {record['tokens']:,} tokens in {record['seconds']:,.0f} s; loss {lm:.3f} nats "
        f"per token of the model, {reconstruction:.4f} per byte of the reconstruction"
    )
    say(
        f"{done.kept:,} of {done.before:,} ids kept, {len(done.dropped):,} dropped, {done.moved:,} with a new code; "
        f"settled in {record['settle_steps']:,} steps"
    )
    for check in done.checks:
        say(f"  {'ok' if check.ok else 'FAILED'}  {check.name}: {check.detail}")
    say(f"The model is saved at {out}, its tokenizer in it. Try it:")
    say(f"  tokframe verify {shlex.quote(f'{out}/tokenizer')}")
    say(f"  tokframe lm eval {shlex.quote(out)} --corpus FILE")
