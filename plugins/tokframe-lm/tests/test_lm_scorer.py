from __future__ import annotations

import numpy as np
import pytest
from tokframe_lm.comparison.scorer import Scorer

TEXT = b"The cat sat on the mat, and the dog saw the cat. It was a dark night; the wind went over the hill.\n" * 3


@pytest.mark.parametrize("before", [b"", b"the c", b"\x00\xff\x00", b"zzzzzzzzzzzz"])
def test_after_any_text_the_probabilities_of_all_bytes_add_up_to_one(before):
    scorer = Scorer([TEXT])
    each = [float(scorer.bits(bytes([byte]), before)[0]) for byte in range(256)]
    assert np.isfinite(each).all()
    assert sum(2.0**-bits for bits in each) == pytest.approx(1)


def test_text_like_the_training_text_costs_least():
    scorer = Scorer([TEXT])
    like = scorer.bits_per_byte(b"the dog sat on the hill.")
    assert scorer.bits_per_byte(TEXT[:100]) < like < 4 < scorer.bits_per_byte(bytes(range(128, 200)))


def test_what_stands_before_counts_and_is_not_charged():
    scorer = Scorer([TEXT])
    text = b"The cat sat on"
    np.testing.assert_allclose(scorer.bits(text[8:], text[:8]), scorer.bits(text)[8:])
    assert len(scorer.bits(b"", b"The")) == 0
    assert scorer.bits_per_byte(b"") == 0


def test_more_than_one_text_and_none():
    assert Scorer([b"abc", b"", b"abd"]).bits_per_byte(b"ab") < 8
    with pytest.raises(ValueError, match="no text"):
        Scorer([b""])
