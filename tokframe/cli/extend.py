"""`tokframe extend`: more ids for other text. Which ones is left to the tokenizer."""

from __future__ import annotations

import click

from tokframe.cli.options import Command, corpus_option, json_option, name_argument, open_corpus

__all__ = ["command"]


@click.command(
    "extend", cls=Command, examples=["tokframe extend ./mine --corpus law/ --vocab-size 36000 --out ./mine-law"]
)
@name_argument
@corpus_option(required=True)
@click.option("--vocab-size", required=True, type=int, metavar="N", help="How many ids there are to be.")
@click.option("--out", required=True, metavar="DIR", help="The artifact to write.")
@click.option("--overwrite", is_flag=True, help="Replace an artifact at DIR.")
@json_option
def command(name: str, corpus: tuple[str, ...], vocab_size: int, out: str, overwrite: bool, as_json: bool) -> None:
    """Write the tokenizer with more ids, for the text given: those that save most while the old ones are there.

    Every id it has stays the id of the same bytes; new ones follow. Text that uses no new id is encoded as before. Ids
    that are added to a learned tokenizer have no code in its network: language models take them as ids of their own.

    JSON: {"tokenizer", "out", "vocab_size", "before", "without_code", "corpus": {"files", "skipped", "skipped_files",
    "skipped_records"}}.
    """
    from tokframe.cli.console import note, show_json
    from tokframe.loading.loading import extend, load
    from tokframe.plugins.protocols import HasCodes
    from tokframe.training.terminal import reporting

    text = open_corpus(corpus)
    before = load(name).vocab_size
    with reporting() as reporter:
        made = extend(name, corpus=text, out=out, vocab_size=vocab_size, overwrite=overwrite, reporter=reporter)
    added = made.vocab_size - before
    coded = isinstance(made, HasCodes)
    if as_json:
        facts = {"tokenizer": name, "out": out, "vocab_size": made.vocab_size, "before": before}
        show_json({**facts, "without_code": added if coded else None, "corpus": text.summary()})
    else:
        note(f"wrote {out}: {made.vocab_size:,} ids, {added:,} of them new" + (", without a code" if coded else ""))
