"""How many training steps one run saves over another: read from the loss curves that model folders record."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from tokframe.errors import ArtifactCorruptError, TrainingError
from tokframe_lm import storage as saved

__all__ = ["Saving", "reached", "steps_saved"]

_SHARE = 0.1  # of the cold run's steps: single points of a loss curve are noise, so both curves are smoothed over it


@frozen(kw_only=True)
class Saving:
    """When a warm run came to the loss that a cold run ended with; losses in nats per token, smoothed alike.

    `reached` is the warm run's first step from which on it is at or below `cold_loss`, None if there is none; `share`
    is that step over `cold_steps`, and `saved` the steps between.
    """

    cold_steps: int
    cold_loss: float
    warm_steps: int
    warm_loss: float
    reached: int | None
    share: float | None
    saved: int | None


def steps_saved(cold: str | Path, warm: str | Path) -> Saving:
    """Compare the recorded training losses of two models of one tokenizer and one batch size.

    Raises: ArtifactError and its kinds; TrainingError where the two cannot be compared step by step.
    """
    first, second = saved.read_record(cold), saved.read_record(warm)
    try:
        _check_alike(cold, first, warm, second)
        one, two = _curve(cold, first), _curve(warm, second)
    except (KeyError, TypeError) as error:
        raise ArtifactCorruptError(f"{cold} or {warm} lacks {error} in its model.json", file="model.json") from error
    window = _SHARE * one[-1][0]
    target = _smooth(one, window)[-1][1]
    smooth = _smooth(two, window)
    step = reached(smooth, target)
    total = int(one[-1][0])
    return Saving(
        cold_steps=total,
        cold_loss=round(target, 4),
        warm_steps=int(two[-1][0]),
        warm_loss=round(smooth[-1][1], 4),
        reached=step,
        share=None if step is None else round(step / total, 4),
        saved=None if step is None else total - step,
    )


def reached(curve: Sequence[Sequence[float]], target: float) -> int | None:
    """Return the first step of a curve of `(step, loss)` at or below a loss; None if there is none.

    What follows has to be so too on the average: one easy stretch of text is no proof.
    """
    rest = np.cumsum([loss for _, loss in curve][::-1])[::-1] / np.arange(len(curve), 0, -1)
    at = zip(curve, rest, strict=True)
    return next((int(step) for (step, loss), mean in at if max(loss, mean) <= target), None)


def _smooth(curve: Sequence[Sequence[float]], window: float) -> list[tuple[float, float]]:
    """Return the mean loss of the last `window` steps at each point, from where so many have been taken.

    A point stands for the steps since the point before it.
    """
    found = []
    for place, (step, loss) in enumerate(curve):
        total, weight, reach = 0.0, 0.0, place
        while reach >= 0 and curve[reach][0] > step - window:
            before = curve[reach - 1][0] if reach else 0
            total += curve[reach][1] * (curve[reach][0] - before)
            weight += curve[reach][0] - before
            reach -= 1
        if step >= window:
            found.append((step, total / weight if weight else loss))
    return found or [(curve[-1][0], curve[-1][1])]


def _curve(model: str | Path, record: Mapping[str, Any]) -> list[list[float]]:
    curve: list[list[float]] = record.get("training", {}).get("loss") or []
    if not curve:
        what = (
            "was moved by lm migrate and not trained since" if record["training"].get("migrated") else "records no loss"
        )
        raise TrainingError(
            f"{model} {what}, so there is no curve to read. Train it: tokframe lm train --tokenizer "
            f"{record['tokenizer']['name']} --from {shlex.quote(str(model))} --corpus FILE --out DIR"
        )
    return curve


def _check_alike(cold: str | Path, first: Mapping[str, Any], warm: str | Path, second: Mapping[str, Any]) -> None:
    one, two = first["tokenizer"], second["tokenizer"]
    if one["sha256"] != two["sha256"]:
        raise TrainingError(
            f"{cold} has tokenizer {one['name']!r} of hash {one['sha256'][:12]}... and {warm} has {two['name']!r} of "
            f"hash {two['sha256'][:12]}...: losses per token of different tokenizers say nothing of each other. "
            "Compare bits per byte: tokframe lm eval MODEL --corpus FILE"
        )
    for name in ("context", "batch", "batch_bytes"):
        mine, other = first["config"].get(name), second["config"].get(name)
        if mine != other:
            raise TrainingError(
                f"{cold} was trained with {name} {mine} and {warm} with {other}, so a step is not the same amount of "
                f'text. Train both with one config: {{"{name}": {mine}}}'
            )
