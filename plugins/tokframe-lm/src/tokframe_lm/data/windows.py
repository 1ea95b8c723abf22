"""Windows of a token file in training order: each pass over them is a new permutation, given by the seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokframe.errors import CorpusError
from tokframe_lm.data.tokens import TokenFile
from tokframe_lm.model.config import LMConfig

__all__ = ["Windows"]

_Numbers = npt.NDArray[np.int64]


class Windows:
    """The token file as windows of `context` tokens, batched into steps.

    `count` windows make `per_pass` steps; `steps` is the number of all training steps.
    Raises: CorpusError if there is no window.
    """

    def __init__(self, tokens: TokenFile, config: LMConfig) -> None:
        self.tokens, self.config = tokens, config
        self.count = (len(tokens.ids) - 1) // config.context
        if self.count < 1:
            raise CorpusError(
                f"the corpus has {len(tokens.ids)} tokens, fewer than the context of {config.context} and one more. "
                'Give more text, or set a smaller "context" in the config'
            )
        self.per_pass = -(-self.count // config.batch)
        if config.batch_bytes:
            self.per_pass = min(self.count, max(1, round(tokens.bytes / config.batch_bytes)))
        self.steps = config.steps or self.per_pass

    def of(self, step: int) -> _Numbers:
        """Return the indices of the windows of a step."""
        turn, place = divmod(step, self.per_pass)
        order = np.random.default_rng([self.config.seed, turn]).permutation(self.count)
        return order[self._before(place) : self._before(place + 1)]

    def read(self, chosen: _Numbers) -> _Numbers:
        """Return windows with the token after each: (windows,) -> (windows, context + 1) int64."""
        size = self.config.context
        return np.stack([self.tokens.ids[w * size : w * size + size + 1] for w in chosen]).astype(np.int64)

    def seen(self, steps: int) -> int:
        """Return the number of tokens in so many steps."""
        full, rest = divmod(steps, self.per_pass)
        return (full * self.count + self._before(rest)) * self.config.context

    def _before(self, place: int) -> int:
        """Return the number of windows of a pass before its step `place`."""
        if self.config.batch_bytes:  # all windows, spread evenly over the steps
            return place * self.count // self.per_pass
        return min(place * self.config.batch, self.count)
