"""`tokframe import`: convert a tokenizer of another library, to compare with and to migrate from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from tokframe.cli.options import Command, as_path, json_option

__all__ = ["command"]

_MAX_DIGITS = 10  # of an id


@click.command(
    "import",
    cls=Command,
    examples=[
        "tokframe import tokenizer.json --out ./theirs",
        "tokframe import cl100k_base.tiktoken --pattern cl100k_base --special '<|endoftext|>=100257' --out ./theirs",
        "tokframe import vocab.txt --split whitespace --lowercase --unknown '<unk>' --out ./theirs",
        "tokframe compare autoencoder-fsq ./theirs --corpus notes/",
    ],
    short_help="Convert a tokenizer.json, vocab.txt, tiktoken or sentencepiece file.",
)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Output folder.")
@click.option(
    "--pattern",
    default="",
    metavar="NAME|REGEX",
    help="For a tiktoken file: its split pattern: gpt2, cl100k_base, o200k_base or a regular expression.",
)
@click.option("--special", multiple=True, metavar="TEXT=ID", help="For a tiktoken file: a special token; repeatable.")
@click.option(
    "--split",
    default="",
    metavar="NAME|REGEX",
    help="For words: whitespace (the default), word (as the tokenizer word), bert (for word pieces), or a regular "
    "expression whose matches are the words.",
)
@click.option("--lowercase", is_flag=True, help="For words: the vocabulary is of lower-case text.")
@click.option(
    "--remove", default="", metavar="REGEX", help="For words: what is taken out of a text before it is split."
)
@click.option(
    "--unknown", default="", metavar="WORD", help="For words: the entry of words that are not in the vocabulary."
)
@click.option(
    "--pad", default="", metavar="WORD", help="For words: the entry of padding, or a name for an unused id 0."
)
@click.option("--begin", default="", metavar="WORD", help="For words: the entry that begins a text.")
@click.option("--end", default="", metavar="WORD", help="For words: the entry that ends a text.")
@click.option("--overwrite", is_flag=True, help="Replace the tokenizer at DIR.")
@json_option
def command(
    file: Path, out: Path, pattern: str, special: tuple[str, ...], overwrite: bool, as_json: bool, **words: Any
) -> None:
    """Convert a tokenizer.json, a tiktoken file, a sentencepiece model or a vocabulary of words.

    A vocabulary of words is a list (vocab.txt: one a line, the line is the id), JSON of token to id (vocab.json), a
    JSON list, or the JSON of a Keras Tokenizer. Ids are kept. Entries of usual names, as [UNK], need no option.

    JSON: {"tokenizer", "out", "vocab_size", "special_tokens", "unknown_id", "capabilities"}.
    """
    import attrs

    from tokframe.cli.console import note, show_json
    from tokframe_huggingface.reading import import_

    tokenizer = import_(file, out=out, pattern=pattern, special=_special(special), overwrite=overwrite, **words)
    able = attrs.asdict(tokenizer.capabilities)
    if as_json:
        show_json(
            {
                "tokenizer": tokenizer.name,
                "out": out,
                "vocab_size": tokenizer.vocab_size,
                "special_tokens": dict(tokenizer.special_tokens),
                "unknown_id": tokenizer.unknown_id,
                "capabilities": able,
            }
        )
        return
    capabilities = ", ".join(name.replace("_", " ") for name, has in able.items() if has) or "no capabilities"
    note(f"wrote {out}: {tokenizer.name}, {tokenizer.vocab_size:,} ids; {capabilities}")
    note(f"try: tokframe compare autoencoder-fsq {shlex.quote(as_path(str(out)))} --corpus stdlib:heldout")


def _special(given: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in given:
        text, equals, number = entry.rpartition("=")
        if not equals or not text or not number.isdecimal() or len(number) > _MAX_DIGITS:
            raise click.BadParameter(f"{entry!r} is not TEXT=ID, e.g. '<|endoftext|>=100257'", param_hint="--special")
        if text in found:
            raise click.BadParameter(f"{text!r} is given twice, as {found[text]} and {number}", param_hint="--special")
        found[text] = int(number)
    return found
