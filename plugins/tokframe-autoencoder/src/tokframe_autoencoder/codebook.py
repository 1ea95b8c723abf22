"""Codebook: a vocabulary whose segments have codes in a network; `pipeline.verify` checks it against that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, Vocabulary, check_tables, corrupt

__all__ = ["NO_CODE", "Codebook", "checked_codes"]

#: Marks an id without a code: a special token, or a single byte that the network does not reproduce.
NO_CODE = -1


class Codebook(Vocabulary):
    """A vocabulary with `codes` (vocab_size,) int64, no two alike, `NO_CODE` where an id has none; immutable."""

    def __init__(
        self,
        blob: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        ranks: npt.NDArray[np.int32] | None = None,
    ) -> None:
        super().__init__(blob, offsets, counts, ranks)
        self.codes = codes
        codes.setflags(write=False)

    @classmethod
    def build(
        cls,
        learned: Sequence[bytes],
        counts: Mapping[bytes, int] | None = None,
        codes: Mapping[bytes, int] | None = None,
        *,
        ranks: Sequence[int] | npt.NDArray[Any] = (),
    ) -> Self:
        """Compile learned segments, at least two bytes each, in id order, with the codes of segments and bytes."""
        plain = Vocabulary.build(learned, counts, ranks=ranks)
        known = codes or {}
        of_ids = [NO_CODE] * FIRST_BYTE + [known.get(segment, NO_CODE) for segment in plain.segments]
        return cls(plain.blob, plain.offsets, plain.counts, np.asarray(of_ids, np.int64), plain.ranks)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], file: str = "codebook.safetensors") -> Self:
        """Read what `tensors` returned. Raises: ArtifactCorruptError for inconsistent tables, naming `file`."""
        plain = Vocabulary.from_tensors(tensors, file)
        codes = checked_codes(tensors, plain.vocab_size, file)
        if (codes[:FIRST_BYTE] != NO_CODE).any():
            raise corrupt("holds a code of a special token", file)
        return cls(plain.blob, plain.offsets, plain.counts, codes, plain.ranks)

    def pruned(self, vocab_size: int) -> Self:
        """Return the smaller codebook, each id with its code. Raises: as `kept`."""
        plain = super().pruned(vocab_size)
        return type(self)(plain.blob, plain.offsets, plain.counts, self.codes[self.kept(vocab_size)], plain.ranks)

    def extended(self, learned: Sequence[bytes], counts: Mapping[bytes, int], ranks: npt.NDArray[np.int64]) -> Self:
        """Return the codebook with more segments behind its own, without codes. As `Vocabulary.extended`."""
        plain = super().extended(learned, counts, ranks)
        codes = np.concatenate([self.codes, np.full(len(learned), NO_CODE, np.int64)])
        return type(self)(plain.blob, plain.offsets, plain.counts, codes, plain.ranks)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tables as the arrays an artifact stores."""
        return {**super().tensors(), "codes": self.codes}


def checked_codes(tensors: Mapping[str, npt.NDArray[Any]], vocab_size: int, file: str) -> npt.NDArray[np.int64]:
    """Return the codes of so many ids. Raises: ArtifactCorruptError for others, naming `file`."""
    check_tables(tensors, {"codes": "i8"}, file)
    codes: npt.NDArray[np.int64] = tensors["codes"].copy()
    if len(codes) != vocab_size:
        raise corrupt(f"holds {vocab_size} ids and {len(codes)} codes", file)
    if int(codes.min(initial=NO_CODE)) < NO_CODE:
        raise corrupt("holds a negative code", file)
    used = codes[codes >= 0]
    used.sort()  # a copy; np.unique would import parts of numpy that nothing else here needs
    if (used[1:] == used[:-1]).any():
        raise corrupt("gives one code to two ids", file)
    return codes
