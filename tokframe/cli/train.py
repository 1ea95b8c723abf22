"""`tokframe train`: any trainable tokenizer on your text, with progress, checkpoints and a Ctrl-C that saves."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any

import click

from tokframe.cli.options import Command, corpus_option, json_option, open_corpus
from tokframe.training.torchrun import is_first

__all__ = ["command"]


@click.command(
    "train",
    cls=Command,
    epilog="\b\nExample:\n"
    "  tokframe train autoencoder-fsq --corpus notes/ stdlib:train --out runs/mine\n"
    "  tokframe train autoencoder-fsq --corpus notes/ stdlib:train --out runs/mine --resume",
)
@click.argument("name", metavar="NAME")
@corpus_option(required=True)
@click.option("--out", required=True, metavar="DIR", help="Where to save; checkpoints go to DIR.training beside it.")
@click.option("--config", metavar="FILE", help="JSON config; what it leaves out has defaults.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace what is at DIR once training is done.")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option(
    "--device", metavar="DEVICE", help="Where to train, e.g. cpu, cuda, cuda:1; by default the best there is."
)
@json_option()
@click.pass_context
def command(ctx: click.Context, /, name: str, corpus: tuple[str, ...], out: str, as_json: bool, **options: Any) -> None:
    """Train a tokenizer on your text and save it at DIR.

    NAME is a registered name. Ctrl-C once saves a checkpoint and says how to go on; twice stops at once.

    JSON: {"tokenizer", "out", "vocab_size", "seconds", "corpus": {"files", "skipped"}}.
    """
    from tokframe.cli.console import show_json
    from tokframe.cli.interruption import resumable
    from tokframe.errors import ConfigError
    from tokframe.loading.loading import train
    from tokframe.loading.reference import resolve
    from tokframe.storage.strictjson import read_json

    started = time.monotonic()
    config_file = options.pop("config")
    config = read_json(config_file) if config_file else None
    text = open_corpus(corpus)
    with resumable(ctx) as control:
        try:
            tokenizer = train(name, corpus=text, out=out, config=config, **control, **options)
        except ConfigError as error:
            if not config_file or error.source != "config":
                raise
            raise ConfigError(config_file, error.problems) from None
    if not is_first():
        return
    seconds = time.monotonic() - started
    if as_json:
        show_json(
            {
                "tokenizer": tokenizer.name,
                "out": out,
                "vocab_size": tokenizer.vocab_size,
                "seconds": round(seconds, 3),
                "corpus": {"files": len(text.files), "skipped": list(text.skipped)},
            }
        )
        return
    path = out if os.sep in out else f"./{out}"
    size = sum(file.stat().st_size for file in Path(out).rglob("*") if file.is_file())
    click.echo(f"{tokenizer.name}: {tokenizer.vocab_size:,} ids, {size / 1e6:,.2f} MB, saved at {path}")
    beside = f" {name}" if resolve(name).registered("train").artifact else ""
    click.echo(f"Try it:\n  tokframe compare {shlex.quote(path)}{beside}\n  tokframe verify {shlex.quote(path)}")
