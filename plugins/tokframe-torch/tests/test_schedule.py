"""Learning rates: the values at the ends, and what lies between."""

from __future__ import annotations

import pytest
from tokframe_torch.schedule import cosine_decay, warmup, warmup_cosine


def test_warmup_rises_in_a_line_to_one():
    assert [warmup(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup(0, 0) == 1.0


def test_the_decay_is_half_a_cosine_to_the_final_share():
    assert cosine_decay(0, 100, 0.1) == 1.0
    assert cosine_decay(50, 100, 0.1) == pytest.approx(0.55)
    assert cosine_decay(100, 100, 0.1) == cosine_decay(500, 100, 0.1) == pytest.approx(0.1)
    assert cosine_decay(0, 0, 0.1) == 1.0


def test_warmup_and_decay_share_the_steps():
    rates = [warmup_cosine(step, 100, 0.1) for step in range(100)]
    assert rates[0] == 0.1 and rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(0.55) and 0.1 < rates[99] < 0.11
    assert warmup_cosine(0, 1, 0.0) == 1.0 and warmup_cosine(9, 10, 1.0) == 1.0
