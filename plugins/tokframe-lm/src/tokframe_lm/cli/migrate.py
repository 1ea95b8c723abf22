"""`tokframe lm migrate` and `lm steps`: a model moved to another tokenizer, and what that saves in training."""

from __future__ import annotations

import shlex
from typing import Any

import click

from tokframe.cli.options import Command, corpus_option, json_option, open_corpus

__all__ = ["migrate_command", "steps_command"]


@click.command(
    "migrate",
    cls=Command,
    epilog="\b\nExample:\n"
    "  tokframe lm migrate runs/old --from word --to autoencoder-fsq --corpus books/ --out runs/warm\n"
    "  tokframe lm train --tokenizer autoencoder-fsq --from runs/warm --corpus books/ --out runs/new",
)
@click.argument("model", metavar="DIR")
@click.option("--from", "old", metavar="NAME", help="The tokenizer that the model has, to have it checked.")
@click.option("--to", "new", required=True, metavar="NAME", help="The tokenizer that it shall have.")
@click.option("--out", required=True, metavar="DIR", help="Where to save the moved model.")
@corpus_option(required=False)
@click.option("--max-bytes", type=click.IntRange(1), help="Read only so many bytes of the corpus.")
@click.option(
    "--method",
    default="weighted",
    show_default=True,
    metavar="NAME",
    help="weighted: parts weigh by their bytes, unknown ones are made of their neighbours; mean: plain mean.",
)
@click.option("--embedding", default="lookup", show_default=True, metavar="NAME", help="Embedding of the moved model.")
@click.option("--overwrite", is_flag=True, help="Replace the model at DIR.")
@json_option()
def migrate_command(
    model: str, corpus: tuple[str, ...], new: str, out: str, max_bytes: int | None, as_json: bool, **options: Any
) -> None:
    """Move a model to another tokenizer: a warm start, to be trained on.

    Each new id begins as a mixture of the old vectors of the old ids that spell its bytes. With --corpus, the text that
    will be trained on, each is also expected as often as it comes there: do give one. Special tokens and all weights
    between are kept.

    JSON: {"out", "method", "embedding", "copied", "averaged", "special", "neighbours", "unknown", "kept",
    "scale"}.
    """
    from attrs import asdict

    from tokframe.cli.console import note, show_json
    from tokframe.cli.progress import reporting
    from tokframe_lm.migration.migration import migrate

    text = open_corpus(corpus) if corpus else None
    with reporting() as reporter:
        done = migrate(model, new=new, out=out, corpus=text, max_bytes=max_bytes or 0, reporter=reporter, **options)
    if as_json:
        show_json({"out": out, **asdict(done)})
        return
    click.echo(
        f"{done.copied:,} ids copied, {done.averaged:,} averaged, {done.neighbours:,} made of neighbours, "
        f"{done.special:,} special tokens kept, {done.unknown:,} unknown; saved at {out}"
    )
    if done.kept < 1:
        note(f"the embedding {done.embedding!r} holds {done.kept:.1%} of the variance of their vectors")
    if text is None:
        note("no --corpus: ids are expected as often as their parts were, which costs the first steps of training")
    words = ["tokframe", "lm", "train", "--tokenizer", new, "--from", out, "--corpus", *(corpus or ("FILE",))]
    command = shlex.join([*words, "--out", "DIR"])
    click.echo(f"Train it on (a learning rate below a cold start's keeps more of the old model):\n  {command}")


@click.command(
    "steps",
    cls=Command,
    epilog="\b\nExample:\n  tokframe lm steps runs/cold runs/warm",
)
@click.argument("cold", metavar="COLD")
@click.argument("warm", metavar="WARM")
@json_option()
def steps_command(cold: str, warm: str, as_json: bool) -> None:
    """Show how many training steps the model WARM needed to come to the loss that COLD ended with.

    Reads the training losses that both folders record, each smoothed over a tenth of COLD's steps; both must have one
    tokenizer and one batch size. Where WARM's text had been seen before, judge by held-out text: tokframe lm eval.

    JSON: {"cold_steps", "cold_loss", "warm_steps", "warm_loss", "reached", "share", "saved"}.
    """
    from attrs import asdict
    from rich.table import Table

    from tokframe.cli.console import show, show_json
    from tokframe_lm.migration.curves import steps_saved

    found = steps_saved(cold, warm)
    if as_json:
        show_json(asdict(found))
        return
    table = Table("model", "steps", "loss at the end", f"at {found.cold_loss:.3f} after")
    table.add_row(cold, f"{found.cold_steps:,}", f"{found.cold_loss:.3f}", f"{found.cold_steps:,} steps")
    when = "never" if found.reached is None else f"{found.reached:,} steps"
    table.add_row(warm, f"{found.warm_steps:,}", f"{found.warm_loss:.3f}", when)
    show(table)
    if found.reached is None or found.share is None or found.saved is None:
        click.echo(f"{warm} did not come to the loss of {cold}: train it for longer")
    else:
        click.echo(f"{found.share:.0%} of the steps of {cold}: {found.saved:,} saved")
