"""Codebook: the frozen table id -> bytes -> code that a trained network is compiled into.

Layout: the special tokens, the 256 single bytes in order, then the learned segments ordered by use.
Knows no network; `selection` makes it, `soundness` checks it against the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tokframe.errors import ArtifactCorruptError

__all__ = ["FIRST_LEARNED", "SPECIAL_TOKENS", "Codebook"]

#: The same four, with the same ids, as in tokframe's word and BPE tokenizers, so that models can move between them.
SPECIAL_TOKENS: tuple[str, ...] = ("<pad>", "<unk>", "<s>", "</s>")
FIRST_BYTE = len(SPECIAL_TOKENS)
FIRST_LEARNED = FIRST_BYTE + 256
#: Marks an id that has no code: a special token, or a single byte the network does not reproduce.
NO_CODE = -1
_FILE = "codebook.safetensors"


class Codebook:
    """Segments with their codes; immutable.

    `blob` uint8 and `offsets` (n + 1,) hold the bytes of the single bytes and learned segments in id order;
    `codes` (vocab_size,) int64; `counts` (vocab_size,) int64 is how often training text used each id.
    """

    def __init__(
        self,
        blob: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
    ) -> None:
        self.blob, self.offsets, self.codes, self.counts = blob, offsets, codes, counts
        for array in (blob, offsets, codes, counts):
            array.setflags(write=False)

    @classmethod
    def build(
        cls, learned: Sequence[bytes], codes: Mapping[bytes, int], counts: Mapping[bytes, int] | None = None
    ) -> Codebook:
        """Compile learned segments (at least two bytes each, in id order) with the codes of segments and bytes."""
        pieces = [bytes([value]) for value in range(256)] + list(learned)
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        offsets = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        used = counts or {}
        none = [NO_CODE] * FIRST_BYTE
        return cls(
            np.frombuffer(b"".join(pieces), np.uint8).copy(),
            offsets,
            np.asarray(none + [codes.get(piece, NO_CODE) for piece in pieces], np.int64),
            np.asarray([0] * FIRST_BYTE + [used.get(piece, 0) for piece in pieces], np.int64),
        )

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Codebook:
        """Read what `tensors` wrote. Raises: ArtifactCorruptError where the tables make no sense together."""
        try:
            blob, lengths = tensors["segment_bytes"], tensors["segment_lengths"]
            codes, counts = tensors["codes"], tensors["counts"]
        except KeyError as error:
            raise _corrupt(f"has no tensor {error.args[0]!r}") from None
        wanted = {"segment_bytes": blob, "segment_lengths": lengths, "codes": codes, "counts": counts}
        kinds = {"segment_bytes": "u1", "segment_lengths": "u1", "codes": "i8", "counts": "i8"}
        for name, array in wanted.items():
            if array.ndim != 1 or array.dtype != np.dtype(kinds[name]):
                raise _corrupt(
                    f"holds {name} as {array.dtype} of {array.ndim} dimensions, not as a list of {kinds[name]}"
                )
        size = FIRST_BYTE + len(lengths)
        if len(lengths) < 256 or len(codes) != size or len(counts) != size:
            raise _corrupt(f"holds {len(lengths)} segments, {len(codes)} codes and {len(counts)} counts")
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, dtype=np.int64, out=offsets[1:])
        if int(offsets[-1]) != len(blob):
            raise _corrupt(f"holds {len(blob)} segment bytes where the lengths say {int(offsets[-1])}")
        if (lengths[:256] != 1).any() or (blob[:256] != np.arange(256)).any():
            raise _corrupt("does not begin with the 256 single bytes")
        if len(lengths) > 256 and int(lengths[256:].min()) < 2:
            raise _corrupt("holds a learned segment of fewer than two bytes")
        if int(counts.min()) < 0 or int(codes.min()) < NO_CODE or (codes[:FIRST_BYTE] != NO_CODE).any():
            raise _corrupt("holds a negative count or code")
        used = codes[codes >= 0]
        used.sort()  # a copy; np.unique would import parts of numpy that nothing else here needs
        if (used[1:] == used[:-1]).any():
            raise _corrupt("gives one code to two ids")
        return cls(blob.copy(), offsets, codes.copy(), counts.copy())

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tables as the arrays an artifact keeps."""
        return {
            "segment_bytes": self.blob,
            "segment_lengths": np.diff(self.offsets).astype(np.uint8),
            "codes": self.codes,
            "counts": self.counts,
        }

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self.codes)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of a valid id; a special token's are its text."""
        if token < FIRST_BYTE:
            return SPECIAL_TOKENS[token].encode()
        start, end = self.offsets[token - FIRST_BYTE], self.offsets[token - FIRST_BYTE + 1]
        return self.blob[start:end].tobytes()

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of every id from the first single byte on, in id order."""
        raw, bounds = self.blob.tobytes(), self.offsets.tolist()
        return [raw[start:end] for start, end in pairwise(bounds)]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int32]:
        """(vocab_size,) bytes each id stands for, special tokens as their text."""
        special = [len(text) for text in SPECIAL_TOKENS]
        return np.concatenate([special, np.diff(self.offsets)]).astype(np.int32)


def _corrupt(what: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(f"{_FILE} {what}; save or train the tokenizer again", file=_FILE)
