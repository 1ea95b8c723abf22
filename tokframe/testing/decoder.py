"""DecoderContract: latents to scores for every byte of a segment and its end."""

from __future__ import annotations

from typing import ClassVar

from tokframe.testing.component import ComponentContract, torch_

__all__ = ["DecoderContract"]


class DecoderContract(ComponentContract):
    """(batch, d_latent) -> (batch, max_length + 1, 257)."""

    kind: ClassVar[str] = "decoder"

    def test_scores_have_the_promised_shape(self) -> None:
        """A score for each of 256 bytes and the end, at every position a segment of full length needs."""
        torch = torch_()
        scores = self.make().eval()(*self.inputs())
        assert tuple(scores.shape) == (self.rows, self.max_length + 1, 257)
        assert scores.is_floating_point() and torch.isfinite(scores).all()

    def test_different_latents_have_different_scores(self) -> None:
        """What a latent says is not lost on the way, at any position."""
        torch = torch_()
        with torch.no_grad():
            scores = self.make().eval()(*self.inputs())
        same = [p for p in range(scores.shape[1]) if bool((scores[:, p] == scores[:1, p]).all())]
        assert not same, f"position {same[0]} has the same scores for every latent"
