"""Learning rates: linear warm-up and cosine decay, as shares of the peak rate."""

from __future__ import annotations

import math

__all__ = ["cosine_decay", "warmup", "warmup_cosine"]


def warmup(step: int, steps: int) -> float:
    """Return the share of the peak rate at a step (from 0) of a linear warm-up of `steps`; 1 after it."""
    return min(1.0, (step + 1) / max(1, steps))


def cosine_decay(step: int, steps: int, final: float) -> float:
    """Return the share at a step (from 0) of a decay over `steps` from 1 to `final`, along half a cosine."""
    progress = min(1.0, step / max(1, steps))
    return final + (1 - final) * (0.5 + 0.5 * math.cos(math.pi * progress))


def warmup_cosine(step: int, steps: int, warmup_share: float, final: float = 0.1) -> float:
    """Return the share at a step (from 0) of `steps`: warm-up during a share of them, then decay to `final`."""
    rise = max(1, round(warmup_share * steps))
    return warmup(step, rise) if step < rise else cosine_decay(step - rise, steps - rise, final)
