"""The byte n-gram model: probabilities, context, counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tokframe_lm.evaluation.ngrams import ByteNgrams

TEXT = b"The cat sat on the mat, and the dog saw the cat. It was a dark night; the wind went over the hill.\n" * 3


@pytest.fixture(scope="module")
def scorer():
    return ByteNgrams([(TEXT, 1)], order=8)


@pytest.mark.parametrize("before", [b"", b"the c", b"\x00\xff\x00", b"zzzzzzzzzzzz"])
def test_after_any_text_the_probabilities_of_all_bytes_add_up_to_one(scorer, before):
    each = [float(scorer.bits(bytes([byte]), before)[0]) for byte in range(256)]
    assert np.isfinite(each).all()
    assert sum(2.0**-bits for bits in each) == pytest.approx(1)


@pytest.mark.parametrize("before", [b"", b"c", b"ca", b"cat", b"zzzzzzz", b"\xff"])
def test_with_ends_the_end_is_a_symbol_too(before):
    model = ByteNgrams({b"cat": 3, b"car": 1, b"dog": 2}.items(), order=4, ends=True)
    each = [float(model.bits(bytes([byte]), before)[0]) for byte in range(256)]
    each.append(float(model.bits(b"", before)[0]))
    assert sum(2.0**-bits for bits in each) == pytest.approx(1)
    assert model.bits(b"cat").sum() < min(model.bits(b"cow").sum(), model.bits(b"\xff\xfe").sum())
    assert len(model.bits(b"cat")) == 4


def test_text_like_the_training_text_costs_least(scorer):
    like = scorer.bits_per_byte(b"the dog sat on the hill.")
    assert scorer.bits_per_byte(TEXT[:100]) < like < 4 < scorer.bits_per_byte(bytes(range(128, 200)))


def test_the_text_before_is_context_and_is_not_charged(scorer):
    text = b"The cat sat on"
    np.testing.assert_allclose(scorer.bits(text[8:], text[:8]), scorer.bits(text)[8:])
    assert len(scorer.bits(b"", b"The")) == 0
    assert scorer.bits_per_byte(b"") == 0


def test_a_count_is_as_many_copies_of_a_text():
    counted, copied = (ByteNgrams(texts, order=4, ends=True) for texts in ([(b"ab", 3)], [(b"ab", 1)] * 3))
    np.testing.assert_array_equal(counted.bits(b"abc"), copied.bits(b"abc"))


def test_more_than_one_text_and_none():
    assert ByteNgrams([(b"abc", 1), (b"", 1), (b"abd", 1)], order=8).bits_per_byte(b"ab") < 8
    assert ByteNgrams([], order=8).bits_per_byte(b"ab") == pytest.approx(8)
    assert ByteNgrams([], order=4, ends=True).bits(b"ab").sum() == pytest.approx(3 * math.log2(257))
