"""`tokframe lm migrate`: a model converted to another tokenizer; imports what is heavy when it runs."""

from __future__ import annotations

import shlex
from typing import Any

import click

from tokframe.cli.options import Command, corpus_option, json_option, open_corpus
from tokframe_lm.cli.options import max_bytes_option

__all__ = ["migrate_command"]


@click.command(
    "migrate",
    cls=Command,
    examples=[
        "tokframe lm migrate runs/old --from word --to autoencoder-fsq --corpus books/ --out runs/warm",
        "tokframe lm train --tokenizer autoencoder-fsq --from runs/warm --corpus books/ --out runs/new",
    ],
)
@click.argument("model", metavar="DIR")
@click.option("--from", "old", metavar="NAME", help="The model's tokenizer, to check that it is this one.")
@click.option("--to", "new", required=True, metavar="NAME", help="Tokenizer to migrate to.")
@click.option("--out", required=True, metavar="DIR", help="Output folder.")
@corpus_option(required=False)
@max_bytes_option
@click.option(
    "--method",
    default="weighted",
    show_default=True,
    metavar="NAME",
    help="weighted: parts weighted by their bytes, unknown ones from their neighbors; mean: plain mean.",
)
@click.option("--embedding", default="lookup", show_default=True, metavar="NAME", help="Embedding of the new model.")
@click.option("--overwrite", is_flag=True, help="Replace the model at DIR.")
@json_option
def migrate_command(
    model: str, corpus: tuple[str, ...], new: str, out: str, max_bytes: int | None, as_json: bool, **options: Any
) -> None:
    """Convert a model to another tokenizer: a warm start for further training.

    Each new id starts from a mixture of the vectors of the old ids that spell its bytes. With --corpus, ideally the
    training text, output biases are calibrated to the frequencies of the new ids. Special tokens and the transformer's
    weights are copied.

    JSON: {"out", "method", "embedding", "copied", "averaged", "special", "neighbours", "unknown", "kept",
    "scale", "corpus"}.
    """
    from attrs import asdict

    from tokframe.cli.console import note, say, show_json
    from tokframe.cli.progress import reporting
    from tokframe_lm.migration.migration import migrate

    text = open_corpus(corpus) if corpus else None
    with reporting() as reporter:
        done = migrate(model, new=new, out=out, corpus=text, max_bytes=max_bytes or 0, reporter=reporter, **options)
    if as_json:
        show_json({"out": out, **asdict(done), "corpus": text.summary() if text else None})
        return
    say(
        f"{done.copied:,} ids copied, {done.averaged:,} averaged, {done.neighbours:,} from neighbors, "
        f"{done.special:,} special tokens copied, {done.unknown:,} unknown; saved at {out}"
    )
    if done.kept < 1:
        note(f"the embedding {done.embedding!r} expresses {done.kept:.1%} of the variance of the vectors")
    if text is None:
        note("no --corpus: output biases come from the parts of each id, and the first training steps correct them")
    words = ["tokframe", "lm", "train", "--tokenizer", new, "--from", out, "--corpus", *(corpus or ("FILE",))]
    command = shlex.join([*words, "--out", "DIR"])
    say(f"Continue training (a learning rate below a cold start's preserves more of the old model):\n  {command}")
