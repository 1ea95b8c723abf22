"""Tracking: the figures of training kept by TensorBoard, Weights & Biases or a function, beside the progress bar."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokframe.errors import UnsupportedError
from tokframe.storage.advice import install_command
from tokframe.training.progress import BesideProgress

__all__ = ["TensorBoardReporter", "TrackingReporter", "WandbReporter"]


class TrackingReporter(BesideProgress):
    """Calls `write(figures, step)` with the numbers of each report, named "stage/figure"; steps count over all stages.

    Given as `reporter`, it is told beside what shows progress.
    """

    def __init__(self, write: Callable[[Mapping[str, float], int], object]) -> None:
        self._write = write
        self._stage = ""
        self._begun = self._done = 0.0

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage."""
        self._stage, self._begun = name, self._done

    def advance(self, done: float, **figures: float | int | str) -> None:
        """Write the figures that are numbers."""
        self._done = max(self._done, self._begun + done)
        numbers = {f"{self._stage}/{name}": float(x) for name, x in figures.items() if isinstance(x, (int, float))}
        if numbers:
            self._write(numbers, int(self._done))

    def note(self, text: str) -> None:
        """Ignore."""


class TensorBoardReporter(TrackingReporter):
    """Writes figures for TensorBoard to a folder: `tensorboard --logdir FOLDER` shows them."""

    def __init__(self, folder: str | Path) -> None:
        """Open the folder. Raises: UnsupportedError with the command that installs what is missing."""
        try:
            made: Any = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
        except ImportError:
            command = install_command("tokframe", "tensorboard")
            raise UnsupportedError(
                f"TensorBoardReporter needs tensorboard and torch: {command}", capability="tensorboard"
            ) from None

        def write(figures: Mapping[str, float], step: int) -> None:
            for name, value in figures.items():
                made.add_scalar(name, value, step)

        super().__init__(write)


class WandbReporter(TrackingReporter):
    """Logs figures to a run of Weights & Biases, what `wandb.init()` returned; "step" is among them."""

    def __init__(self, run: Any) -> None:
        """Take a run."""
        super().__init__(lambda figures, step: run.log({**figures, "step": step}))
