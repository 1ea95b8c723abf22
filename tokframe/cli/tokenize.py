"""`tokframe tokenize`: turn a corpus into token shards, on local worker processes or on a plugin's engine."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from tokframe.cli.options import Command, as_path, corpus_option, json_option, name_argument, open_corpus

__all__ = ["command"]

MIN_SHARD_BYTES = 1_000
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


class _Size(click.ParamType[int]):
    """A number of bytes, as `64MB`; 1 MB = 10^6 bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes. Raises: click.BadParameter."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", value.strip().lower())
        size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
        if size < MIN_SHARD_BYTES:  # `64` probably means 64 MB, and would make every line a shard
            self.fail(f"{value!r} is not a size; expected one such as 64MB or 1.5GB", param, ctx)
        return size


@click.command(
    "tokenize",
    cls=Command,
    examples=[
        "tokframe tokenize autoencoder-fsq --corpus books/ --out shards --end '</s>'",
        "tokframe tokenize bpe --corpus crawl/*.jsonl.gz --column content --out shards --workers 8",
        "tokframe tokenize bpe --corpus crawl/*.jsonl.gz --column content --out shards --engine ray --resume",
    ],
)
@name_argument
@corpus_option(required=True)
@click.option("--out", required=True, metavar="DIR", help="Output folder; until all is done, DIR.unfinished.")
@click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="NAME",
    help="Execution engine: local (processes on this machine), or one that a plugin adds, as ray of tokframe-ray.",
)
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Number of workers.  [default: one per core]")
@click.option(
    "--shard-size",
    type=_Size(),
    default=0,
    metavar="SIZE",
    help="Bytes of text per shard, e.g. 64MB; a worker writes one shard at a time.  "
    "[default: a 64th of the corpus, 4MB to 256MB]",
)
@click.option(
    "--split",
    type=click.Choice(["file", "blank-line", "line"]),
    default="file",
    show_default=True,
    help="How to split text files into documents; file: parts of about 1 MB, cut after line ends.",
)
@click.option(
    "--add-special/--no-add-special",
    default=True,
    show_default=True,
    help="Add the tokenizer's special tokens around each document.",
)
@click.option("--begin", default="", metavar="TOKEN", help="Special token before each document, e.g. '<s>'; once.")
@click.option("--end", default="", metavar="TOKEN", help="Special token after each document, e.g. '</s>'; once.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["bin", "npy"]),
    default="bin",
    show_default=True,
    help="bin: flat little-endian ids for numpy.memmap; npy: with a header for numpy.load.",
)
@click.option("--resume", is_flag=True, help="Resume from DIR.unfinished; finished shards are kept.")
@click.option("--overwrite", is_flag=True, help="Replace the shards at DIR once the new ones are done; start over.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    name: str,
    corpus: tuple[str, ...],
    out: str,
    engine: str,
    workers: int | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn a corpus into token shards: files of ids to train on, with an index.

    Shards depend on the text, the tokenizer and the options, never on the engine or its workers: a lost worker is
    replaced, a killed run is resumed with --resume, and the files are the same. Ctrl-C once finishes the shards being
    written and prints how to continue; twice stops at once, and can be resumed as well.

    JSON: {"tokenizer", "sha256", "out", "engine", "dtype", "shards", "documents", "tokens", "bytes", "seconds",
    "corpus": {"files", "skipped", "skipped_files", "skipped_records"}}. "bytes" is the size of the text, "sha256" names
    the tokenizer, "skipped" says what was left out of the corpus.
    """
    from tokframe.cli.console import say, show_json
    from tokframe.cli.interruption import resumable
    from tokframe.shards import tokenize

    started = time.monotonic()
    text = open_corpus(corpus)
    with resumable(ctx, _STOPPING) as control:
        shards = tokenize(
            name,
            corpus=text,
            out=out,
            engine=engine,
            workers=workers,
            **options,
            resume=resume,
            overwrite=overwrite,
            **control,
        )
    seconds = time.monotonic() - started
    if as_json:
        show_json(
            {
                "tokenizer": name,
                "sha256": shards.index["tokenizer"]["sha256"],
                "out": out,
                "engine": engine,
                "dtype": shards.dtype,
                "shards": len(shards.shards),
                "documents": len(shards),
                "tokens": shards.tokens,
                "bytes": shards.bytes,
                "seconds": round(seconds, 3),
                "corpus": text.summary(),
            }
        )
        return
    path = as_path(out)
    say(
        f"{shards.tokens:,} ids ({shards.dtype}) of {len(shards):,} documents, {shards.bytes / 1e6:,.1f} MB of text: "
        f"{len(shards.shards)} shard{'' if len(shards.shards) == 1 else 's'} at {path}"
    )
    say(f"To read them in Python:\n  from tokframe.shards import TokenShards\n  shards = TokenShards.open({path!r})")


_STOPPING = "Stopping when the shards being written are finished. Ctrl-C again stops at once; both can be resumed."
