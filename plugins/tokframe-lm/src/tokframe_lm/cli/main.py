"""`tokframe lm`: the group, and its commands eval and generate; imports what is heavy when a command runs."""

from __future__ import annotations

import time
from typing import Any

import click

from tokframe.cli.options import Command, SpreadOption, corpus_option, json_file_option, json_option, open_corpus
from tokframe_lm.cli.compare import compare_command
from tokframe_lm.cli.finetune import finetune_command
from tokframe_lm.cli.migrate import migrate_command
from tokframe_lm.cli.options import max_bytes_option
from tokframe_lm.cli.score import score_command
from tokframe_lm.cli.train import train_command
from tokframe_lm.comparison.text_measures import MEASURES

__all__ = ["group"]


@click.group(
    "lm",
    epilog="\b\nExample:\n"
    "  tokframe lm train --tokenizer autoencoder-fsq --corpus books/ --out runs/lm\n"
    "  tokframe lm eval runs/lm --corpus held-out.txt\n"
    "  tokframe lm generate runs/lm --prompt 'It was'",
)
def group() -> None:
    """Language models over any tokenizer: train, evaluate, score, generate, migrate, fine-tune."""


group.add_command(compare_command)
group.add_command(finetune_command)
group.add_command(migrate_command)
group.add_command(score_command)
group.add_command(train_command)


@group.command("eval", cls=Command, examples=["tokframe lm eval runs/lm --corpus held-out.txt --json result.json"])
@click.argument("model", metavar="DIR")
@corpus_option(required=True)
@max_bytes_option
@json_file_option
def eval_command(model: str, corpus: tuple[str, ...], max_bytes: int | None, json_to: str | None) -> None:
    """Measure a model on held-out text, in bits per byte of the original text.

    A token that hides its text, as <unk> does, is charged the bits of that text under a small model of bytes, trained
    on what was hidden in the training text.

    JSON: {"bits_per_byte", "bits_per_byte_unknown", "bytes", "tokens", "unknown", "corpus": {"files", "skipped",
    "skipped_files", "skipped_records"}}.
    """
    from attrs import asdict
    from rich.table import Table

    from tokframe.cli.console import show, write_json
    from tokframe.training.terminal import reporting
    from tokframe_lm.evaluation.bits_per_byte import evaluate
    from tokframe_lm.storage import load

    text = open_corpus(corpus)
    saved = load(model)
    with reporting() as reporter:
        found = evaluate(saved, text, max_bytes=max_bytes or 0, reporter=reporter)
    if json_to != "-":
        table = Table("tokenizer", "bits per byte", "unknown share", "bytes", "tokens", "unknown tokens")
        shares = [f"{bits:.4f}" for bits in (found.bits_per_byte, found.bits_per_byte_unknown)]
        counts = [f"{count:,}" for count in (found.bytes, found.tokens, found.unknown)]
        table.add_row(saved.tokenizer.name, *shares, *counts)
        show(table)
    if json_to is not None:
        write_json(asdict(found) | {"corpus": text.summary()}, json_to)


@group.command(
    "generate",
    cls=Command,
    help="Write the text that a model generates after a prompt, streamed.\n\n"
    'JSON: {"text", "bytes", "tokens", "seconds", "bytes_per_s", "tokens_per_s"}, with --words also {"'
    + '", "'.join(measure.key for measure in MEASURES)
    + '"}.',
    examples=["tokframe lm generate runs/lm --prompt 'It was' --bytes 500 --seed 1"],
)
@click.argument("model", metavar="DIR")
@click.option("--prompt", default="", metavar="TEXT", help="Text to continue; without it, a new text.")
@click.option("--bytes", "max_bytes", type=click.IntRange(1), default=400, show_default=True, help="Approximate size.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 selects the likeliest token.")
@click.option("--top-k", type=int, default=50, show_default=True, help="Sample from the k likeliest tokens; 0: all.")
@click.option(
    "--seed",
    type=click.IntRange(-(2**63), 2**63 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same text.",
)
@click.option("--words", cls=SpreadOption, metavar="PATH...", help="Text whose words count as valid; adds measures.")
@json_option
def generate_command(
    model: str, prompt: str, max_bytes: int, words: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Write the text that a model generates after a prompt."""
    from tokframe.cli.console import BytesWriter, note, show_json
    from tokframe_lm import generation
    from tokframe_lm.comparison import text_measures
    from tokframe_lm.storage import load

    saved, writer = load(model), BytesWriter()
    pieces: list[generation.Piece] = []
    started = time.monotonic()
    for piece in generation.generate(saved, prompt, max_bytes=max_bytes, sampling=generation.Sampling(**options)):
        if not as_json:  # the prompt only once it is known to be valid
            writer.write((piece.text if pieces else prompt + piece.text).encode(errors="backslashreplace"))
        pieces.append(piece)
    seconds = time.monotonic() - started
    if not as_json:
        writer.write(b"\n")
        writer.close()
    text = "".join(piece.text for piece in pieces)
    size, tokens = len(text.encode()), sum(piece.tokens for piece in pieces)
    result: dict[str, Any] = {
        "text": text,
        "bytes": size,
        "tokens": tokens,
        "seconds": round(seconds, 4),
        "bytes_per_s": round(size / seconds, 1),
        "tokens_per_s": round(tokens / seconds, 1),
    }
    if words:
        known = {word for document in open_corpus(words).documents() for word in text_measures.words(document)}
        result |= text_measures.measure(text, known)
    if as_json:
        show_json(result)
        return
    note(
        f"{size:,} bytes in {tokens:,} tokens, {result['bytes_per_s']:,.0f} bytes/s, "
        f"{result['tokens_per_s']:,.0f} tokens/s"
    )
    if words:
        note(", ".join(f"{measure.label} {format(result[measure.key], measure.format)}" for measure in MEASURES))
