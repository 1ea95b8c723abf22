"""QuantizerContract: latents to codes and back, the same code for a latent in any batch, mode and precision."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tokframe.plugins.protocols import DigitQuantizer, HasInputSide, Quantized, SeparatesCodes
from tokframe.testing.component import ComponentContract, torch_

__all__ = ["QuantizerContract"]

#: Codes that are decoded one by one.
MAX_CODES = 4096


class QuantizerContract(ComponentContract):
    """(batch, d_latent) -> Quantized, and (batch,) int64 -> (batch, d_latent)."""

    kind: ClassVar[str] = "quantizer"

    def test_it_returns_what_a_quantizer_must(self) -> None:
        """Latents of the same shape, int64 codes of the codebook, a scalar loss, a margin or None."""
        torch = torch_()
        found, size = self.output(), self.make().codebook_size
        assert isinstance(found, Quantized), f"it returns a {type(found).__name__}, not a Quantized"
        assert tuple(found.latents.shape) == (self.rows, self.d_latent) and found.latents.isfinite().all()
        assert found.indices.dtype == torch.int64 and tuple(found.indices.shape) == (self.rows,)
        assert isinstance(size, int) and 2 <= size < 2**63, f"codebook_size is {size!r}"
        assert int(found.indices.min()) >= 0 and int(found.indices.max()) < size, "a code outside the codebook"
        assert found.loss.ndim == 0 and torch.isfinite(found.loss), "the loss is not a finite scalar"
        if found.margin is not None:
            assert tuple(found.margin.shape) == (self.rows,) and bool((found.margin >= 0).all())

    def test_a_code_decodes_to_what_was_quantized(self) -> None:
        """`decode_indices(codes)` returns the latents that the decoder was trained on."""
        found = self.output()
        with torch_().no_grad():
            back = self.make().eval().decode_indices(found.indices)
        self._alike(found.latents.numpy(), back.numpy(), "decode_indices returns other latents than the forward pass")

    def test_every_code_decodes_to_a_latent_of_its_own(self) -> None:
        """No two codes share a latent: a decoder could not distinguish them."""
        torch = torch_()
        module = self.make().eval()
        size = module.codebook_size
        codes = np.unique(np.linspace(0, size - 1, min(size, MAX_CODES)).astype(np.int64))
        codes = np.unique(np.concatenate([codes, np.arange(min(size, 256)), np.arange(max(0, size - 256), size)]))
        with torch.no_grad():
            latents = module.decode_indices(torch.from_numpy(codes))
        assert tuple(latents.shape) == (len(codes), self.d_latent) and torch.isfinite(latents).all()
        # A code's nearest neighbors in these coordinates are apart by far more than rounding is.
        rounded = np.round(latents.numpy().astype(np.float64), 6)
        _, first = np.unique(rounded, axis=0, return_index=True)
        shared = sorted(set(range(len(codes))) - set(first.tolist()))
        assert not shared, f"code {codes[shared[0]]} shares its latent with another"

    def test_latents_spread_over_codes(self) -> None:
        """Different latents do not all get one code."""
        codes = self.output().indices
        assert len(codes.unique()) > 1, f"{self.rows} random latents all get code {int(codes[0])}"

    def test_the_same_codes_in_training(self) -> None:
        """A latent has the same code in training mode as in evaluation mode."""
        torch = torch_()
        with torch.no_grad():
            found = self.make().train()(*self.inputs()).indices
        assert torch.equal(found, self.output().indices), "codes differ in training mode"

    def test_the_same_codes_in_mixed_precision(self) -> None:
        """Under autocast the codes stay what they are: bfloat16 would move latents over borders."""
        torch = torch_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.output().indices
        assert found.dtype == torch.int64 and torch.equal(found, self.output().indices), "codes differ under autocast"

    def test_it_works_in_half_models(self) -> None:
        """Cast to a half type it takes and returns that type, and the codes are those of the same weights in fp32."""
        torch = torch_()
        for dtype in (torch.bfloat16, torch.float16):
            module, latents = self.make().eval().to(dtype), self.inputs()[0].to(dtype)
            with torch.no_grad():
                found = module(latents)
                back = module.decode_indices(found.indices)
                wanted = module.float()(latents.float()).indices
            assert (found.latents.dtype, back.dtype) == (dtype, dtype), f"latents are not {dtype}, as the weights are"
            assert torch.equal(found.indices, wanted), f"codes in {dtype} are not those in fp32"

    def test_a_latent_that_is_no_number_has_a_code_too(self) -> None:
        """What diverged, NaN or infinite, gets a code of the codebook, and the others of the batch keep theirs."""
        torch = torch_()
        module, latents = self.make().eval(), self.inputs()[0]
        for row, value in enumerate((float("nan"), float("inf"), float("-inf"))):
            latents[row] = value
        latents[3, 0] = float("nan")
        with torch.no_grad():
            codes = module(latents).indices
        assert int(codes.min()) >= 0 and int(codes.max()) < module.codebook_size, "a code outside the codebook"
        assert torch.equal(codes[4:], self.output().indices[4:]), "it changes the codes of other latents"

    # -- what it offers beyond the minimum (see `tokframe.plugins.protocols`) -----------------------------------

    def test_the_input_side_is_all_before_the_codes(self) -> None:
        """`input_parameters` are parameters of the module, and decoding codes depends on none of them."""
        module = self.make()
        own = {id(parameter) for parameter in module.parameters()}
        if not isinstance(module, HasInputSide):
            return
        inputs = list(module.input_parameters())
        assert inputs and all(id(parameter) in own for parameter in inputs), "not parameters of the quantizer"
        codes = torch_().arange(min(module.codebook_size, 8))
        latents: Any = module.decode_indices(codes)
        if latents.requires_grad:
            latents.square().sum().backward()
        assert all(parameter.grad is None for parameter in inputs), "decode_indices depends on an input parameter"

    def test_digits_are_the_bins_that_latents_fall_in(self) -> None:
        """`digits` and `indices_of` are inverse, in the range of `shape`, and `bins` fall in the digits of the code."""
        torch = torch_()
        module = self.make().eval()
        if not isinstance(module, DigitQuantizer):
            return
        shape = torch.tensor(module.shape)
        assert int(shape.prod()) == module.codebook_size, f"{module.shape} is not {module.codebook_size} codes"
        codes = torch.from_numpy(np.linspace(0, module.codebook_size - 1, self.rows).astype(np.int64))
        digits = module.digits(codes)
        assert digits.dtype == torch.int64 and tuple(digits.shape) == (self.rows, len(shape))
        assert bool(((digits >= 0) & (digits < shape)).all()), "a digit is outside of its range"
        assert torch.equal(module.indices_of(digits), codes), "indices_of is not the inverse of digits"
        with torch.no_grad():
            bins = module.bins(*self.inputs())
            found = module.digits(module(*self.inputs()).indices)
        assert bins.dtype == torch.float32 and tuple(bins.shape) == tuple(found.shape)
        inside = torch.minimum(bins.floor().long().clamp(min=0), shape - 1)
        assert torch.equal(inside, found), "a latent is not in the bins of its code's digits"

    def test_targets_hold_the_pre_activations_of_their_digits(self) -> None:
        """Between lowest and highest lie the pre-activations that are far enough inside their bins, and no others."""
        torch = torch_()
        module = self.make().eval()
        if not isinstance(module, DigitQuantizer):
            return
        margin = 0.2
        with torch.no_grad():
            values, bins = module.preactivations(*self.inputs()), module.bins(*self.inputs())
            digits = module.digits(module(*self.inputs()).indices)
            low, high, width = module.targets(digits, margin)
        assert values.dtype == torch.float32, f"pre-activations are {values.dtype}"
        for part in (values, low, high, width):
            assert tuple(part.shape) == tuple(digits.shape) and torch.isfinite(part).all()
        assert bool((low < high).all()) and bool((width > 0).all()), "an interval or a bin is empty"
        # Only the border with another bin is measured: outermost bins are open to the other side.
        last = torch.tensor(module.shape) - 1
        below = torch.where(digits > 0, bins - digits, torch.ones(()))
        above = torch.where(digits < last, digits + 1 - bins, torch.ones(()))
        depth, held = torch.minimum(below, above), (values >= low) & (values <= high)
        clear, inner = (depth - margin).abs() > 1e-3, (digits > 0) & (digits < last)
        assert bool((depth > margin)[held & clear].all()), f"targets are less than {margin} bins inside"
        assert bool(held[inner & clear & (depth > margin)].all()), f"targets are more than {margin} bins inside"

    def test_separate_counts_the_latents_that_still_share(self) -> None:
        """`separate` returns how many latents share their code with another, and leaves fewer of them than it found."""
        torch = torch_()
        module = self.make().eval()
        if not isinstance(module, SeparatesCodes):
            return
        latents = self.inputs()[0]

        def sharing() -> int:
            return self.rows - len(np.unique(module(latents).indices.numpy()))

        with torch.no_grad():
            latents[1::2] = latents[::2] + 1e-3 * latents[1::2]  # pairs close enough to share
            before, left, after = sharing(), module.separate(latents), sharing()
        assert left == after, f"it returned {left}, and {after} latents share their code"
        assert after < before or not before, f"{after} latents share their code, as many as before"
