"""Speed of training and generation from text to text, measured in interleaved rounds.

Interleaved, because other load on the machine would otherwise slow down one model and not another.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from attrs import frozen

from tokframe_lm.data.texts import Prompt
from tokframe_lm.generation import Sampling, generate
from tokframe_lm.model.model import start_id
from tokframe_lm.storage import SavedModel, load

Key = TypeVar("Key", bound=Hashable)

__all__ = ["Speed", "interleaved", "rate", "training_speed", "write"]


@frozen(kw_only=True)
class Speed:
    """`seconds` of a round, and the bytes of text and tokens processed in it."""

    seconds: float
    bytes: int
    tokens: int


def interleaved(jobs: Mapping[Key, Callable[[int], Speed]], rounds: int) -> dict[Key, list[Speed]]:
    """Run every job once a round, called with the round's number; return the rounds of each."""
    found: dict[Key, list[Speed]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name, job in jobs.items():
            found[name].append(job(number))
    return found


def training_speed(places: Mapping[str, Path], text: str, *, rounds: int) -> dict[str, list[Speed]]:
    """Time tokenizing a text and one training step on all of it, with the models saved at places."""
    steps = {name: _training_step(load(place), text) for name, place in places.items()}
    for step in steps.values():
        step(0)  # creates the optimizer's state
    return interleaved(steps, rounds)


def _training_step(saved: SavedModel, text: str) -> Callable[[int], Speed]:
    """Return a function that trains a model on a text, one step at each call."""
    model, tokenizer = saved.model.train(), saved.tokenizer
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)

    def step(_: int) -> Speed:
        started = time.monotonic()
        ids = np.concatenate([[start_id(tokenizer)], tokenizer.encode_array(text, False)])
        count = max(1, (len(ids) - 1) // model.config.context)
        used = min(len(ids) - 1, count * model.config.context)
        width = used // count
        windows = np.stack([ids[place * width : (place + 1) * width + 1] for place in range(count)])
        rows = torch.from_numpy(windows).to(next(model.parameters()).device, torch.long)
        optimizer.zero_grad(set_to_none=True)
        model.loss(rows[:, :-1], rows[:, 1:]).backward()  # type: ignore[no-untyped-call]  # torch has no types there
        torch.nn.utils.clip_grad_norm_(model.parameters(), model.config.clip)
        optimizer.step()
        # the windows leave out the rest of the text
        size = round(len(text.encode()) * used / (len(ids) - 1))
        return Speed(seconds=time.monotonic() - started, bytes=size, tokens=used)

    return step


def write(saved: SavedModel, prompt: Prompt, *, size: int, sampling: Sampling) -> tuple[str, Speed]:
    """Return a text of `size` bytes written after a prompt, and the speed of writing it before it was cut there."""
    started = time.monotonic()
    pieces = list(generate(saved, prompt.text, max_bytes=size, sampling=sampling))
    seconds = time.monotonic() - started
    data = "".join(piece.text for piece in pieces).encode()
    speed = Speed(seconds=seconds, bytes=len(data), tokens=sum(piece.tokens for piece in pieces))
    return data[:size].decode("utf-8", "ignore"), speed


def rate(rounds: Sequence[Speed]) -> dict[str, float]:
    """Return the median bytes and tokens per second of rounds."""
    return {
        "bytes_per_s": round(statistics.median(r.bytes / r.seconds for r in rounds), 1),
        "tokens_per_s": round(statistics.median(r.tokens / r.seconds for r in rounds), 1),
    }
