"""`tokframe compare`: tokenizers side by side on one text."""

from __future__ import annotations

import sys

import click

from tokframe.cli.options import Command, corpus_option, json_file_option

__all__ = ["command"]

_DEFAULT = "stdlib:heldout"


@click.command(
    "compare",
    cls=Command,
    epilog="\b\nExample:\n"
    "  tokframe compare autoencoder-fsq bpe word\n"
    "  tokframe compare ./mine bpe --corpus notes/ 'docs/*.md' --json result.json",
)
@click.argument("names", nargs=-1, metavar="NAME...")
@corpus_option(required=False, default=f"{_DEFAULT}, which no shipped tokenizer was trained on")
@click.option("--baseline", metavar="NAME", help="Show ratios to this one; by default the last NAME.")
@click.option(
    "--rounds", default=5, show_default=True, type=click.IntRange(1), help="Rounds of timing; medians are shown."
)
@json_file_option()
def command(
    names: tuple[str, ...], corpus: tuple[str, ...], baseline: str | None, rounds: int, json_to: str | None
) -> None:
    """Compare tokenizers side by side on a text: compression, losses, speed, cost.

    NAME is a registered name or a path with a separator; without any, all installed tokenizers that are ready to
    use are compared. NAMEs stand before --corpus.

    JSON: {"tokenizers": {NAME: {"bytes_per_token", "chars_per_token", "tokens", "unknown_rate", "lossless",
    "encode_mb_s", "decode_mb_s", "load_ms", "memory_mb", "vocab_size", "vocab_used", "sources": {SOURCE: {...}},
    "files": {FILE: {...}}}}, "corpus": {...}, "versions": {...}}. 1 MB = 10^6 bytes.
    """
    from tokframe.cli.console import make_console, note, show, write_json
    from tokframe.cli.progress import reporting
    from tokframe.corpus import Corpus
    from tokframe.evaluate.comparison import compare
    from tokframe.evaluate.table import comparison_table

    chosen = list(dict.fromkeys(names or _ready()))
    if baseline is not None and baseline not in chosen:
        raise click.BadParameter(f"{baseline!r} is not among {', '.join(chosen)}", param_hint="--baseline")
    text = Corpus.open(corpus or [_DEFAULT])
    for reason in text.skipped:
        note(f"left out: {reason}")
    with reporting() as reporter:
        comparison = compare(chosen, text, rounds=rounds, reporter=reporter)
    if json_to is not None:
        write_json(comparison.to_json(), json_to)
    if json_to != "-":
        show(comparison_table(comparison, baseline or "", make_console(sys.stdout).width))


def _ready() -> list[str]:
    """Return the names of installed tokenizers that ship a trained artifact and load."""
    from tokframe.cli.console import note
    from tokframe.components import TokenizerSpec
    from tokframe.errors import TokframeError, UnknownNameError
    from tokframe.loading import load
    from tokframe.plugins import host

    registry = host().registry
    conflicts = set(registry.conflicts())
    ready = []
    for spec in registry.specs("tokenizer"):
        if not isinstance(spec, TokenizerSpec) or not spec.artifact:
            continue
        name = f"{spec.distribution}/{spec.name}" if ("tokenizer", spec.name) in conflicts else spec.name
        try:
            load(name)
        except TokframeError as error:
            note(f"{name} is left out: {error}")
        else:
            ready.append(name)
    if not ready:
        raise UnknownNameError(
            "no installed tokenizer is ready to use (see: tokframe plugins). "
            "Name one you trained: tokframe compare ./mine",
            kind="tokenizer",
        )
    return ready
