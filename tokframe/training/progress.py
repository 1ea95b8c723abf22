"""Reporter: the progress of long work as stages, counts and figures. Drawing is left to `terminal`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, Protocol, TypeVar

__all__ = [
    "AUTO",
    "SILENT",
    "BesideProgress",
    "Reporter",
    "SilentReporter",
    "never_stop",
    "shows_progress",
]

P = ParamSpec("P")
R = TypeVar("R")


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


class BesideProgress:
    """A reporter that wants to be told beside what shows progress, not in its place."""


class _Both:
    """Tells two reporters."""

    def __init__(self, first: Reporter, second: Any) -> None:
        self._both: tuple[Any, Any] = first, second

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        for each in self._both:
            each.stage(name, total, unit)

    def advance(self, done: float, **figures: float | int | str) -> None:
        for each in self._both:
            each.advance(done, **figures)

    def note(self, text: str) -> None:
        for each in self._both:
            each.note(text)


#: The default of `reporter` where nobody is to be told anything.
SILENT: Reporter = SilentReporter()
#: The default of `reporter` in calls for users: progress where a person watches, in a terminal or a notebook.
AUTO: Reporter = SilentReporter()


def shows_progress(call: Callable[P, R]) -> Callable[P, R]:
    """Have a call that takes `reporter` show progress to a person who watches, where its caller gave none or AUTO."""

    @wraps(call)
    def shown(*args: P.args, **named: P.kwargs) -> R:
        bound = signature(call).bind(*args, **named)
        given = bound.arguments.get("reporter", AUTO)
        beside = isinstance(given, BesideProgress)
        if not beside and given is not AUTO and given is not None:
            return call(*args, **named)
        with _watching() as reporter:
            bound.arguments["reporter"] = _Both(reporter, given) if beside else reporter
            return call(*bound.args, **bound.kwargs)

    return shown


@contextmanager
def _watching() -> Iterator[Reporter]:
    """Yield a reporter for the notebook or terminal that this process belongs to, else a silent one."""
    notebook = _in_notebook()
    if not notebook and not (sys.stderr is not None and sys.stderr.isatty()):
        yield SILENT
        return
    from tokframe.training.terminal import notebook_reporting, reporting  # rich

    with notebook_reporting() if notebook else reporting() as reporter:
        yield reporter


def _in_notebook() -> bool:
    """Return whether this process is the kernel of a Jupyter notebook or the like."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and (type(shell).__name__ == "ZMQInteractiveShell" or "colab" in type(shell).__module__)


def never_stop() -> bool:
    """Return False: the default of `should_stop`."""
    return False
