"""Text for a comparison: equal shares of its sources, and prompts with their held-out continuations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError
from tokframe.storage.atomic import write_atomically
from tokframe.storage.manifest import file_sha256
from tokframe_lm.data.tokens import documents

__all__ = ["Mixture", "Prompt", "mix", "prompts", "shares"]

_PROMPT_CHARS = 60  # approximate length of a prompt


@frozen(kw_only=True)
class Mixture:
    """A text file made of equal shares of sources, and its SHA-256."""

    path: Path
    bytes: int
    sha256: str


@frozen(kw_only=True)
class Prompt:
    """The beginning of a line of held-out text, and its continuation there."""

    text: str
    continuation: str


def shares(corpus: Corpus, max_bytes: int) -> Iterator[str]:
    """Yield the beginning of each source in equal shares, at most `max_bytes` in all."""
    sources = corpus.sources().values()
    for files in sources:
        last = ""
        for text in documents(Corpus(tuple(files), faults=corpus.faults), max_bytes // len(sources)):
            yield text
            last = text
        if not last.endswith("\n"):
            yield "\n"


def mix(corpus: Corpus, max_bytes: int, folder: Path) -> Mixture:
    """Write equal shares to a file in `folder`; the same text gives the same file. Raises: CorpusError; OSError."""
    data = "".join(shares(corpus, max_bytes)).encode()
    if not data.strip():
        raise CorpusError("the corpus holds no text, so there is nothing to train on. Name another: --corpus FILE")
    path = folder / f"train-{max_bytes}.txt"
    sha256 = hashlib.sha256(data).hexdigest()
    # an equal file is not rewritten: a resumed run identifies it by its time
    if not path.is_file() or file_sha256(path) != sha256:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    return Mixture(path=path, bytes=len(data), sha256=sha256)


def prompts(corpus: Corpus, *, count: int, size: int, max_bytes: int) -> list[Prompt]:
    """Return prompts spread over the first `max_bytes` of a text, each with the `size` bytes that follow it there.

    Raises: CorpusError if the text is too short.
    """
    text = "".join(documents(corpus, max_bytes))
    lines = [0, *(place + 1 for place, character in enumerate(text) if character == "\n")]
    # long lines of words only, not headings and lists
    words = [start for start in lines if text[start : start + 2].lstrip(" ")[:1].isalnum()]
    long = [start for start in words if text.find("\n", start) > start + _PROMPT_CHARS]
    starts = long if len(long) >= count else [number * len(text) // count for number in range(count)]
    found: list[Prompt] = []
    for number in range(count):
        start = starts[number * len(starts) // count]
        end = text.find(" ", start + _PROMPT_CHARS)
        if end < 0:
            continue
        after = text[end : end + size].encode()[:size].decode("utf-8", "ignore")
        if len(after.encode()) > size - 4:
            found.append(Prompt(text=text[start:end], continuation=after))
    if not found:
        raise CorpusError(
            f"the held-out text is too short for a prompt and {size:,} bytes after it. Name a longer one: --eval FILE"
        )
    return found
