"""How long work reports itself: stages, counts and figures. Draws nothing; the command line does."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Reporter", "SilentReporter"]


class Reporter(Protocol):
    """Receives the progress of long work, from any thread, at most a few times a second."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage; `total` in `unit`s is None where the end is not known ahead."""

    def advance(self, done: float, **figures: float | int | str) -> None:
        """Say how many units of the stage are done, with figures worth showing beside it."""

    def note(self, text: str) -> None:
        """Say one line that should stay on the screen (a finished stage, a warning)."""


class SilentReporter:
    """Reports nothing: the default in libraries and tests."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Ignore."""

    def advance(self, done: float, **figures: float | int | str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
