"""The chunked cross-entropy against that of torch."""

from __future__ import annotations

import pytest
import torch
from tokframe_lm.model import loss as crossentropy
from tokframe_lm.model.loss import mean_cross_entropy
from torch.nn import functional


@pytest.fixture
def parts():
    """Return vectors (50, 8), a table of 300 ids, biases and targets."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(50, 8), (300, 8), (300,)]
    tensors = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    return *tensors, torch.randint(0, 300, (50,), generator=generator)


@pytest.mark.parametrize("cached", [1, 300 * 20, 2**22])
def test_loss_and_gradients_are_those_of_torch_however_the_rows_are_cut(parts, monkeypatch, cached):
    monkeypatch.setattr(crossentropy, "_CPU_LOGITS", cached)
    vectors, table, bias, targets = parts
    expected = functional.cross_entropy(functional.linear(vectors, table, bias), targets)
    wanted = torch.autograd.grad(expected, parts[:3])
    loss = mean_cross_entropy(vectors, table, bias, targets)
    torch.testing.assert_close(loss, expected)
    for found, right in zip(torch.autograd.grad(3 * loss, parts[:3]), wanted, strict=True):
        torch.testing.assert_close(found, 3 * right)


def test_bfloat16_is_near_and_gives_float32_gradients(parts):
    vectors, table, bias, targets = parts
    expected = mean_cross_entropy(vectors, table, bias, targets)
    loss = mean_cross_entropy(vectors, table, bias, targets, precision=torch.bfloat16)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=0.02)
    assert {gradient.dtype for gradient in torch.autograd.grad(loss, parts[:3])} == {torch.float32}


def test_sure_scores_do_not_overflow(parts):
    vectors, table, bias, targets = parts
    loss = mean_cross_entropy(vectors * 1000, table, bias, targets)
    assert torch.isfinite(loss) and all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, parts[:3]))
