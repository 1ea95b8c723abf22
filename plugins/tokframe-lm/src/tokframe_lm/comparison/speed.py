"""How fast models of different tokenizers learn and write, from text to text, taken in turns.

In turns, because whatever else a machine does would otherwise meet one model and spare another.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from attrs import frozen

from tokframe_lm import generation
from tokframe_lm.data.texts import Prompt
from tokframe_lm.model.model import start_id
from tokframe_lm.storage import SavedModel

Key = TypeVar("Key", bound=Hashable)

__all__ = ["Speed", "Written", "learning_speed", "rate", "taken_in_turns", "write"]


@frozen(kw_only=True)
class Speed:
    """`seconds` of a round, and the bytes of text and tokens worked through in it."""

    seconds: float
    bytes: int
    tokens: int


@frozen(kw_only=True)
class Written:
    """A text that a model wrote after a prompt, cut to equal bytes, and what writing it took before the cut."""

    text: str
    speed: Speed


def taken_in_turns(jobs: Mapping[Key, Callable[[int], Speed]], rounds: int) -> dict[Key, list[Speed]]:
    """Run every job once a round, each called with the round's number; return the rounds of each."""
    found: dict[Key, list[Speed]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name, job in jobs.items():
            found[name].append(job(number))
    return found


def learning_speed(models: Mapping[str, SavedModel], text: str, *, rounds: int) -> dict[str, list[Speed]]:
    """Time tokenizing a text and one training step per `batch` windows of it; the models are left as they were."""
    learners = {name: _Learner(saved) for name, saved in models.items()}
    for learner in learners.values():
        learner.step(text)  # the first step makes the optimizer's state
    return taken_in_turns({name: _job(learner, text) for name, learner in learners.items()}, rounds)


def _job(learner: _Learner, text: str) -> Callable[[int], Speed]:
    return lambda _: learner.step(text)


class _Learner:
    """A copy of a model that takes one step on a text, as training does."""

    def __init__(self, saved: SavedModel) -> None:
        self.tokenizer = saved.tokenizer
        self.model = copy.deepcopy(saved.model).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.0)

    def step(self, text: str) -> Speed:
        started = time.monotonic()
        context = self.model.config.context
        ids = np.concatenate([[start_id(self.tokenizer)], self.tokenizer.encode_array(text, False)])
        count = max(1, (len(ids) - 1) // context)
        used = min(len(ids) - 1, count * context)
        width = used // count
        windows = np.stack([ids[place * width : (place + 1) * width + 1] for place in range(count)])
        rows = torch.from_numpy(windows).to(next(self.model.parameters()).device, torch.long)
        self.optimizer.zero_grad(set_to_none=True)
        self.model.loss(rows[:, :-1], rows[:, 1:]).backward()  # type: ignore[no-untyped-call]  # torch has no types there
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.model.config.clip)
        self.optimizer.step()
        # the windows leave out the rest of the text: its share is not counted as learnt
        size = round(len(text.encode()) * used / (len(ids) - 1))
        return Speed(seconds=time.monotonic() - started, bytes=size, tokens=used)


def write(saved: SavedModel, prompt: Prompt, *, size: int, sampling: generation.Sampling) -> Written:
    """Let a model go on from a prompt until it has written `size` bytes, and cut the text there."""
    started = time.monotonic()
    pieces = list(generation.generate(saved, prompt.text, max_bytes=size, sampling=sampling))
    seconds = time.monotonic() - started
    data = "".join(piece.text for piece in pieces).encode()
    speed = Speed(seconds=seconds, bytes=len(data), tokens=sum(piece.tokens for piece in pieces))
    return Written(text=data[:size].decode("utf-8", "ignore"), speed=speed)


def rate(rounds: Sequence[Speed]) -> dict[str, float]:
    """Return the median bytes and tokens per second of rounds."""
    return {
        "bytes_per_s": round(statistics.median(r.bytes / r.seconds for r in rounds), 1),
        "tokens_per_s": round(statistics.median(r.tokens / r.seconds for r in rounds), 1),
    }
