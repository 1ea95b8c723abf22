"""Our own tokenizers as systems under measurement."""

from __future__ import annotations

import os

import tokframe
from benchmarks.systems import Builder, System
from tokframe.errors import TokframeError

__all__ = ["FLAGSHIP", "builders", "flagship_name"]

#: The system that the targets are about.
FLAGSHIP = "tokframe"
#: Environment variable: another registered name or path to measure as the flagship.
_NAME = "TOKFRAME_BENCH"


def flagship_name() -> str:
    """Return the registered name, or path, of the tokenizer measured as ours."""
    return os.environ.get(_NAME, "autoencoder-fsq")


def builders() -> dict[str, Builder]:
    """Return the flagship and the word-level tokenizer."""
    return {FLAGSHIP: lambda: _ours(FLAGSHIP, flagship_name()), "word": lambda: _ours("word", "word")}


def _ours(name: str, registered: str) -> System:
    try:
        tokenizer = tokframe.load(registered)
    except TokframeError as error:
        raise ImportError(f"{registered} does not load: {error}") from error
    return System(
        name=name,
        version=tokframe.__version__,
        encode=lambda text: tokenizer.encode(text, False),
        array=lambda text: tokenizer.encode_array(text, False),
        decode=tokenizer.decode,
        fresh=(lambda: _ours(name, registered)) if name == FLAGSHIP else None,
        note=f"{registered}, {tokenizer.vocab_size:,} ids",
    )
