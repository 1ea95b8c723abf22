"""Tokenized training text: ids in a memory-mapped file beside a JSON header of what they were made of.

The core's token shards are for training elsewhere; here a text may be cut at any size, and what <unk> hides is counted.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from tokframe.corpus.faults import Faults
from tokframe.corpus.files import Corpus
from tokframe.corpus.stamp import Stamp
from tokframe.errors import CorpusError, TrainingInterrupted, UnsupportedError
from tokframe.storage.atomic import temporary_sibling, write_atomically
from tokframe.storage.manifest import MAX_FILE_BYTES, file_sha256, is_count
from tokframe.storage.regular import read_regular
from tokframe.storage.strictjson import canonical_json, parse_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import IntArray
from tokframe.training.progress import Reporter, never_stop
from tokframe_lm.model.model import start_id

__all__ = ["Document", "TokenFile", "documents", "read_document", "tokenize"]

_HEADER, _IDS = "tokens.json", "tokens.bin"
_FORMAT = 2
_CHUNK_IDS = 2**22  # ids counted at a time, to bound memory


@frozen(kw_only=True, eq=False)
class Document:
    """A text as ids, its size in bytes, and the bytes behind each id that does not spell them (lossy tokenizers).

    `left_out` are the bytes before each id, and after the last, that have no id, such as white space; where there are
    any, empty ones are listed too: a model would have to know where they stand.
    """

    ids: IntArray
    size: int
    unknown_surfaces: tuple[bytes, ...] = ()
    left_out: tuple[bytes, ...] = ()


@frozen(kw_only=True, eq=False)
class TokenFile:
    """`ids` (tokens,) int32, memory-mapped, a start id before each document; `bytes` is the size of their text.

    `unknown_surfaces` counts the texts behind ids that do not spell them.
    """

    ids: Any
    documents: int
    unknown_surfaces: Mapping[bytes, int]
    bytes: int

    def counts(self, vocab_size: int) -> np.ndarray[Any, Any]:
        """Return the count of each id (ids,) int64."""
        found = np.zeros(vocab_size, np.int64)
        for start in range(0, len(self.ids), _CHUNK_IDS):
            found += np.bincount(self.ids[start : start + _CHUNK_IDS], minlength=vocab_size)
        return found


def documents(corpus: Corpus, max_bytes: int = 0) -> Iterator[str]:
    """Yield documents up to `max_bytes` of UTF-8 in all (0: no limit), the last one cut at a whole character."""
    left = max_bytes
    for text in corpus.documents():
        data = text.encode()
        if max_bytes and len(data) >= left:
            if head := data[:left].decode("utf-8", "ignore"):
                yield head
            return
        left -= len(data)
        yield text


def read_document(tokenizer: ITokenizer, text: str, *, charge_left_out: bool = False) -> Document:
    """Return a text as ids and what they hide.

    Raises: UnsupportedError for a tokenizer that leaves out text, unless that is to be charged (`left_out`).
    """
    data = text.encode()
    if tokenizer.capabilities.lossless:
        return Document(ids=tokenizer.encode_array(text, False), size=len(data))
    found = tokenizer.offsets(text)
    spelled: list[tuple[int, int, bytes]] = []  # ids that share a character, or have none of their own, count as one
    gaps: list[bytes] = []
    reached = 0
    for token, (start, end) in zip(found.ids.tolist(), found.byte_spans.tolist(), strict=True):
        if start > reached and not charge_left_out:
            raise UnsupportedError(
                f"{tokenizer.name!r} leaves out byte {reached} of a text without an id for it, so bits per byte "
                "cannot be computed. Choose a tokenizer that has an id for all of a text, white space included: "
                "tokframe components",
                capability="offsets",
            )
        gaps.append(data[reached:start])
        reached = max(reached, start)
        first, before = start, b""
        if spelled and (start < reached or spelled[-1][0] == reached):
            first, _, before = spelled.pop()
        reached = max(reached, end)
        spelled.append((min(first, start), reached, before + tokenizer.token_bytes(token)))
    surfaces = [data[start:end] for start, end, text in spelled if text != data[start:end] and start < end]
    gaps.append(data[reached:])
    left_out = tuple(gaps) if charge_left_out and any(gaps) else ()
    return Document(ids=found.ids, size=len(data), unknown_surfaces=tuple(surfaces), left_out=left_out)


def tokenize(
    corpus: Corpus,
    tokenizer: ITokenizer,
    folder: Path,
    sha256: str,
    max_bytes: int,
    *,
    reporter: Reporter,
    should_stop: Callable[[], bool] = never_stop,
) -> TokenFile:
    """Tokenize a corpus into `folder`, or open what is there if it was made of the same text, tokenizer and limit.

    Raises: CorpusError if there is no text; TrainingInterrupted.
    """
    made_of = {
        "format": _FORMAT,
        "tokenizer": sha256,
        "corpus": [[file.name, _identity(file.stamp)] for file in corpus.files],
        "max_bytes": max_bytes,
    }
    if (found := _open(folder, made_of, tokenizer.vocab_size, corpus.faults)) is not None:
        return found
    start = np.asarray([start_id(tokenizer)], "<i4")
    surfaces: Counter[str] = Counter()
    size = tokens = count = 0
    reporter.stage("tokenize", max_bytes / 1e6 or None, "MB")
    digest = hashlib.sha256()
    with temporary_sibling(folder / _IDS) as scratch:
        with (scratch / _IDS).open("xb") as file:
            for text in documents(corpus, max_bytes):
                if should_stop():
                    raise TrainingInterrupted("stopped while tokenizing, before the first step; nothing was saved")
                document = read_document(tokenizer, text)
                data = start.tobytes() + document.ids.astype("<i4").tobytes()
                file.write(data)
                digest.update(data)
                surfaces.update(surface.hex() for surface in document.unknown_surfaces)
                size, tokens, count = size + document.size, tokens + 1 + len(document.ids), count + 1
                reporter.advance(size / 1e6, tokens=tokens, **corpus.faults.figures())
            file.flush()
            os.fsync(file.fileno())  # before the header, which survives a power cut
        if not size:
            raise CorpusError("the corpus holds no text, so there is nothing to train on. Name another: --corpus FILE")
        corpus.check_unchanged()
        os.replace(scratch / _IDS, folder / _IDS)
    facts = {"tokens": tokens, "bytes": size, "documents": count, "unknown_surfaces": dict(surfaces)}
    header = {**made_of, **facts, "left_out": corpus.faults.to_json(), "sha256": digest.hexdigest()}
    write_atomically(folder / _HEADER, canonical_json(header))  # last: the ids count only with it
    if (found := _open(folder, made_of, tokenizer.vocab_size, Faults())) is None:
        raise CorpusError(f"the tokens written to {folder} cannot be read back; free some space there", path=folder)
    return found


def _open(folder: Path, made_of: dict[str, Any], vocab_size: int, faults: Faults) -> TokenFile | None:
    """Return the tokens in a folder if they were made of just this and not changed since.

    What was left out of the corpus then counts in `faults`.
    """
    try:
        header = parse_json(read_regular(folder / _HEADER, MAX_FILE_BYTES), _HEADER)
        if {key: header[key] for key in made_of} != made_of or file_sha256(folder / _IDS) != header["sha256"]:
            return None
        ids = np.memmap(folder / _IDS, dtype="<i4", mode="r")
        if len(ids) != header["tokens"] or int(ids.min()) < 0 or int(ids.max()) >= vocab_size:
            return None
        if not all(map(is_count, [header["bytes"], header["documents"], *header["unknown_surfaces"].values()])):
            return None
        if not header["bytes"] or not header["documents"]:
            return None
        faults.merge(header.get("left_out", ()))
        surfaces = {bytes.fromhex(surface): n for surface, n in header["unknown_surfaces"].items()}
        return TokenFile(ids=ids, bytes=header["bytes"], documents=header["documents"], unknown_surfaces=surfaces)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _identity(stamp: Stamp) -> str:
    """Return what changes when a file does, without reading it: its size and time, hashed."""
    return hashlib.sha256(f"{stamp.size} {stamp.changed_ns}".encode()).hexdigest()[:16]
