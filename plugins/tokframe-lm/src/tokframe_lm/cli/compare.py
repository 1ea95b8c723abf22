"""`tokframe lm compare`: the command and its tables; imports what is heavy when it runs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import click

from tokframe.cli.options import (
    Command,
    Place,
    SpreadOption,
    corpus_option,
    device_option,
    json_file_option,
    open_corpus,
)
from tokframe_lm.cli.options import read_settings
from tokframe_lm.comparison.text_measures import MEASURES

__all__ = ["compare_command"]


@click.command(
    "compare",
    cls=Command,
    epilog="\b\nExample:\n"
    "  tokframe lm compare word bpe autoencoder-fsq --corpus books.txt docs.txt\n"
    "    --eval books=books.dev.txt --eval wiki=wiki.dev.txt --config lm.json --out runs/comparison\n\n"
    "The config is that of lm train; batch_bytes in place of batch gives all the same number of steps.",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@corpus_option(required=True)
@click.option("--eval", "evals", cls=SpreadOption, required=True, metavar="NAME=FILE...", help="Held-out texts.")
@click.option(
    "--out", required=True, type=Place("folder"), metavar="DIR", help="Folder of the runs; finished ones are reused."
)
@click.option("--config", metavar="FILE", help="JSON config of the models, as for lm train.")
@click.option("--embedding", "embeddings", cls=SpreadOption, metavar="NAME...", help="Compare embeddings too.")
@click.option("--head", "heads", cls=SpreadOption, metavar="NAME...", help="Compare heads too: softmax, decoder.")
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each model, from seed 0 on."
)
@click.option(
    "--equal",
    type=click.Choice(["bytes", "flops", "time", "all"]),
    default="flops",
    show_default=True,
    help="bytes: same text for all. flops, time, all: also train cheaper models longer until these match.",
)
@click.option("--max-bytes", type=click.IntRange(1), help="Training text, in equal shares of the corpora.  [2,000,000]")
@click.option(
    "--eval-bytes", type=click.IntRange(1), default=100_000, show_default=True, help="Bytes of each held-out text."
)
@click.option("--prompts", type=click.IntRange(0), default=12, show_default=True, help="Texts to generate; 0 for none.")
@click.option(
    "--bytes", "written", type=click.IntRange(8), default=400, show_default=True, help="Bytes of each generated text."
)
@device_option
@json_file_option
@click.pass_context
def compare_command(
    ctx: click.Context, /, names: tuple[str, ...], corpus: tuple[str, ...], json_to: str | None, **options: Any
) -> None:
    """Train a model per tokenizer and seed under the same config; compare bits per byte, speed and generated text.

    Finished runs in DIR are reused: after Ctrl-C the same command continues, and adding tokenizers, seeds or held-out
    texts only runs what is missing. The last row of the writing table is held-out text.

    JSON: {"config", "settings", "bytes", "models": {NAME: {"embedding", "head", "equal_bytes", "equal_flops",
    "equal_time", "training_speed", "generation"}}, "reference", "scorer",
    "corpus": {"files", "skipped", "skipped_files", "skipped_records"}}; docs/notes/migration.md describes them.
    """
    from tokframe.cli.console import write_json
    from tokframe.cli.interruption import resumable
    from tokframe_lm.comparison.comparison import compare
    from tokframe_lm.comparison.config import Settings

    config = read_settings(options, "max_bytes")
    text, evals = open_corpus(corpus), _named(options.pop("evals"))
    passed = {key: options.pop(key) for key in ("out", "embeddings", "heads", "device")}
    settings = Settings(max_bytes=config.get("max_bytes") or Settings().max_bytes, **options)
    with resumable(ctx) as control:
        report = compare(names, corpus=text, evals=evals, config=config, settings=settings, **passed, **control)
    if json_to != "-":
        _show(report)
    if json_to is not None:
        write_json(report | {"corpus": text.summary()}, json_to)


def _named(given: tuple[str, ...]) -> dict[str, Any]:
    """Return held-out texts by name; one without a name has that of its source."""
    found = {}
    for word in given:
        name, sign, path = word.partition("=")
        text = open_corpus([path if sign else word])
        name = name if sign else text.files[0].source
        if name in found:
            raise click.UsageError(f"two held-out texts are named {name!r}; give them names: --eval NAME=FILE")
        found[name] = text
    return found


def _show(report: dict[str, Any]) -> None:
    """Draw the report as tables."""
    from rich.table import Table

    from tokframe.cli.console import note, show

    models = report["models"]
    titles = {"equal_bytes": "equal bytes", "equal_flops": "equal FLOPs", "equal_time": "equal time"}
    for key, title in titles.items():
        rows = {label: entry[key] for label, entry in models.items() if key in entry}
        if not rows:
            continue
        texts = list(next(iter(rows.values()))["evals"])
        table = Table(title, "MB", "tokens", "steps", "TFLOPs", "s", *(f"{name}, bits/byte" for name in texts))
        for label, row in rows.items():
            cells = [_bits(row["evals"][name]) for name in texts]
            tflops = f"{row['flops'] / 1e12:,.1f}"
            counts = [f"{row['bytes'] / 1e6:.2f}", f"{row['tokens']:,}", f"{row['steps']:,}"]
            table.add_row(label, *counts, tflops, f"{min(row['seconds']):,.0f}", *cells)
        show(table)
    for name in next(iter(models.values()))["equal_bytes"]["evals"]:
        counted = {label: entry["equal_bytes"]["evals"][name]["by_count"] for label, entry in models.items()}
        edges = [row["from"] for row in next(iter(counted.values()))]
        uppers = [f"-{after - 1}" if after - 1 > edge else "" for edge, after in pairwise(edges)] + [" or more"]
        columns = [f"{edge:,}{upper}" for edge, upper in zip(edges, uppers, strict=True)]
        seen = Table(f"{name}, bits/byte by training count", *columns)
        for label, rows in counted.items():
            seen.add_row(label, *(f"{row['bits'] / row['bytes']:.2f}" if row["bytes"] else "" for row in rows))
        show(seen)
    speed = Table("speed, from text to text", "training bytes/s", "tokens/s", "writing bytes/s", "tokens/s")
    for label, entry in models.items():
        rates = [entry["training_speed"], entry.get("generation", {})]
        cells = [f"{r[k]:,.0f}" if k in r else "" for r in rates for k in ("bytes_per_s", "tokens_per_s")]
        speed.add_row(label, *cells)
    show(speed)
    if "reference" in report:
        writing = Table("writing", *(measure.label for measure in MEASURES), "scorer, bits/byte")
        lines = {label: entry["generation"] for label, entry in models.items()} | {"held-out text": report["reference"]}
        for label, line in lines.items():
            cells = [format(line[measure.key], measure.format) for measure in MEASURES]
            writing.add_row(label, *cells, f"{line['scorer_bits_per_byte']:.3f}")
        show(writing)
        scorer = report["scorer"]
        held = ", ".join(f"{name} {value:.3f}" for name, value in scorer["bits_per_byte"].items())
        note(
            f"scorer: {scorer['kind']}, trained on {scorer['bytes'] / 1e6:,.1f} MB; bits/byte of held-out text: {held}"
        )


def _bits(entry: dict[str, Any]) -> str:
    spread = f" ±{entry['spread']:.4f}" if entry["spread"] is not None else ""
    unknown = f" ({entry['bits_per_byte_unknown']:.3f} unknown)" if entry["bits_per_byte_unknown"] else ""
    return f"{entry['bits_per_byte']:.4f}{spread}{unknown}"
