"""The table of use vectors: what an artifact stores is what was given, rows follow ids, hostile tables are refused."""

from __future__ import annotations

import numpy as np
import pytest
from tokframe_autoencoder.vectors.table import NO_CLASS, VectorTable

from tokframe.errors import ArtifactCorruptError

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(50, 12)) * RNG.uniform(0.01, 100, (50, 1))
CLASSES = RNG.integers(0, 5, 50)


@pytest.fixture
def table() -> VectorTable:
    return VectorTable.of(np.concatenate([np.zeros((2, 12)), VECTORS]), np.concatenate([[3, 3], CLASSES]))


def test_directions_and_classes_come_back_and_a_row_of_zeros_has_no_class(table: VectorTable) -> None:
    again = VectorTable.from_tensors(table.tensors(), 52)
    cosines = (again.unit[2:] * VECTORS).sum(1) / np.linalg.norm(VECTORS, axis=1)
    assert again.unit.dtype == np.float32 and cosines.min() > 0.999
    assert np.allclose(np.linalg.norm(again.unit[2:], axis=1), 1, atol=1e-6) and not again.unit[:2].any()
    assert again.classes.tolist() == [NO_CLASS, NO_CLASS, *CLASSES.tolist()]


def test_rows_follow_ids_and_new_ones_have_none(table: VectorTable) -> None:
    other = table.taken(np.array([7, -1, 2]))
    assert np.array_equal(other.rows, np.stack([table.rows[7], np.zeros(12, np.int8), table.rows[2]]))
    assert other.classes.tolist() == [table.classes[7], NO_CLASS, table.classes[2]]
    assert VectorTable.from_tensors(other.tensors(), 3).rows.tolist() == other.rows.tolist()


def test_a_vector_given_later_has_the_class_whose_center_it_is_nearest_to() -> None:
    axes = np.repeat(np.eye(4), 6, axis=0) + RNG.normal(0, 0.05, (24, 4))
    table = VectorTable.of(np.concatenate([axes, np.zeros((1, 4))]), np.repeat([0, 2, 5, 7, 0], [6, 6, 6, 6, 1]))
    later = table.with_vectors(np.array([24, 0]), np.array([[0.1, 0, 3, 0.0], [0, 0, 0, 0.0]]))
    assert later.classes[24] == 5 and later.unit[24].argmax() == 2
    assert later.classes[0] == NO_CLASS and not later.unit[0].any()
    assert np.array_equal(later.rows[1:24], table.rows[1:24])


HOSTILE = {
    "no rows": lambda t: t.pop("rows"),
    "no classes": lambda t: t.pop("classes"),
    "floats": lambda t: t.update(rows=t["rows"].astype(np.float32)),
    "flat": lambda t: t.update(rows=t["rows"].ravel()),
    "no columns": lambda t: t.update(rows=t["rows"][:, :0]),
    "wide": lambda t: t.update(rows=np.zeros((52, 5000), np.int8)),
    "a row less": lambda t: t.update(rows=t["rows"][1:]),
    "a class less": lambda t: t.update(classes=t["classes"][1:]),
    "wide classes": lambda t: t.update(classes=t["classes"].astype(np.int64)),
    "class -2": lambda t: t.update(classes=np.full(52, -2, np.int16)),
    "class 52": lambda t: t.update(classes=np.full(52, 52, np.int16)),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_tables_that_do_not_fit_are_refused_with_the_file(table: VectorTable, change) -> None:
    tensors = dict(table.tensors())
    change(tensors)
    with pytest.raises(ArtifactCorruptError, match=r"^vectors\.safetensors (has no tensor|holds)") as caught:
        VectorTable.from_tensors(tensors, 52)
    assert caught.value.file == "vectors.safetensors"
