"""`tokframe lm`: train, evaluate, run and migrate language models; imports what is heavy when a command runs.

`lm compare` is in `cli_compare`, `lm finetune` in `cli_finetune`, `lm migrate` and `lm steps` in `cli_migrate`.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

import click

from tokframe.cli.options import Command, SpreadOption, corpus_option, json_file_option, json_option, open_corpus
from tokframe_lm.cli.compare import compare_command
from tokframe_lm.cli.finetune import command as finetune_command
from tokframe_lm.cli.migrate import migrate_command, steps_command

__all__ = ["group"]


@click.group(
    "lm",
    epilog="\b\nExample:\n"
    "  tokframe lm train --tokenizer autoencoder-fsq --corpus books/ --out runs/lm\n"
    "  tokframe lm eval runs/lm --corpus held-out.txt\n"
    "  tokframe lm generate runs/lm --prompt 'It was'",
)
def group() -> None:
    """Language models over any tokenizer: train, evaluate, generate, migrate, fine-tune."""


group.add_command(compare_command)
group.add_command(finetune_command)
group.add_command(migrate_command)
group.add_command(steps_command)


@group.command(
    "train",
    cls=Command,
    epilog="\b\nExample:\n"
    "  tokframe lm train --tokenizer bpe --corpus stdlib:train --out runs/lm --steps 200\n"
    "  tokframe lm train --tokenizer bpe --corpus stdlib:train --out runs/lm --steps 200 --resume\n\n"
    '\b\nConfig, with its defaults:\n  {"d_model": 256, "layers": 4, "heads": 4, "context": 256,\n'
    '   "embedding": "lookup", "batch": 16, "learning_rate": 0.001, "steps": 0, "max_bytes": 0, "seed": 0,\n'
    '   "vector_decoder": false, "vector_weight": 1.0, "decoder": "frozen"}',
)
@click.option("--tokenizer", required=True, metavar="NAME", help="A registered tokenizer or a path with a separator.")
@corpus_option(required=True)
@click.option("--out", required=True, metavar="DIR", help="Where to save; checkpoints go to DIR.training beside it.")
@click.option("--config", metavar="FILE", help="JSON config; what it leaves out has defaults.")
@click.option("--from", "start", metavar="MODEL", help="Go on from this model's weights (see lm migrate).")
@click.option("--steps", type=click.IntRange(1), help="Number of steps; by default one pass over the corpus.")
@click.option("--max-bytes", type=click.IntRange(1), help="Read only so many bytes of the corpus.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace the model at DIR once training is done.")
@click.option("--seed", type=click.IntRange(0), help="Seed of everything random.")
@click.option("--device", metavar="DEVICE", help="Where to train, e.g. cpu, cuda; by default the best there is.")
@json_option()
@click.pass_context
def train_command(
    ctx: click.Context,
    /,
    tokenizer: str,
    corpus: tuple[str, ...],
    out: str,
    config: str | None,
    start: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a language model on your text, the tokenizer frozen, and save both at DIR.

    Ctrl-C once saves a checkpoint and says how to go on; twice stops at once.

    JSON: {"out", "tokenizer", "steps", "tokens", "bytes", "seconds", "flops", "parameters", "loss": [[step, nats]]}.
    """
    from tokframe.cli.console import show_json
    from tokframe.cli.interruption import resumable
    from tokframe.storage.strictjson import read_json
    from tokframe.training.torchrun import is_first
    from tokframe_lm.training import train

    settings = read_json(config) if config else {}
    settings |= {key: options[key] for key in ("steps", "max_bytes", "seed") if options[key] is not None}
    text = open_corpus(corpus)
    with resumable(ctx) as control:
        done = train(
            tokenizer,
            corpus=text,
            out=out,
            config=settings,
            start=start,
            resume=options["resume"],
            overwrite=options["overwrite"],
            device=options["device"],
            **control,
        )
    if not is_first():
        return
    record = {"out": out, "tokenizer": done.tokenizer.name, **done.training}
    if as_json:
        show_json(record)
        return
    sizes = record["parameters"]
    click.echo(
        f"{done.tokenizer.name}: {record['steps']:,} steps, {record['bytes'] / 1e6:,.2f} MB as {record['tokens']:,} "
        f"tokens in {record['seconds']:,.0f} s; loss {record['loss'][-1][1]:.3f} nats per token"
    )
    click.echo(f"{sizes['body']:,} parameters and {sizes['embedding']:,} of the embedding, saved at {out}")
    click.echo(f"Try it:\n  tokframe lm generate {shlex.quote(out)} --prompt 'It was'")


@group.command(
    "eval", cls=Command, epilog="\b\nExample:\n  tokframe lm eval runs/lm --corpus held-out.txt --json result.json"
)
@click.argument("model", metavar="DIR")
@corpus_option(required=True)
@click.option("--max-bytes", type=click.IntRange(1), default=None, help="Read only so many bytes of the corpus.")
@json_file_option()
def eval_command(model: str, corpus: tuple[str, ...], max_bytes: int | None, json_to: str | None) -> None:
    """Measure a model on held-out text, in bits per byte of the original text.

    A token that hides its text, as <unk> does, is charged the bits to spell it by a small character model trained
    on what was hidden in the training text.

    A model with a vector decoder is measured by both heads: share of next segments got exactly (the likeliest one or
    the likeliest bytes), share of their bytes, bits per byte. The vector decoder's are those of the bytes of a segment
    and its end, in brackets those left when only segments of the vocabulary count; either bounds the text's from above.

    JSON: {"bits_per_byte", "bits_per_byte_unknown", "bytes", "tokens", "unknown"}, with a vector decoder also "heads":
    {"softmax": {"exact", "byte_accuracy", "bits_per_byte"}, "vector": {... also "exact_snapped",
    "bits_per_byte_snapped"}}.
    """
    from attrs import asdict
    from rich.table import Table

    from tokframe.cli.console import note, show, write_json
    from tokframe.cli.progress import reporting
    from tokframe_lm.evaluation.bits_per_byte import evaluate
    from tokframe_lm.evaluation.heads import evaluate_heads
    from tokframe_lm.storage import load

    text = open_corpus(corpus)
    saved = load(model)
    with reporting() as reporter:
        found = evaluate(saved, text, max_bytes=max_bytes or 0, reporter=reporter)
        heads = evaluate_heads(saved, text, max_bytes=max_bytes or 0, reporter=reporter) if saved.model.vector else None
    if json_to is not None:
        write_json(asdict(found) | ({"heads": asdict(heads)} if heads else {}), json_to)
    if json_to != "-":
        table = Table("tokenizer", "bits per byte", "of it unknown", "bytes", "tokens", "unknown tokens")
        table.add_row(
            saved.tokenizer.name,
            f"{found.bits_per_byte:.4f}",
            f"{found.bits_per_byte_unknown:.4f}",
            f"{found.bytes:,}",
            f"{found.tokens:,}",
            f"{found.unknown:,}",
        )
        show(table)
        if heads:
            table = Table("head", "segments exact", "bytes right", "bits per byte")
            soft, vector = heads.softmax, heads.vector
            table.add_row("softmax", f"{soft.exact:.2%}", f"{soft.byte_accuracy:.2%}", f"{soft.bits_per_byte:.4f}")
            table.add_row(
                "vector",
                f"{vector.exact:.2%} ({vector.exact_snapped:.2%})",
                f"{vector.byte_accuracy:.2%}",
                f"{vector.bits_per_byte:.4f} ({vector.bits_per_byte_snapped:.4f})",
            )
            show(table)
            note("in brackets: only segments of the vocabulary count")


@group.command(
    "generate",
    cls=Command,
    epilog="\b\nExample:\n  tokframe lm generate runs/lm --prompt 'It was' --bytes 500 --seed 1",
)
@click.argument("model", metavar="DIR")
@click.option("--prompt", default="", metavar="TEXT", help="What the text begins with; without it, a new text.")
@click.option("--bytes", "max_bytes", type=click.IntRange(1), default=400, show_default=True, help="About how much.")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 takes the likeliest token.")
@click.option("--top-k", type=int, default=50, show_default=True, help="Draw from so many tokens; 0 for all.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same text.")
@click.option(
    "--head",
    type=click.Choice(["softmax", "vector"]),
    default="softmax",
    show_default=True,
    help="What draws: scores of ids, or the vector decoder's bytes, snapped to the vocabulary.",
)
@click.option("--words", cls=SpreadOption, metavar="PATH...", help="Text whose words count as valid; adds measures.")
@json_option()
def generate_command(
    model: str, prompt: str, max_bytes: int, words: tuple[str, ...], head: str, as_json: bool, **options: Any
) -> None:
    """Write the text that a model gives after a prompt, as it comes.

    JSON: {"text", "bytes", "tokens", "seconds", "bytes_per_s", "tokens_per_s"}, with --words also {"valid_words",
    "repetition", "distinct_1", "distinct_2"}.
    """
    from attrs import asdict

    from tokframe.cli.console import note, show_json
    from tokframe.corpus.files import Corpus
    from tokframe_lm import generation
    from tokframe_lm.storage import load

    saved = load(model)
    pieces: list[str] = []
    tokens = 0
    started = time.monotonic()
    sampling = generation.Sampling(**options)
    for piece in generation.generate(saved, prompt, max_bytes=max_bytes, sampling=sampling, head=head):
        if not as_json:  # the prompt only once it is known to be good
            click.echo(piece.text if pieces else prompt + piece.text, nl=False)
        pieces.append(piece.text)
        tokens += piece.tokens
    seconds = time.monotonic() - started
    if not as_json:
        click.echo()
    text = "".join(pieces)
    size = len(text.encode())
    result: dict[str, Any] = {
        "text": text,
        "bytes": size,
        "tokens": tokens,
        "seconds": round(seconds, 4),
        "bytes_per_s": round(size / seconds, 1),
        "tokens_per_s": round(tokens / seconds, 1),
    }
    if words:
        known: set[str] = set()
        for document in Corpus.open(words).documents():
            known.update(generation.words(document))
        result |= asdict(generation.measure(text, known))
    if as_json:
        show_json(result)
        return
    note(
        f"{size:,} bytes in {tokens:,} tokens, {result['bytes_per_s']:,.0f} bytes/s, "
        f"{result['tokens_per_s']:,.0f} tokens/s"
    )
    if words:
        note(
            f"valid words {result['valid_words']:.1%}, repetition {result['repetition']:.1%}, "
            f"distinct-1 {result['distinct_1']:.3f}, distinct-2 {result['distinct_2']:.3f}"
        )
