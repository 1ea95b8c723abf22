"""QuantizerContract: latents to codes and back, the same code for a latent wherever it is met."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tokframe.testing.component import ComponentContract, torch_
from tokframe.tokenizer.results import Quantized

__all__ = ["QuantizerContract"]

_MOST = 4096  # codes looked at one by one


class QuantizerContract(ComponentContract):
    """(batch, d_latent) -> Quantized, and (batch,) int64 -> (batch, d_latent)."""

    kind: ClassVar[str] = "quantizer"

    def test_it_returns_what_a_quantizer_must(self) -> None:
        """Latents of the same shape, int64 codes of the codebook, a scalar loss, a margin or None."""
        torch = torch_()
        module = self.make().eval()
        found = module(*self.inputs())
        assert isinstance(found, Quantized), f"it returns a {type(found).__name__}, not a Quantized"
        assert tuple(found.latents.shape) == (self.rows, self.d_latent) and torch.isfinite(found.latents).all()
        assert found.indices.dtype == torch.int64 and tuple(found.indices.shape) == (self.rows,)
        size = module.codebook_size
        assert isinstance(size, int) and 2 <= size < 2**63, f"codebook_size is {size!r}"
        assert int(found.indices.min()) >= 0 and int(found.indices.max()) < size, "a code outside the codebook"
        assert found.loss.ndim == 0 and torch.isfinite(found.loss), "the loss is no finite scalar"
        if found.margin is not None:
            assert tuple(found.margin.shape) == (self.rows,) and bool((found.margin >= 0).all())

    def test_a_code_decodes_to_what_was_quantized(self) -> None:
        """`decode_indices(codes)` gives the latents that the decoder was trained on."""
        torch = torch_()
        module = self.make().eval()
        with torch.no_grad():
            found = module(*self.inputs())
            back = module.decode_indices(found.indices)
        self._alike(found.latents.numpy(), back.numpy(), "decode_indices gives other latents than the forward pass")

    def test_every_code_decodes_to_a_latent_of_its_own(self) -> None:
        """No two codes share a latent: a decoder could not tell them apart."""
        torch = torch_()
        module = self.make().eval()
        size = module.codebook_size
        codes = np.unique(np.linspace(0, size - 1, min(size, _MOST)).astype(np.int64))
        codes = np.unique(np.concatenate([codes, np.arange(min(size, 256)), np.arange(max(0, size - 256), size)]))
        with torch.no_grad():
            latents = module.decode_indices(torch.from_numpy(codes))
        assert tuple(latents.shape) == (len(codes), self.d_latent) and torch.isfinite(latents).all()
        # A code's nearest neighbours in these coordinates are apart by far more than rounding is.
        rounded = np.round(latents.numpy().astype(np.float64), 6)
        _, first = np.unique(rounded, axis=0, return_index=True)
        shared = sorted(set(range(len(codes))) - set(first.tolist()))
        assert not shared, f"code {codes[shared[0]]} shares its latent with another"

    def test_latents_spread_over_codes(self) -> None:
        """Different latents do not all get one code."""
        with torch_().no_grad():
            codes = self.make().eval()(*self.inputs()).indices
        assert len(codes.unique()) > 1, f"{self.rows} random latents all get code {int(codes[0])}"

    def test_the_same_codes_in_training(self) -> None:
        """Training mode gives a latent the code that evaluation gives it."""
        torch = torch_()
        wanted = self.make().eval()(*self.inputs()).indices
        with torch.no_grad():
            found = self.make().train()(*self.inputs()).indices
        assert torch.equal(found, wanted), "training mode gives other codes"

    def test_the_same_codes_in_mixed_precision(self) -> None:
        """Under autocast the codes stay what they are: bfloat16 would move latents over borders."""
        torch = torch_()
        module = self.make().eval()
        with torch.no_grad():
            wanted = module(*self.inputs()).indices
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found = module(*self.inputs()).indices
        assert found.dtype == torch.int64 and torch.equal(found, wanted), "autocast gives other codes"
