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
        "tokframe lm migrate --from-huggingface ./gpt2 --tokenizer bpe --corpus books/ --untie --out ./gpt2-bpe",
    ],
)
@click.argument("model", metavar="[DIR]", required=False)
@click.option(
    "--from-huggingface",
    "pretrained",
    metavar="DIR",
    help="A causal or masked model of transformers to convert instead.",
)
@click.option("--from", "old", metavar="NAME", help="The model's tokenizer, to check that it is this one.")
@click.option("--to", "--tokenizer", "new", required=True, metavar="NAME", help="Tokenizer to migrate to.")
@click.option("--out", required=True, metavar="DIR", help="Output folder.")
@corpus_option(required=False)
@max_bytes_option
@click.option(
    "--method",
    default="weighted",
    show_default=True,
    metavar="NAME",
    help="weighted: parts weighted by their bytes, unknown ones from their neighbors; mean: plain mean; omp: unknown "
    "ones solved for in the space of the tokenizer's own vectors.",
)
@click.option("--embedding", default="lookup", show_default=True, metavar="NAME", help="Embedding of the new model.")
@click.option(
    "--untie", is_flag=True, help="With --from-huggingface: a matrix each for input and output; larger, and nearer."
)
@click.option("--overwrite", is_flag=True, help="Replace the model at DIR.")
@json_option
def migrate_command(
    model: str | None,
    pretrained: str | None,
    corpus: tuple[str, ...],
    new: str,
    out: str,
    max_bytes: int | None,
    embedding: str,
    untie: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert a model to another tokenizer: a warm start for further training.

    Each new id starts from a mixture of the vectors of the old ids that spell its bytes. With --corpus, ideally the
    training text, output biases are calibrated to the frequencies of the new ids. Special tokens and the transformer's
    weights are copied.

    With --from-huggingface DIR, a folder of transformers with safetensors and its tokenizer.json (or --from NAME), the
    output loads by AutoModelForCausalLM and AutoTokenizer, without tokframe.

    JSON: {"out", "method", "embedding", "copied", "averaged", "special", "neighbours", "unknown", "kept",
    "scale", "corpus"}; with --from-huggingface {"out", "model_type", "task", "tokenizer", "method", "tied", "scale",
    "copied", "composed", "guessed", "rows_before", "rows_after", "parameters_before", "parameters_after", "same",
    "corpus"}.
    """
    from attrs import asdict

    from tokframe.cli.console import note, say, show_json
    from tokframe.training.terminal import reporting

    if (model is None) == (pretrained is None):
        raise click.UsageError("name one model: DIR of tokframe lm train, or --from-huggingface DIR")
    text = open_corpus(corpus) if corpus else None
    if pretrained is not None:
        if embedding != "lookup":
            raise click.UsageError(
                "--embedding is for models of tokframe lm train; those of transformers have their own"
            )
        from tokframe_lm.migration.conversion import migrate_pretrained

        with reporting() as reporter:
            made = migrate_pretrained(
                pretrained, new=new, out=out, corpus=text, max_bytes=max_bytes or 0, untie=untie, reporter=reporter,
                **options,
            )  # fmt: skip
        if as_json:
            show_json({"out": out, **asdict(made), "corpus": text.summary() if text else None})
            return
        say(
            f"{made.copied:,} ids copied, {made.composed:,} composed, {made.guessed:,} guessed; "
            f"{made.rows_before:,} rows became {made.rows_after:,}; saved at {out}"
        )
        if text is None and made.task == "causal":
            note("no --corpus: the model does not know how often each new id occurs; the first training steps tell it")
        if not made.same:
            note("the exported tokenizer differs from tokframe's for some texts: tokframe export shows which")
        say(
            f"Load it: AutoModelForCausalLM.from_pretrained({out!r}), AutoTokenizer.from_pretrained({out!r})"
            if made.task == "causal"
            else f"Load it: AutoModelForMaskedLM.from_pretrained({out!r}), AutoTokenizer.from_pretrained({out!r})"
        )
        return
    if untie:
        raise click.UsageError("--untie is for models of transformers: --from-huggingface DIR")
    from tokframe_lm.migration.migration import migrate

    assert model is not None
    with reporting() as reporter:
        done = migrate(
            model,
            new=new,
            out=out,
            corpus=text,
            max_bytes=max_bytes or 0,
            embedding=embedding,
            reporter=reporter,
            **options,
        )
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
