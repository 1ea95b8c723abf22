"""HardSampler: draws the segments of a step, all evenly at first, then mostly those that are not yet learned."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["HardSampler"]

_MAX_DIFFICULTY = 2.0


class HardSampler:
    """Draws segments with a chance of `floor + (1 - floor) * min(difficulty, 2) / 2`.

    `difficulty` (segments,) is the last loss seen of each segment's worst symbol or digit. Draws come from a
    generator of its own on the CPU, so they repeat on any device.
    """

    def __init__(self, allowed: Tensor, floor: float, seed: int) -> None:
        self.floor = floor
        self.allowed = allowed.cpu()
        self.difficulty = torch.full((len(self.allowed),), _MAX_DIFFICULTY)
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, count: int) -> Tensor:
        """Return `count` segment numbers, with repetition: (count,) int64."""
        chance = (self.floor + (1 - self.floor) * self.difficulty / _MAX_DIFFICULTY) * self.allowed
        return torch.multinomial(chance, count, replacement=True, generator=self.generator)

    def update(self, chosen: Tensor, difficulty: Tensor) -> None:
        """Set the difficulty of the segments of a step, (batch,) each."""
        self.difficulty[chosen] = difficulty.detach().float().cpu().clamp(0, _MAX_DIFFICULTY)

    def state(self) -> dict[str, Tensor]:
        """Return everything the next draw depends on."""
        return {"difficulty": self.difficulty, "generator": self.generator.get_state()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` returned. Raises: ValueError where it does not fit."""
        if state["difficulty"].shape != self.difficulty.shape:
            raise ValueError(f"difficulties of {len(state['difficulty'])} segments, not of {len(self.difficulty)}")
        self.difficulty = state["difficulty"].clone()
        self.generator.set_state(state["generator"])
