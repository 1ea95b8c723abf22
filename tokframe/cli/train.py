"""`tokframe train`: train a tokenizer on your text, with progress, checkpoints and resuming."""

from __future__ import annotations

import shlex
import time
from typing import Any

import click

from tokframe.cli.options import Command, as_path, corpus_option, open_corpus, training_options, with_settings
from tokframe.storage.paths import expanded
from tokframe.training.torchrun import is_first

__all__ = ["command"]


@click.command(
    "train",
    cls=Command,
    examples=[
        "tokframe train autoencoder-fsq --corpus notes/ stdlib:train --out runs/mine",
        "tokframe train autoencoder-fsq --corpus notes/ stdlib:train --out runs/mine --resume",
        "tokframe train autoencoder-fsq --corpus notes/ --out runs/mine --set training.max_minutes=5",
        "tokframe train autoencoder-fsq --vocabulary bpe --corpus notes/ --out runs/coded-bpe",
    ],
)
@click.argument("name", metavar="NAME")
@corpus_option(required=True)
@training_options("the tokenizer")
@click.option(
    "--vocabulary",
    metavar="NAME_OR_PATH",
    help="Keep the ids of this tokenizer and learn codes and vectors for them (autoencoder-fsq, autoencoder-vq).",
)
@click.option("--vocab-size", type=int, metavar="N", help="How many ids to train, whatever the config says.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Random seed.")
@click.pass_context
def command(ctx: click.Context, /, name: str, corpus: tuple[str, ...], out: str, as_json: bool, **options: Any) -> None:
    """Train a tokenizer on your text and save it at DIR.

    NAME is a registered name. Ctrl-C once saves a checkpoint and prints how to continue; twice stops at once.

    Training that training.max_minutes ended is a success with a warning, and keeps its checkpoint: it can be resumed
    with a larger limit.

    JSON: {"tokenizer", "out", "vocab_size", "seconds", "finished",
    "corpus": {"files", "skipped", "skipped_files", "skipped_records"}}.
    """
    from tokframe.cli.console import say, show_json
    from tokframe.cli.interruption import next_command, resumable
    from tokframe.errors import ConfigError
    from tokframe.loading.configs import training_config
    from tokframe.loading.loading import train
    from tokframe.loading.reference import resolve
    from tokframe.storage.strictjson import read_json
    from tokframe.training.run_folder import kept_checkpoints

    started = time.monotonic()
    config_file = options.pop("config")
    config = with_settings(read_json(config_file, given=True) if config_file else {}, options.pop("settings"))
    if options.pop("print_config"):
        show_json(training_config(name, config, vocab_size=options["vocab_size"]))
        return
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
    finished = not kept_checkpoints(out)
    if as_json:
        show_json(
            {
                "tokenizer": tokenizer.name,
                "out": out,
                "vocab_size": tokenizer.vocab_size,
                "seconds": round(seconds, 3),
                "finished": finished,
                "corpus": text.summary(),
            }
        )
        return
    path = as_path(out)
    size = sum(file.stat().st_size for file in expanded(out).rglob("*") if file.is_file())
    say(f"{tokenizer.name}: {tokenizer.vocab_size:,} ids, {size / 1e6:,.2f} MB, saved at {path}")
    beside = f" {name}" if resolve(name).registered("train").artifact else ""
    say(f"Try it:\n  tokframe compare {shlex.quote(path)}{beside}\n  tokframe verify {shlex.quote(path)}")
    if not finished:
        say(f"Set a larger training.max_minutes to learn more. {next_command(ctx, True, '--overwrite')}")
