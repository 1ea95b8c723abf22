"""Finite scalar quantization: against the reference formula, an outside oracle, and its own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tokframe_autoencoder.network.config import FSQConfig
from tokframe_autoencoder.network.fsq import FSQ, bins_of, digits_of, preactivation_of

from tokframe.storage.settings import problems_in

LEVELS = (8, 8, 8, 8, 8, 5, 5, 5)


def make(levels: tuple[int, ...] = LEVELS, d_latent: int = 16, **more: object) -> FSQ:
    torch.manual_seed(0)
    config = FSQConfig(levels=levels, vocab_size=2, **more)  # type: ignore[arg-type]
    return FSQ(config, d_latent=d_latent, max_length=16)


@pytest.mark.parametrize("bound", ["sigmoid", "tanh"])
@pytest.mark.parametrize("level", range(2, 10))
def test_a_sweep_reaches_every_digit_in_order_and_no_other(level: int, bound: str) -> None:
    x = torch.linspace(-20, 20, 200_001)[:, None]
    digits = digits_of(bins_of(x, (level,), bound), torch.tensor([level]))[:, 0]
    assert torch.equal(digits.unique(), torch.arange(level))
    assert bool((digits.diff() >= 0).all())


@pytest.mark.parametrize("bound", ["sigmoid", "tanh"])
def test_every_code_is_reached_from_some_latent(bound: str) -> None:
    fsq = make(d_latent=8, bound=bound)
    with torch.no_grad():
        fsq.project_in.weight.copy_(torch.eye(8))
        fsq.project_in.bias.zero_()
    # Dimensions are independent, so all codes are reached when all digits are; random codes check the sum as well.
    codes = torch.cat([torch.randint(fsq.codebook_size, (20_000,)), torch.tensor([0, fsq.codebook_size - 1])])
    latents = preactivation_of(fsq.digits(codes) + 0.5, LEVELS, bound)
    found = fsq(latents)
    assert torch.equal(found.indices, codes)
    assert float(found.margin.min()) > 0.4


def test_tanh_bound_agrees_with_vector_quantize_pytorch() -> None:
    oracle_module = pytest.importorskip("vector_quantize_pytorch")
    oracle = oracle_module.FSQ(levels=list(LEVELS), dim=8, return_indices=False)
    x = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(1)) * 2
    theirs = oracle.codes_to_indices(oracle.quantize(x)).long()
    digits = digits_of(bins_of(x, LEVELS, "tanh"), torch.tensor(LEVELS))
    ours = (digits * make().basis).sum(1)
    assert torch.equal(ours, theirs)


def test_tanh_bound_is_the_reference_formula() -> None:
    x = torch.linspace(-6, 6, 4001)
    for level in (5, 8):
        half, offset = (level - 1) * 1.001 / 2, 0.0 if level % 2 else 0.5
        bounded = np.tanh(x.numpy() + math.atanh(offset / half)) * half - offset
        expected = np.round(bounded) + level // 2
        digits = digits_of(bins_of(x[:, None], (level,), "tanh"), torch.tensor([level]))[:, 0].numpy()
        assert np.array_equal(digits, expected)


def test_sigmoid_bins_are_filled_evenly_by_unit_normal_inputs() -> None:
    x = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(2))
    digits = digits_of(bins_of(x, (8,), "sigmoid"), torch.tensor([8]))[:, 0]
    share = torch.bincount(digits, minlength=8) / len(x)
    assert float(-(share * share.log2()).sum()) > 2.99


def test_temperature_divides_the_preactivation() -> None:
    cold, warm = make(temperature=1.0), make(temperature=4.0)
    latents = torch.randn(8, 16)
    assert torch.allclose(cold.preactivations(latents) / 4, warm.preactivations(latents))


def test_config_names_every_problem() -> None:
    config = FSQConfig(levels=(8, 1), vocab_size=32768, temperature=0.0, bound="tan")
    assert {path for path, _ in problems_in(config)} == {"$.levels", "$.vocab_size", "$.temperature", "$.bound"}
    assert not list(problems_in(FSQConfig()))


@pytest.mark.parametrize("levels", [(65536, 2), (1_000_000, 1_000_000), (2, 257)])
def test_levels_that_cannot_be_told_apart_are_refused(levels: tuple[int, ...]) -> None:
    assert [path for path, text in problems_in(FSQConfig(levels=levels, vocab_size=2)) if "256" in text] == ["$.levels"]


def test_the_most_levels_have_targets() -> None:
    quantizer = make((256, 256), pair_embeddings=False)
    digits = torch.arange(256)[:, None].expand(-1, 2)
    low, high, width = quantizer.targets(digits, 0.3)
    assert bool((low < high).all()) and bool((width > 0).all())
