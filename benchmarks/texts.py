"""Texts: what everything is measured on, equal shares of books, docs, code and other languages; and hard inputs."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

from attrs import frozen

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError
from tokframe.evaluate.timing import sample

__all__ = [
    "Mix",
    "corpus_files",
    "corpus_folder",
    "documents",
    "even_lines",
    "hard_inputs",
    "languages",
    "mix",
    "one_text",
]

#: Environment variable that names a folder of `KIND-....dev.txt.xz` files.
_CORPUS = "TOKFRAME_CORPUS"
_CODE = "stdlib:heldout"
#: Kinds that are measured; wikitext is a second kind of English prose and left to `tokframe compare`.
_KINDS = ("books", "docs", "multilingual")
#: Kinds of which there is one file for each language.
_IN_LANGUAGES = ("multilingual", "help", "tales")


@frozen(kw_only=True)
class Mix:
    """Texts of some kB each, and which sources they come from: name to bytes."""

    texts: tuple[str, ...]
    sources: dict[str, int]

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        return sum(self.sources.values())


def corpus_folder() -> Path | None:
    """Return the folder of the corpus: from the environment, or beside the project's; None where there is none."""
    given = os.environ.get(_CORPUS)
    if given:
        return Path(given)
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    return beside if beside.is_dir() else None


def mix(size: int, part: str = "dev") -> Mix:
    """Return about `size` bytes, always the same: a share of each kind, in turn.

    `part` is "dev", or "train" for a peer that has to learn first. Raises: CorpusError for a folder without text.
    """
    groups = {kind: files for kind in _KINDS if (files := corpus_files(kind, part))}
    groups[f"code ({'the standard library, held out' if part == 'dev' else 'the standard library'})"] = [
        _CODE if part == "dev" else "stdlib:train"
    ]
    share = size // len(groups)
    found = {name: sample(Corpus.open(paths), share) for name, paths in groups.items()}
    turns = max(map(len, found.values()))
    texts = [texts[turn] for turn in range(turns) for texts in found.values() if turn < len(texts)]
    return Mix(texts=tuple(texts), sources={name: _bytes(texts) for name, texts in found.items()})


def one_text(texts: tuple[str, ...], size: int) -> str:
    """Return the texts as one of about `size` bytes, at least that if there is enough; repeated if not."""
    parts: list[str] = []
    missing = size
    for text in itertools.cycle(texts):
        if missing <= 0:
            break
        parts.append(text)
        missing -= len(text.encode())
    return "".join(parts)


def documents(texts: tuple[str, ...], count: int, size: int) -> list[str]:
    """Return `count` documents of about `size` characters."""
    whole = one_text(texts, count * size * 2)
    if len(whole) < count * size:
        raise CorpusError(f"{len(whole)} characters are too few for {count} documents of {size}")
    return [whole[i * size : (i + 1) * size] for i in range(count)]


def even_lines(data: bytes, size: int, stretches: int) -> bytes:
    """Return about `size` bytes of whole lines, in stretches spread evenly over the data."""
    if size >= len(data):
        return data
    starts = [0, *(data.find(b"\n", len(data) * number // stretches) + 1 for number in range(1, stretches))]
    return b"".join(data[start : data.find(b"\n", start + size // stretches) + 1] for start in starts)


def languages(size: int) -> dict[str, tuple[str, ...]]:
    """Return about `size` bytes of texts in each of some languages, by the code of the language; of those there are."""
    found = {}
    for code in ("de", "es", "fr", "ru", "ar", "hi", "th", "ja", "ko", "zh"):
        if paths := [path for kind in _IN_LANGUAGES for path in corpus_files(f"{kind}-{code}", "dev")]:
            found[code] = tuple(sample(Corpus.open(paths), size))
    return found


def hard_inputs(size: int) -> dict[str, str | bytes]:
    """Return inputs on which tokenizers are known to slow down, `size` bytes of UTF-8 each (random bytes: plain)."""
    draw = random.Random(4)
    emoji = "".join(chr(draw.randrange(0x1F600, 0x1F64F)) for _ in range(size // 4))
    return {
        "letter a": "a" * size,
        "spaces": " " * size,
        "random bytes": draw.randbytes(size),
        "random Latin-1": draw.randbytes(size).decode("latin-1").encode()[:size].decode(errors="ignore"),
        "one emoji": "\U0001f642" * (size // 4),
        "random emoji": emoji,
        "random a-z": "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=size)),
        "newlines": "\n" * size,
    }


def corpus_files(kind: str, part: str) -> list[str]:
    """Return the files of a kind ("" for all) and a part of the corpus; none without a corpus."""
    folder = corpus_folder()
    if folder is None:
        return []
    return sorted(str(path) for path in folder.glob(f"{kind}*.{part}.txt*"))


def _bytes(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)
