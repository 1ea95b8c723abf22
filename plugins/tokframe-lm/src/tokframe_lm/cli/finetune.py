"""`tokframe lm finetune`: model and tokenizer trained together; imports what is heavy when it runs."""

from __future__ import annotations

import shlex
from typing import Any

import click

from tokframe.cli.options import Command, corpus_option, json_option, open_corpus

__all__ = ["command"]


@click.command(
    "finetune",
    cls=Command,
    epilog="\b\nExample:\n"
    "  tokframe lm finetune runs/lm --corpus books/ --out runs/joint --lambda 1.0 --steps 200\n"
    "  tokframe lm finetune runs/lm --corpus books/ --out runs/joint --lambda 1.0 --steps 200 --resume\n\n"
    '\b\nConfig, with its defaults:\n  {"reconstruction": 1.0, "steps": 200, "batch": 4, "segments": 256,\n'
    '   "learning_rate": 0.0002, "network_rate": 0.0001, "refresh": 50,\n'
    '   "settle_steps": 2000, "settle_rate": 0.001, "max_bytes": 0, "seed": 0}',
)
@click.argument("model", metavar="MODEL")
@corpus_option(required=True)
@click.option("--out", required=True, metavar="DIR", help="Where to save; checkpoints go to DIR.training beside it.")
@click.option(
    "--lambda", "weight", type=float, metavar="FLOAT", help="Weight of the reconstruction in the loss; 1 by default."
)
@click.option("--steps", type=click.IntRange(1), help="Number of joint steps; 200 by default.")
@click.option("--config", metavar="FILE", help="JSON config; what it leaves out has defaults.")
@click.option("--max-bytes", type=click.IntRange(1), help="Read only so many bytes of the corpus.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace the model at DIR once training is done.")
@click.option("--seed", type=click.IntRange(0), help="Seed of everything random.")
@click.option("--device", metavar="DEVICE", help="Where to train, e.g. cpu, cuda; by default the best there is.")
@json_option()
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str,
    corpus: tuple[str, ...],
    out: str,
    weight: float | None,
    config: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model together with its tokenizer's encoder and decoder: loss = LM + lambda * reconstruction.

    Afterwards the tokenizer is made exact again: codes settle, segments that come back exactly keep their ids, the
    tables are compiled and checked. MODEL stays as it is; DIR gets the new model with the new tokenizer in it.

    JSON: {"out", "steps", "tokens", "seconds", "lambda", "config", "loss": [[step, lm nats per token, reconstruction
    nats per symbol]], "ids": {"before", "kept", "dropped", "codes_moved"}, "settle_steps", "from_sha256",
    "dropped": [text], "checks": [{"name", "ok", "detail"}]}.
    """
    from attrs import asdict

    from tokframe.cli.console import show_json
    from tokframe.cli.interruption import resumable
    from tokframe.storage.strictjson import read_json
    from tokframe_lm.finetuning.finetuning import finetune

    settings = read_json(config) if config else {}
    settings |= {key: options[key] for key in ("steps", "max_bytes", "seed") if options[key] is not None}
    settings |= {"reconstruction": weight} if weight is not None else {}
    text = open_corpus(corpus)
    with resumable(ctx) as control:
        done = finetune(
            model,
            corpus=text,
            out=out,
            config=settings,
            resume=options["resume"],
            overwrite=options["overwrite"],
            device=options["device"],
            **control,
        )
    record = done.model.training["finetuned"]
    if as_json:
        dropped = [piece.decode(errors="backslashreplace") for piece in done.dropped]
        show_json({"out": out, **record, "dropped": dropped, "checks": [asdict(check) for check in done.checks]})
        return
    _, lm, reconstruction = record["loss"][-1]
    click.echo(
        f"{record['steps']:,} steps on {record['tokens']:,} tokens in {record['seconds']:,.0f} s; loss {lm:.3f} nats "
        f"per token of the model, {reconstruction:.4f} per byte of the reconstruction"
    )
    click.echo(
        f"{done.kept:,} of {done.before:,} ids kept, {len(done.dropped):,} dropped, {done.moved:,} with a new code; "
        f"settled in {record['settle_steps']:,} steps"
    )
    for check in done.checks:
        click.echo(f"  {'ok' if check.ok else 'FAILED'}  {check.name}: {check.detail}")
    click.echo(f"The model is saved at {out}, its tokenizer in it. Try it:")
    click.echo(f"  tokframe verify {shlex.quote(f'{out}/tokenizer')}")
    click.echo(f"  tokframe lm eval {shlex.quote(out)} --corpus FILE")
