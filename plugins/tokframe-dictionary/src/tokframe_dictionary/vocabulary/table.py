"""Vocabulary: the frozen table id -> bytes, with how often training text used each id. Knows no search.

Layout: the special tokens, the 256 single bytes in order, then the learned segments ordered by use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tokframe.errors import ArtifactCorruptError, ConfigError, UnsupportedError
from tokframe.tokenizer.table import SPECIAL_TOKENS

__all__ = ["FIRST_BYTE", "FIRST_LEARNED", "SINGLE_BYTES", "Vocabulary", "check_tables", "corrupt"]

SINGLE_BYTES = tuple(bytes([value]) for value in range(256))
FIRST_BYTE = len(SPECIAL_TOKENS)
FIRST_LEARNED = FIRST_BYTE + len(SINGLE_BYTES)
_SPECIAL_BYTES = [text.encode() for text in SPECIAL_TOKENS]


class Vocabulary:
    """Segments by id; immutable.

    `blob` uint8 and `offsets` (n + 1,) hold the bytes of the single bytes and learned segments in id order;
    `counts` (vocab_size,) int64 is how often training text used each id; `ranks` (learned,) int32 is the order in which
    smaller vocabularies keep the learned ids, empty where that is not known.
    """

    def __init__(
        self,
        blob: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        ranks: npt.NDArray[np.int32] | None = None,
    ) -> None:
        self.blob, self.offsets, self.counts = blob, offsets, counts
        self.ranks = np.zeros(0, np.int32) if ranks is None else ranks
        for array in (blob, offsets, counts, self.ranks):
            array.setflags(write=False)

    @classmethod
    def build(
        cls,
        learned: Sequence[bytes],
        counts: Mapping[bytes, int] | None = None,
        *,
        ranks: Sequence[int] | npt.NDArray[Any] = (),
    ) -> Self:
        """Compile learned segments, at least two bytes each, in id order."""
        segments = [*SINGLE_BYTES, *learned]
        offsets = np.zeros(len(segments) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, segments), np.int64, len(segments)), out=offsets[1:])
        used = counts or {}
        return cls(
            np.frombuffer(b"".join(segments), np.uint8).copy(),
            offsets,
            np.asarray([0] * FIRST_BYTE + [used.get(segment, 0) for segment in segments], np.int64),
            np.asarray(ranks, np.int32),
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], file: str = "vocabulary.safetensors") -> Self:
        """Read what `tensors` returned. Raises: ArtifactCorruptError for inconsistent tables, naming `file`."""
        check_tables(tensors, {"segment_bytes": "u1", "segment_lengths": "u1", "counts": "i8"}, file)
        blob, lengths, counts = tensors["segment_bytes"], tensors["segment_lengths"], tensors["counts"]
        if len(lengths) < 256 or len(counts) != FIRST_BYTE + len(lengths):
            raise corrupt(f"holds {len(lengths)} segments and {len(counts)} counts", file)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, dtype=np.int64, out=offsets[1:])
        if int(offsets[-1]) != len(blob):
            raise corrupt(f"holds {len(blob)} segment bytes where the lengths say {int(offsets[-1])}", file)
        if (lengths[:256] != 1).any() or (blob[:256] != np.arange(256)).any():
            raise corrupt("does not begin with the 256 single bytes", file)
        if len(lengths) > 256 and int(lengths[256:].min()) < 2:
            raise corrupt("holds a learned segment of fewer than two bytes", file)
        if int(counts.min()) < 0:
            raise corrupt("holds a negative count", file)
        return cls(blob.copy(), offsets, counts.copy(), _ranks(tensors, len(lengths) - 256, file))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tables as the arrays an artifact stores."""
        return {
            "segment_bytes": self.blob,
            "segment_lengths": np.diff(self.offsets).astype(np.uint8),
            "counts": self.counts,
            **({"ranks": self.ranks} if len(self.ranks) else {}),
        }

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self.counts)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of a valid id; a special token's are its text."""
        if token < FIRST_BYTE:
            return _SPECIAL_BYTES[token]
        start, end = self.offsets[token - FIRST_BYTE], self.offsets[token - FIRST_BYTE + 1]
        return self.blob[start:end].tobytes()

    def kept(self, vocab_size: int) -> npt.NDArray[np.int64]:
        """Return the ids that a smaller vocabulary keeps, in order: smaller ones keep some of these.

        Raises: ConfigError for a size that cannot be; UnsupportedError where no ranks are known.
        """
        if not FIRST_LEARNED <= vocab_size <= self.vocab_size:
            text = f"is {vocab_size:,}; use {FIRST_LEARNED} (special tokens and single bytes) to {self.vocab_size:,}"
            raise ConfigError("prune", [("$.vocab_size", text)])
        if len(self.ranks) < self.vocab_size - FIRST_LEARNED:
            raise UnsupportedError(
                "this tokenizer does not know which ids a smaller vocabulary keeps: it was trained before tokenizers "
                "recorded that. Train it again, with --vocab-size",
                capability="prune",
            )
        learned = np.flatnonzero(self.ranks < vocab_size - FIRST_LEARNED) + FIRST_LEARNED
        return np.concatenate([np.arange(FIRST_LEARNED), learned])

    def pruned(self, vocab_size: int) -> Self:
        """Return the smaller vocabulary; its counts are those of this one. Raises: as `kept`."""
        ids = self.kept(vocab_size)
        learned = [self.token_bytes(token) for token in ids[FIRST_LEARNED:].tolist()]
        counts = dict(zip(SINGLE_BYTES + tuple(learned), self.counts[ids[FIRST_BYTE:]].tolist(), strict=True))
        return type(self).build(learned, counts, ranks=self.ranks[ids[FIRST_LEARNED:] - FIRST_LEARNED])

    def extended(self, learned: Sequence[bytes], counts: Mapping[bytes, int], ranks: npt.NDArray[np.int64]) -> Self:
        """Return the vocabulary with more segments behind its own, which a smaller one keeps only after all of those.

        `ranks` (learned,) is the order in which smaller ones keep the new.
        """
        own = self.segments
        used = dict(counts) | dict(zip(own, self.counts[FIRST_BYTE:].tolist(), strict=True))
        known = len(self.ranks) == self.vocab_size - FIRST_LEARNED
        every = np.concatenate([self.ranks, ranks + len(self.ranks)]) if known else ()
        return type(self).build([*own[len(SINGLE_BYTES) :], *learned], used, ranks=every)

    @cached_property
    def segments(self) -> list[bytes]:
        """The bytes of every id from the first single byte on, in id order."""
        raw, bounds = self.blob.tobytes(), self.offsets.tolist()
        return [raw[start:end] for start, end in pairwise(bounds)]


def _ranks(tensors: Mapping[str, npt.NDArray[Any]], learned: int, file: str) -> npt.NDArray[np.int32]:
    if "ranks" not in tensors:
        return np.zeros(0, np.int32)
    check_tables(tensors, {"ranks": "i4"}, file)
    ranks = tensors["ranks"]
    ordered = ranks.copy()
    ordered.sort()
    if len(ranks) != learned or (ordered != np.arange(learned)).any():
        raise corrupt(f"holds ranks that are not the numbers 0 to {learned - 1}, each once", file)
    return ranks.copy()


def check_tables(tensors: Mapping[str, npt.NDArray[Any]], kinds: Mapping[str, str], file: str) -> None:
    """Check that each named tensor is there, flat and of its dtype. Raises: ArtifactCorruptError."""
    for name, kind in kinds.items():
        if name not in tensors:
            raise corrupt(f"has no tensor {name!r}", file)
        array = tensors[name]
        if array.ndim != 1 or array.dtype != np.dtype(kind):
            raise corrupt(f"holds {name} as {array.dtype} of {array.ndim} dimensions, not as a list of {kind}", file)


def corrupt(what: str, file: str) -> ArtifactCorruptError:
    """Return the error that says what is wrong with the file of an artifact."""
    return ArtifactCorruptError(f"{file} {what}; save or train the tokenizer again", file=file)
