"""Reporter: the progress of long work as stages, counts and figures. Drawing is left to the command line."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SILENT", "Reporter", "SilentReporter", "never_stop"]


class Reporter(Protocol):
    """Receives the progress of long work, from any thread, at most a few times a second."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage; `total` in `unit`s is None where the end is not known ahead."""

    def advance(self, done: float, **figures: float | int | str) -> None:
        """Set how many units of the stage are done, with figures to show beside it."""

    def note(self, text: str) -> None:
        """Show one line that stays on the screen (a finished stage, a warning)."""


class SilentReporter:
    """Reports nothing."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Ignore."""

    def advance(self, done: float, **figures: float | int | str) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""


#: The default of `reporter`.
SILENT: Reporter = SilentReporter()


def never_stop() -> bool:
    """Return False: the default of `should_stop`."""
    return False
