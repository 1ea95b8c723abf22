"""`tokframe count`: the tokens of files, as `wc` counts words."""

from __future__ import annotations

import os

import click

from tokframe.cli.installed import complete_names
from tokframe.cli.options import Command, json_option

__all__ = ["command"]


@click.command(
    "count",
    cls=Command,
    examples=["tokframe count autoencoder-fsq notes.txt README.md", "cat notes.txt | tokframe count bpe"],
)
@click.argument("words", nargs=-1, metavar="[NAME] [FILE|-]...", shell_complete=complete_names)
@json_option
def command(words: tuple[str, ...], as_json: bool) -> None:
    """Count the tokens of files (or stdin), with their lines, characters and bytes.

    Without a NAME the first tokenizer that is ready to use counts. Files are read as bytes; special tokens are not
    counted.

    JSON: {"tokenizer", "files": [{"file", "tokens", "lines", "chars", "bytes", "bytes_per_token"}], "total": {...}}.
    """
    from tokframe.cli.console import note, say, show_json
    from tokframe.loading.counting import count
    from tokframe.loading.ready import ready

    if words and words[0] != "-" and not _is_file(words[0]):
        name, *files = words
    else:
        name, files = ready(note, "count")[0], list(words)
        note(f"counted with {name}. To choose: tokframe count NAME FILE...")
    found = count(name, files or "-")
    if as_json:
        show_json(found.to_dict())
        return
    rows = [*found.files, found.total] if len(files) > 1 else found.files
    cells = [("tokens", "lines", "chars", "bytes", "")]
    cells += [
        (f"{row.tokens:,}", f"{row.lines:,}", f"{row.chars:,}", f"{row.bytes:,}", row.file if files else "")
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:4]
    for *numbers, file in cells:
        line = "  ".join(number.rjust(width) for number, width in zip(numbers, widths, strict=True))
        say(f"{line}  {file}".rstrip())


def _is_file(word: str) -> bool:
    """Return whether a word is a file and not a tokenizer's name."""
    from tokframe.errors import TokframeError
    from tokframe.loading.reference import resolve

    if not os.path.isfile(word):
        return False
    try:
        return os.sep in word or not resolve(word)
    except TokframeError:
        return True
