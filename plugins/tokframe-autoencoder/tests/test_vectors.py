"""Use vectors and clusters: known answers on small texts, the same by any workers, alike means near."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tokframe_autoencoder.training.plan import by_use, use_dimensions
from tokframe_autoencoder.vectors.clusters import cluster_digits
from tokframe_autoencoder.vectors.neighbors import NeighborCounts, count_neighbors, text_blocks
from tokframe_autoencoder.vectors.use import use_vectors
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.segmenter import Segmenter
from tokframe_dictionary.vocabulary.table import SINGLE_BYTES

pytest.importorskip("torch")
pytestmark = pytest.mark.trains

ANIMALS = (b" cat", b" dog", b" owl", b" fox", b" hen")
DAYS = (b" Mon", b" Tue", b" Wed", b" Thu", b" Fri")
SEGMENTS = (*SINGLE_BYTES, *ANIMALS, *DAYS, b"The", b" sleeps", b" eats", b"on", b" at", b" noon", b" dusk")
LINES = [b"The%b%b\n" % pair for pair in itertools.product(ANIMALS, (b" sleeps", b" eats"))]
LINES += [b"on%b at%b\n" % pair for pair in itertools.product(DAYS, (b" noon", b" dusk"))]
TEXT = b"".join(np.random.default_rng(0).permutation(np.array(LINES * 40, object)).tolist())


def numbers(segments: tuple[bytes, ...]) -> list[int]:
    return [SEGMENTS.index(segment) for segment in segments]


def uses_of(text: bytes) -> np.ndarray:
    return Segmenter(SEGMENTS, np.arange(len(SEGMENTS), dtype=np.int32)).usage(text)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    uses = uses_of(TEXT)
    return use_vectors(count_neighbors([TEXT], SEGMENTS, uses, Workers(count=1)), SEGMENTS, uses, 8)


def test_counts_are_those_of_a_short_text_counted_by_hand() -> None:
    counts = NeighborCounts(5, np.array([1, 4]))
    counts.add(np.array([4, 1, 2, 1]))
    # columns: contexts 1 and 4 two before, the same one before, one after, two after
    assert list(zip(*map(np.ndarray.tolist, counts.entries()), strict=True)) == [
        (1, 0, 1),
        (1, 3, 1),
        (1, 6, 1),
        (2, 1, 1),
        (2, 2, 1),
        (2, 4, 1),
        (4, 4, 1),
    ]


def test_the_contexts_are_the_most_used_segments_and_none_that_is_not_used() -> None:
    assert NeighborCounts.of(np.array([0, 3, 7, 3, 1]), 3).contexts.tolist() == [2, 1, 3]
    assert NeighborCounts.of(np.array([0, 3, 0]), 3).contexts.tolist() == [1]
    nothing = NeighborCounts.of(np.zeros(3, np.int64))
    assert [part.tolist() for part in nothing.entries()] == [[], [], []]


@pytest.mark.parametrize("cuts", [1, 2, 7])
def test_the_parts_of_a_text_merged_in_any_order_are_the_whole(cuts: int) -> None:
    generator = np.random.default_rng(cuts)
    parts = [generator.integers(0, 50, size) for size in generator.integers(0, 3000, cuts)]
    uses = np.bincount(np.concatenate(parts), minlength=50)
    whole, merged = NeighborCounts.of(uses, 20), NeighborCounts.of(uses, 20)
    for part in parts:
        whole.add(part)
    for part in reversed(parts):
        one = NeighborCounts.of(uses, 20)
        one.add(part)
        merged.merge(one)
    assert all(map(np.array_equal, whole.entries(), merged.entries()))
    with pytest.raises(ValueError, match="beside other segments"):
        whole.merge(NeighborCounts.of(uses, 10))


def test_the_counts_do_not_depend_on_workers(monkeypatch) -> None:
    monkeypatch.setattr("tokframe_autoencoder.vectors.neighbors.BLOCK_BYTES", 500)
    uses = uses_of(TEXT)
    one, three = (count_neighbors([TEXT, TEXT[:777]], SEGMENTS, uses, Workers(count=n)).entries() for n in (1, 3))
    assert all(map(np.array_equal, one, three))


def test_blocks_are_whole_lines_and_of_a_long_text_evenly_spread() -> None:
    texts = [b"".join(b"%d\n" % n for n in range(1000)), b"no newline", b""]
    assert b"".join(text_blocks(texts, size=100)) == b"".join(texts)
    chosen = [bytes(block) for block in text_blocks(texts, budget=1000, size=100)]
    assert 800 <= sum(map(len, chosen)) <= 1200 and all(block.endswith(b"\n") for block in chosen[:-1])
    starts = [int(block.split()[0]) for block in chosen[:-1]]
    assert starts == sorted(starts) and max(np.diff(starts)) < 200 and starts[0] < 200


def test_words_of_a_kind_are_nearest_to_each_other(vectors: np.ndarray) -> None:
    for kind in (ANIMALS, DAYS, (b" noon", b" dusk"), (b" sleeps", b" eats")):
        members = numbers(kind)
        for member in members:
            nearness = vectors @ vectors[member]
            nearness[member] = -1
            assert set(np.argsort(-nearness)[: len(members) - 1].tolist()) == set(members) - {member}, SEGMENTS[member]


def test_vectors_have_length_one_where_anything_is_known_and_are_the_same_again(vectors: np.ndarray) -> None:
    uses = uses_of(TEXT)
    again = use_vectors(count_neighbors([TEXT], SEGMENTS, uses, Workers(count=1)), SEGMENTS, uses, 8)
    assert vectors.dtype == np.float32 and np.array_equal(vectors, again)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths[uses > 0], 1, atol=1e-6) and np.all((lengths < 1e-6) | (abs(lengths - 1) < 1e-6))
    nothing = use_vectors(NeighborCounts.of(np.zeros(9, np.int64)), SEGMENTS[:9], np.zeros(9, np.int64), 4)
    assert nothing.shape == (9, 4) and not nothing.any()


def test_a_segment_never_seen_is_near_those_spelled_alike() -> None:
    segments = (*SEGMENTS, b"\tCAT", b"(owl")
    uses = np.append(uses_of(TEXT), [0, 0])
    vectors = use_vectors(count_neighbors([TEXT], segments, uses, Workers(count=1)), segments, uses, 8)
    assert vectors[segments.index(b"\tCAT")] @ vectors[segments.index(b" cat")] > 0.9
    assert vectors[segments.index(b"(owl")] @ vectors[segments.index(b" Mon")] < 0.5


def test_clusters_are_the_groups_there_are_and_never_too_large() -> None:
    generator = np.random.default_rng(3)
    centers = np.eye(8)[:4] * 5
    vectors = (centers[:, None] + generator.normal(0, 0.1, (4, 50, 8))).reshape(-1, 8)
    order = generator.permutation(200)
    digits = cluster_digits(vectors[order], np.ones(200), (4,), 1000)[:, 0]
    assert all(len(set(digits[order // 50 == group])) == 1 for group in range(4)) and len(set(digits)) == 4
    crowded = cluster_digits(np.ones((100, 3)), np.ones(100), (2, 5), 11)
    sizes = np.bincount(crowded @ [5, 1], minlength=10)
    assert sizes.sum() == 100 and sizes.max() <= 11


@pytest.mark.parametrize("levels", [(8, 8, 8, 8, 8, 5, 5, 5), (8, 8, 6, 5), (4, 5, 100), (700,), (2, 351)])
def test_planned_by_use_every_segment_has_a_code_of_its_own(levels: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    segments = [b"%x" % value for value in generator.choice(1 << 30, 700, replace=False)]
    digits = by_use(segments, generator.normal(size=(700, 8)), np.arange(1.0, 701), levels)
    assert (digits >= 0).all() and (digits < levels).all()
    assert len(np.unique(digits @ np.cumprod((1, *levels[:-1])))) == 700


def test_the_first_digits_say_the_use_and_more_of_them_in_larger_vocabularies(vectors: np.ndarray) -> None:
    levels = (8, 8, 8, 8, 8, 5, 5, 5)
    assert [use_dimensions(n, levels) for n in (100, 300, 2300, 32768)] == [0, 1, 2, 3]
    digits = by_use(SEGMENTS, vectors, np.maximum(uses_of(TEXT), 1).astype(float), (8, 8, 8, 8))
    kinds = [{int(digits[number, 0]) for number in numbers(kind)} for kind in (ANIMALS, DAYS)]
    assert len(kinds[0]) == len(kinds[1]) == 1 and kinds[0] != kinds[1]
