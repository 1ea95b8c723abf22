"""DecoderContract: latents to logits for every byte of a segment and its end."""

from __future__ import annotations

from typing import ClassVar

from tokframe.plugins.protocols import PositionwiseDecoder
from tokframe.testing.component import ComponentContract, torch_

__all__ = ["DecoderContract"]


class DecoderContract(ComponentContract):
    """(batch, d_latent) -> (batch, max_length + 1, 257)."""

    kind: ClassVar[str] = "decoder"

    def test_logits_have_the_promised_shape(self) -> None:
        """A logit for each of 256 bytes and the end, at every position a segment of full length needs."""
        logits = self.output()
        assert tuple(logits.shape) == (self.rows, self.max_length + 1, 257)
        assert logits.is_floating_point() and logits.isfinite().all()

    def test_different_latents_have_different_logits(self) -> None:
        """A latent makes a difference at every position."""
        logits = self.output()
        same = [p for p in range(logits.shape[1]) if bool((logits[:, p] == logits[:1, p]).all())]
        assert not same, f"position {same[0]} has the same logits for every latent"

    def test_positions_have_logits_of_their_own(self) -> None:
        """`logits` of `features` are what calling the decoder returns, for any choice of positions."""
        torch = torch_()
        module = self.make().eval()
        if not isinstance(module, PositionwiseDecoder):
            return
        chosen = torch.arange(self.rows * (self.max_length + 1)).view(self.rows, -1) % 3 == 0
        with torch.no_grad():
            wanted = module(*self.inputs())
            features = module.features(*self.inputs())
            for mine, other in ((wanted, features), (wanted[chosen], features[chosen])):
                self._alike(mine.numpy(), module.logits(other).numpy(), "logits of features are others")
