"""Schedule: where a stage stands in its steps: its learning rate, when its finish begins, and when it is over.

A stage is planned for so many steps: two fifths at the full learning rate, then a finish in which it falls. It ends
early when its aim is reached at several evaluations in a row. Where it is not reached, rounds follow, each of half as
many steps from a lower rate down, from the third on in fp32, as long as there are steps.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from tokframe_torch.schedule import cosine_decay, warmup

from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.results import StageReport

__all__ = ["Phase", "Schedule"]

#: Share of a stage's planned steps at the full rate.
_FULL_SHARE = 0.4
#: First rate of the rounds that follow, as a share of the full one.
_ROUND_RATE = 0.1
_STATE = ("begin", "end", "begin_minutes", "converged_evaluations", "spent")


@frozen(kw_only=True)
class Phase:
    """A part of a stage, from step `start` up to `end`."""

    name: str
    start: int
    end: int


class Schedule:
    """The schedule of one stage that began at a step (over all stages) and after so many minutes.

    `steps` are planned for it, at most `limit` taken, and of the minutes that are left the share `minutes_share`.
    `spent` counts the steps that the stage had before, where time ended it and it was begun again.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        begin: int,
        minutes: float,
        steps: int,
        limit: int,
        minutes_share: float = 1.0,
        spent: int = 0,
    ) -> None:
        self.config, self.steps, self.limit, self.minutes_share = config, steps, limit, minutes_share
        self.begin, self.begin_minutes, self.spent = begin, minutes, spent
        self.end = self.planned_end
        self.converged_evaluations = 0  # in a row that found the aim reached

    @property
    def planned_end(self) -> int:
        """The step at which the stage is over at the latest."""
        return min(self.begin + max(0, self.limit - self.spent), self.config.max_steps)

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
        return (step - self.begin) % self.config.eval_interval == 0 or step in (self._first_end, self.end)

    def finishing(self, step: int) -> bool:
        """Return whether the finish has begun, in which the rate falls."""
        return step >= self._full_end

    def rounds(self, step: int) -> bool:
        """Return whether the planned steps are over and rounds have begun."""
        return step >= self._first_end

    def exact(self, step: int) -> bool:
        """Return whether so little is left to learn, two rounds later, that it takes fp32."""
        return step >= self._first_end + 2 * self._round_steps

    def rate(self, step: int) -> float:
        """Return the learning rate as a share of the highest."""
        if step < self._full_end:
            return warmup(step - self.begin, self.config.warmup_steps)
        phase = self.phase(step)
        falling = cosine_decay(step - phase.start, phase.end - phase.start, self.config.final_rate)
        return _ROUND_RATE * falling if self.rounds(step) else falling

    def phase(self, step: int) -> Phase:
        """Return the phase of a step."""
        if step < self._full_end:
            return Phase(name="", start=self.begin, end=self._full_end)
        if step < self._first_end:
            return Phase(name=", finish", start=self._full_end, end=self._first_end)
        length = self._round_steps
        number = (step - self._first_end) // length
        start = self._first_end + number * length
        return Phase(name=f", round {number + 2}", start=start, end=max(step + 1, min(start + length, self.end)))

    def expected_end(self, step: int) -> int:
        """Return where the stage is expected to end, seen from a step."""
        return self.phase(step).end if self.rounds(step) else self._first_end

    def update(self, report: StageReport, step: int, minutes: float) -> None:
        """Apply an evaluation after a step: bring the end forward, count what was reached."""
        self._fit_to_time(step, minutes)
        self.converged_evaluations = self.converged_evaluations + 1 if report.reached else 0

    def reopen(self) -> None:
        """Go on to the planned end: there is more time than there was."""
        self.end, self.converged_evaluations = self.planned_end, 0

    def state(self) -> dict[str, Any]:
        """Return everything that changes, as JSON data."""
        return {name: getattr(self, name) for name in _STATE}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        for name in _STATE:
            setattr(self, name, state[name])

    @property
    def _first_end(self) -> int:
        return min(self.begin + self.steps, self.end)

    @property
    def _round_steps(self) -> int:
        return max(1, (self._first_end - self.begin) // 2)

    @property
    def _full_end(self) -> int:
        return self.begin + int(_FULL_SHARE * (self._first_end - self.begin))

    def _fit_to_time(self, step: int, minutes: float) -> None:
        """Bring the end to where `max_minutes` will be used up at the pace so far."""
        self.end = self.planned_end
        if self.config.max_minutes is not None:
            left = self.begin_minutes + self.minutes_share * (self.config.max_minutes - self.begin_minutes) - minutes
            pace = (step - self.begin) / max(1e-9, minutes - self.begin_minutes)
            self.end = min(self.planned_end, step + max(0, int(pace * left)))
