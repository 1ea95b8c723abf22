"""VectorTable: the use vector and the class of every id, as an artifact stores them. Knows no text and no network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokframe_dictionary.vocabulary.table import check_tables, corrupt

__all__ = ["GROUP", "NO_CLASS", "VectorTable"]

Floats = npt.NDArray[np.float32]

#: The group of tensors, and so the file, that holds the table in an artifact.
GROUP = "vectors"
#: Marks an id of whose use nothing is known: a special token, or a byte that no text had.
NO_CLASS = -1
MAX_DIMENSIONS = 4096
_LARGEST = 127  # of an int8


class VectorTable:
    """`rows` (vocab_size, d) int8, their directions being the vectors; `classes` (vocab_size,) int16; immutable.

    An id of whose use nothing is known has a row of zeros and NO_CLASS.
    """

    def __init__(self, rows: npt.NDArray[np.int8], classes: npt.NDArray[np.int16]) -> None:
        self.rows, self.classes = rows, classes
        rows.setflags(write=False)
        classes.setflags(write=False)

    @classmethod
    def of(cls, vectors: npt.NDArray[np.floating], classes: npt.NDArray[np.integer]) -> Self:
        """Make a table of vectors of any length, (vocab_size, d), and their classes (vocab_size,)."""
        largest = np.abs(vectors).max(1, initial=0, keepdims=True)
        rows = np.rint(vectors / np.where(largest > 0, largest, 1) * _LARGEST).astype(np.int8)
        return cls(rows, np.where(rows.any(1), classes, NO_CLASS).astype(np.int16))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], vocab_size: int) -> Self:
        """Read what `tensors` returned. Raises: ArtifactCorruptError for tables that do not fit `vocab_size` ids."""
        file = f"{GROUP}.safetensors"
        check_tables(tensors, {"classes": "i2"}, file)
        rows, classes = tensors.get("rows"), tensors["classes"]
        if rows is None or rows.ndim != 2 or rows.dtype != np.int8 or not 1 <= rows.shape[1] <= MAX_DIMENSIONS:
            found = "none" if rows is None else f"{rows.dtype} of shape {rows.shape}"
            raise corrupt(f"holds rows that are {found}, not int8 of 1 to {MAX_DIMENSIONS} columns", file)
        if len(rows) != vocab_size or len(classes) != vocab_size:
            raise corrupt(f"holds {len(rows)} rows and {len(classes)} classes for {vocab_size} ids", file)
        if ((classes < NO_CLASS) | (classes >= vocab_size)).any():
            raise corrupt(f"holds a class that is not {NO_CLASS} or a number below {vocab_size}", file)
        return cls(rows.copy(), classes.copy())

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the table as the arrays an artifact stores."""
        return {"rows": self.rows, "classes": self.classes}

    @cached_property
    def unit(self) -> Floats:
        """The vectors, of length one or zeros: (vocab_size, d) float32."""
        vectors = unit_rows(self.rows.astype(np.float32))
        vectors.setflags(write=False)
        return vectors

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which ids have a vector that is not zeros: (vocab_size,)."""
        return np.asarray(self.rows.any(1), np.bool_)

    def taken(self, ids: npt.NDArray[np.integer]) -> Self:
        """Return the table of other ids: `ids` (new ids,) says which id of this table each was, -1 a new one's."""
        known = ids >= 0
        rows = np.where(known[:, None], self.rows[ids], 0).astype(np.int8)
        return type(self)(rows, np.where(known, self.classes[ids], NO_CLASS).astype(np.int16))

    def with_vectors(self, ids: npt.NDArray[np.integer], vectors: npt.NDArray[np.floating]) -> Self:
        """Return the table in which `ids` (n,) have other vectors (n, d), and the classes these are nearest to."""
        made = self.of(vectors, self.nearest_classes(vectors))
        rows, classes = self.rows.copy(), self.classes.copy()
        rows[ids], classes[ids] = made.rows, made.classes
        return type(self)(rows, classes)

    def nearest_classes(self, vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return the class whose center is nearest in direction: (n, d) -> (n,), NO_CLASS where there are none."""
        known = np.flatnonzero(self.known & (self.classes >= 0))
        if not len(known):
            return np.full(len(vectors), NO_CLASS, np.int64)
        centers = np.zeros((int(self.classes.max()) + 1, self.rows.shape[1]), np.float32)
        np.add.at(centers, self.classes[known], self.unit[known])
        nearness = vectors @ unit_rows(centers).T
        nearness[:, ~centers.any(1)] = -np.inf  # a class that is in no use
        classes: npt.NDArray[np.int64] = nearness.argmax(1)
        return classes


def unit_rows(vectors: Floats) -> Floats:
    """Return rows of length one; zeros stay zeros: (n, d) -> (n, d)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return unit
