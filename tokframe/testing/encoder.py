"""EncoderContract: bytes to latents, independent of padding."""

from __future__ import annotations

from itertools import combinations
from typing import Any, ClassVar

from tokframe.testing.component import ComponentContract, torch_

__all__ = ["EncoderContract"]


class EncoderContract(ComponentContract):
    """(batch, bytes) int64, (batch,) int64 -> (batch, d_latent)."""

    kind: ClassVar[str] = "encoder"

    def inputs(self) -> list[Any]:
        """Return random segments, zero padded, with their lengths."""
        torch = torch_()
        random = torch.Generator().manual_seed(11)
        data = torch.randint(0, 256, (self.rows, self.max_length), generator=random)
        lengths = torch.randint(1, self.max_length + 1, (self.rows,), generator=random)
        return [torch.where(torch.arange(self.max_length) < lengths[:, None], data, 0), lengths]

    def test_latents_have_the_promised_shape(self) -> None:
        """(batch, d_latent) of finite floats, one per segment."""
        latents = self.output()
        assert tuple(latents.shape) == (self.rows, self.d_latent)
        assert latents.is_floating_point() and latents.isfinite().all()

    def test_bytes_past_the_length_do_not_count(self) -> None:
        """Other padding, or none at all, does not change the latent."""
        torch = torch_()
        module, (data, lengths) = self.make().eval(), self.inputs()
        inside = torch.arange(self.max_length) < lengths[:, None]
        with torch.no_grad():
            wanted = module(data, lengths)
            other = module(torch.where(inside, data, 255 - data), lengths)
            self._alike(wanted.numpy(), other.numpy(), "the latent depends on the padding")
            for row in range(0, self.rows, 7):
                size = lengths[row : row + 1]
                padded, narrow = module(data[row : row + 1], size), module(data[row : row + 1, : int(size)], size)
                self._alike(padded.numpy(), narrow.numpy(), "without padding the latent differs")

    def test_different_segments_have_different_latents(self) -> None:
        """The order and the number of bytes count: ab, ba, aab and abb have different latents."""
        torch = torch_()
        segments = [b"a", b"b", b"ab", b"ba", b"aab", b"aba", b"baa", b"abb", b"a\x00", b"aa"]
        data = torch.zeros(len(segments), self.max_length, dtype=torch.int64)
        for row, segment in enumerate(segments):
            data[row, : len(segment)] = torch.tensor(list(segment))
        with torch.no_grad():
            latents = self.make().eval()(data, torch.tensor([len(s) for s in segments]))
        for one, two in combinations(range(len(segments)), 2):
            apart = float((latents[one] - latents[two]).abs().max())
            assert apart > 1e-6, f"{segments[one]!r} and {segments[two]!r} have one latent"
