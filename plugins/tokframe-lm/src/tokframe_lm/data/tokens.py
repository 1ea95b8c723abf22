"""A corpus tokenized once: ids in a memory-mapped file beside a small JSON header that says what made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError, TrainingInterrupted, UnsupportedError
from tokframe.storage.atomic import write_atomically
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray
from tokframe.training.progress import Reporter
from tokframe_lm.model.model import start_id

__all__ = ["Document", "TokenFile", "documents", "read_document", "tokenize"]

_HEADER, _IDS, _SURFACES = "tokens.json", "tokens.bin", "surfaces.json"
_FORMAT = 1
_COUNTED = 2**22  # ids counted at a time, so that a long file is never in memory whole


@frozen(kw_only=True, eq=False)
class Document:
    """A text as ids, its size in bytes, and the bytes behind each id that does not spell them (lossy tokenizers)."""

    ids: IntArray
    size: int
    unknown_surfaces: tuple[bytes, ...]


@frozen(kw_only=True, eq=False)
class TokenFile:
    """`ids` (tokens,) int32, memory-mapped, a start id before each document; `bytes` of text they stand for."""

    ids: Any
    documents: int
    unknown_surfaces: Mapping[bytes, int]
    bytes: int

    def counts(self, vocab_size: int) -> np.ndarray[Any, Any]:
        """Return how often each id comes (ids,) int64."""
        found = np.zeros(vocab_size, np.int64)
        for start in range(0, len(self.ids), _COUNTED):
            found += np.bincount(self.ids[start : start + _COUNTED], minlength=vocab_size)
        return found


def documents(corpus: Corpus, max_bytes: int = 0) -> Iterator[str]:
    """Yield documents up to `max_bytes` of UTF-8 in all (0: no limit), the last one cut at a whole character."""
    left = max_bytes
    for text in corpus.documents():
        if not max_bytes:
            yield text
            continue
        data = text.encode()
        if len(data) >= left:
            head = data[:left].decode("utf-8", "ignore")
            if head:
                yield head
            return
        left -= len(data)
        yield text


def read_document(tokenizer: ITokenizer, text: str) -> Document:
    """Return a text as ids and what they hide. Raises: UnsupportedError for a lossy tokenizer without offsets."""
    if tokenizer.capabilities.lossless:
        return Document(ids=tokenizer.encode_array(text, False), size=len(text.encode()), unknown_surfaces=())
    data = text.encode()
    found = tokenizer.offsets(text)
    unknown_surfaces = []
    reached = 0
    for token, (start, end) in zip(found.ids.tolist(), found.byte_spans.tolist(), strict=True):
        if start != reached:
            raise UnsupportedError(
                f"{tokenizer.name!r} leaves out byte {reached} of a text without an id for it, so bits per byte "
                "cannot be told",
                capability="offsets",
            )
        reached = end
        surface = data[start:end]
        if tokenizer.token_bytes(token) != surface:
            unknown_surfaces.append(surface)
    return Document(ids=found.ids, size=len(data), unknown_surfaces=tuple(unknown_surfaces))


def tokenize(
    corpus: Corpus,
    tokenizer: ITokenizer,
    folder: Path,
    *,
    sha256: str,
    max_bytes: int,
    reporter: Reporter,
    should_stop: Callable[[], bool],
) -> TokenFile:
    """Tokenize a corpus into `folder`, or open what is there if the same text, tokenizer and limit made it.

    Raises: CorpusError if there is no text; TrainingInterrupted.
    """
    made_of = {
        "format": _FORMAT,
        "tokenizer": sha256,
        "corpus": [[file.name, _identity(file)] for file in corpus.files],
        "max_bytes": max_bytes,
    }
    kept = _open(folder, made_of)
    if kept is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    begin = np.asarray([start_id(tokenizer)], np.int32)
    unknown_surfaces: Counter[bytes] = Counter()
    size = tokens = count = 0
    reporter.stage("tokenize", max_bytes / 1e6 or None, "MB")
    part = folder / f"{_IDS}.part"
    with part.open("wb") as file:
        for text in documents(corpus, max_bytes):
            if should_stop():
                raise TrainingInterrupted(
                    "stopped while tokenizing, before the first step; nothing is kept. Run the same command again"
                )
            document = read_document(tokenizer, text)
            file.write(begin.astype("<i4").tobytes())
            file.write(document.ids.astype("<i4").tobytes())
            unknown_surfaces.update(document.unknown_surfaces)
            size, tokens, count = size + document.size, tokens + 1 + len(document.ids), count + 1
            reporter.advance(size / 1e6, tokens=tokens)
        file.flush()
        os.fsync(file.fileno())  # the header outlasts a power cut, so these must
    if not size:
        raise CorpusError("the corpus holds no text, so there is nothing to learn. Name another: --corpus FILE")
    part.replace(folder / _IDS)
    write_atomically(folder / _SURFACES, canonical_json({text.hex(): n for text, n in unknown_surfaces.items()}))
    header = {**made_of, "tokens": tokens, "bytes": size, "documents": count}
    write_atomically(folder / _HEADER, canonical_json(header))  # last: without it the rest does not count
    opened = _open(folder, made_of)
    if opened is None:
        raise CorpusError(f"the tokens written to {folder} cannot be read back; free some space there", path=folder)
    return opened


def _open(folder: Path, made_of: dict[str, Any]) -> TokenFile | None:
    """Return the tokens of a folder if they were made of just this."""
    try:
        header = json.loads((folder / _HEADER).read_bytes())
        if {key: header[key] for key in made_of} != made_of:
            return None
        ids = np.memmap(folder / _IDS, dtype="<i4", mode="r")
        if len(ids) != header["tokens"]:
            return None
        unknown_surfaces = {bytes.fromhex(text): n for text, n in json.loads((folder / _SURFACES).read_bytes()).items()}
        return TokenFile(
            ids=ids, bytes=header["bytes"], documents=header["documents"], unknown_surfaces=unknown_surfaces
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _identity(file: Any) -> str:
    """Return what changes when a file does, without reading it: size and time, hashed."""
    status = file.path.stat()
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:16]
