"""Schedule: where a stage stands in its steps: its learning rate, when its finish begins, and when it is over.

A stage runs at the full learning rate until it is ready to anneal (or half its steps are gone), then finishes: the
rate falls, and arithmetic is fp32. It ends early when its aim is reached at several evaluations in a row.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from tokframe_torch.schedule import cosine_decay, warmup

from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.results import StageReport

__all__ = ["Phase", "Schedule"]

#: Share of `max_minutes` after which the first stage is over.
_FIRST_SHARE = 0.4
_STATE = ("begin", "end", "begin_minutes", "finish_from", "converged_evaluations")


@frozen(kw_only=True)
class Phase:
    """A part of a stage, from step `start` on; `length` in steps where it is known in advance."""

    name: str
    start: int
    length: int | None


class Schedule:
    """The schedule of one stage that began at a step (over all stages) and after so many minutes.

    `spent` counts the steps that the stage had before, where time ended it and it was begun again.
    """

    def __init__(self, config: TrainingConfig, *, begin: int, minutes: float, last: bool, spent: int = 0) -> None:
        self.config, self.last = config, last
        self.begin, self.begin_minutes, self.spent = begin, minutes, spent
        self.end = self.planned_end
        self.finish_from: int | None = None
        self.converged_evaluations = 0  # in a row that found the aim reached

    @property
    def planned_end(self) -> int:
        """The step at which the stage is over at the latest."""
        planned = self.config.max_steps if self.last else self.begin + self.config.steps_for_codes - self.spent
        return min(planned, self.config.max_steps)

    @property
    def finishing(self) -> bool:
        """Whether the finish has begun."""
        return self.finish_from is not None

    @property
    def reached(self) -> bool:
        """Whether the aim was reached often enough in a row."""
        return self.converged_evaluations >= self.config.patience

    @property
    def outcome(self) -> str:
        """Why the stage is over: everything is "learnt", or "steps" or "minutes" are spent."""
        return "learnt" if self.reached else "steps" if self.end == self.planned_end else "minutes"

    def over(self, step: int) -> bool:
        """Return whether the stage is over."""
        return step >= self.end or self.reached

    def due(self, step: int) -> bool:
        """Return whether a step is followed by an evaluation."""
        return (step - self.begin) % self.config.eval_interval == 0 or step == self.end

    def rate(self, step: int) -> float:
        """Return the learning rate as a share of the highest: warm-up, level, then half a cosine down."""
        if self.finish_from is None:
            return warmup(step - self.begin, self.config.warmup_steps)
        return cosine_decay(step - self.finish_from, self._finish_length(self.finish_from), self.config.final_rate)

    def phase(self, step: int) -> Phase:
        """Return the phase of a step. The length of the bulk, and of what is left after the finish, is unknown."""
        if self.finish_from is None:
            return Phase(name="", start=self.begin, length=None)
        length = self._finish_length(self.finish_from)
        if step < self.finish_from + length:
            return Phase(name=", finish", start=self.finish_from, length=length)
        return Phase(name=", remaining steps", start=self.finish_from + length, length=None)

    def update(self, report: StageReport, step: int, minutes: float) -> None:
        """Apply an evaluation after a step: bring the end forward, begin the finish, count what was reached."""
        self._fit_to_time(step, minutes)
        half = step - self.begin >= (self.end - self.begin) // 2
        if self.finish_from is None and (report.ready_to_anneal or half):
            self.finish_from = step
        self.converged_evaluations = self.converged_evaluations + 1 if report.reached else 0

    def reopen(self) -> None:
        """Go on at the full rate, to the planned end: there is more time than there was."""
        self.end, self.finish_from, self.converged_evaluations = self.planned_end, None, 0

    def state(self) -> dict[str, Any]:
        """Return everything that changes, as JSON data."""
        return {name: getattr(self, name) for name in (*_STATE, "spent")}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        for name in _STATE:
            setattr(self, name, state[name])
        self.spent = state.get("spent", 0)  # older checkpoints have none

    def _finish_length(self, start: int) -> int:
        # A full rate stalls near 90% exact, and the last tenth is learned only as the rate falls: the finish takes
        # three times as long as it took to get there, at least four evaluations, at most what is left.
        length = max(4 * self.config.eval_interval, 3 * (start - self.begin))
        return max(1, min(length, self.end - start))

    def _fit_to_time(self, step: int, minutes: float) -> None:
        """Bring the end to where `max_minutes` will be used up at the pace so far."""
        self.end = self.planned_end
        if self.config.max_minutes is not None:
            share = 1.0 if self.last else _FIRST_SHARE
            left = self.begin_minutes + share * (self.config.max_minutes - self.begin_minutes) - minutes
            pace = (step - self.begin) / max(1e-9, minutes - self.begin_minutes)
            self.end = min(self.planned_end, step + max(0, int(pace * left)))
