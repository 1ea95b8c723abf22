"""Terminal: progress of long work where it is watched: a live bar on a terminal or in a notebook, lines elsewhere.

Short work shows nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from html import escape
from typing import Any, NoReturn, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from tokframe.storage.printable import printable
from tokframe.training.torchrun import is_first

__all__ = ["ConsoleReporter", "NotebookReporter", "make_console", "notebook_reporting", "reporting"]

Figure = float | int | str

DELAY_S = 2.0  # work shorter than this shows nothing
LOG_INTERVAL_S = 10.0
BAR_COLUMNS = 24
NOTEBOOK_INTERVAL_S = 0.5
WIDTH_WITHOUT_TERMINAL = 100  # columns
_PERCENTAGES = ("accuracy", "exact", "rate", "share", "utilisation")  # in the names of figures shown as such


class _Console(Console):
    """A console that shows text as `printable` and leaves a closed pipe to the error handler of the command line."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield segments; those that control the terminal are rich's own, and text is not one of them."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def make_console(stream: TextIO) -> Console:
    """Return a rich console on a stream, 100 columns wide where the stream is not a terminal."""
    sized = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return _Console(
        file=stream, width=None if sized else WIDTH_WITHOUT_TERMINAL, highlight=False, markup=False, emoji=False
    )


@contextmanager
def reporting() -> Iterator[ConsoleReporter]:
    """Give a reporter that draws on stderr, and remove what it drew at the end.

    Of several processes started together only the first draws.
    """
    console = make_console(sys.stderr)
    console.quiet = not is_first()
    reporter = ConsoleReporter(console)
    try:
        yield reporter
    finally:
        reporter.close()


class _Stage:
    """State of one stage of work; its properties are the columns of the bar."""

    def __init__(self, name: str, total: float | None, unit: str, clock: Callable[[], float]) -> None:
        self.name, self.total, self.unit, self._clock = name, total, unit, clock
        self.started = clock()
        self.done = 0.0
        self._figures: Mapping[str, Figure] = {}
        self._first: tuple[float, float] | None = None  # resumed work does not begin at 0

    def advance(self, done: float, figures: Mapping[str, Figure]) -> None:
        self.done = done
        self._figures = {**self._figures, **figures}
        self._first = self._first or (self._clock(), done)

    @property
    def seconds(self) -> float:
        return self._clock() - self.started

    @property
    def share(self) -> str:
        return f"{min(1.0, self.done / self.total):.0%}" if self.total else ""

    @property
    def count(self) -> str:
        total = f"/{_amount(self.total)}" if self.total else ""
        return f"{_amount(self.done)}{total} {self.unit}".rstrip() if self._first else ""

    @property
    def figures(self) -> str:
        return " · ".join(_figure(name, value) for name, value in self._figures.items())

    @property
    def left(self) -> str:
        if not self.total or self._first is None:
            return ""
        start, begun = self._first
        seconds, done = self._clock() - start, self.done - begun
        return f"{_duration(max(0.0, (self.total - self.done) * seconds / done))} left" if seconds and done > 0 else ""

    @property
    def times(self) -> str:
        return ", ".join(filter(None, [_duration(self.seconds), self.left]))


def _drawing(stage: _Stage) -> RenderableType:
    """Return the bar of a stage, with its figures on a line below."""
    bar = ProgressBar(
        stage.total or None, stage.done, BAR_COLUMNS, complete_style="cyan", finished_style="cyan", pulse_style="cyan"
    )
    line = Table.grid(*(Column(no_wrap=True) for _ in range(5)), padding=(0, 1))
    line.add_row(Text(stage.name, "bold"), bar, stage.share, stage.count, Text(stage.times, "dim"))
    figures = Text(f"  {stage.figures}", "cyan", no_wrap=True, overflow="ellipsis")
    return Group(line, figures) if stage.figures else line


class ConsoleReporter:
    """Shows the stage of the moment after two seconds: a live bar on a terminal, else a line every ten seconds.

    A terminal that is gone shows nothing more; the work goes on.
    """

    def __init__(
        self,
        console: Console,
        delay: float = DELAY_S,
        interval: float = LOG_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._delay, self._interval, self._clock = console, delay, interval, clock
        self._lock = threading.RLock()
        self._stage: _Stage | None = None
        self._bar: Live | None = None
        self._timer: threading.Timer | None = None
        self._next_line = 0.0

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage; the one before it is done."""
        with self._lock, suppress(OSError):
            self.close()
            stage = self._stage = _Stage(name, total, unit, self._clock)
            self._next_line = stage.started + self._delay
            if self._console.is_interactive and not self._console.quiet:
                self._timer = threading.Timer(self._delay, self._draw, [stage])
                self._timer.daemon = True
                self._timer.start()

    def advance(self, done: float, **figures: Figure) -> None:
        """Set how far the stage is, with figures to show beside it."""
        with self._lock, suppress(OSError):
            stage = self._stage
            if stage is None:
                return
            stage.advance(done, figures)
            if self._timer is None and self._clock() >= self._next_line:
                self._next_line = self._clock() + self._interval
                parts = filter(None, [stage.count, stage.figures, stage.left])
                self.note("  ".join([f"{stage.name} {stage.share}".rstrip(), *parts]))

    def note(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock, suppress(OSError):
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """End the last stage."""
        with self._lock, suppress(OSError):
            stage, self._stage = self._stage, None
            if self._timer is not None:
                self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()
            self._timer = self._bar = None
            if stage is not None and stage.seconds >= self._delay:
                times = ", ".join(filter(None, [_duration(stage.seconds), stage.count]))
                self.note(f"{stage.name}: {times}  {stage.figures}".rstrip())

    def _draw(self, stage: _Stage) -> None:
        with self._lock, suppress(OSError):  # drawing never takes the lock
            if self._stage is stage:
                self._bar = Live(
                    console=self._console,
                    get_renderable=partial(_drawing, stage),
                    refresh_per_second=4,
                    transient=True,
                    redirect_stdout=False,  # which is for results
                )
                self._bar.start()


def _figure(name: str, value: Figure) -> str:
    """Return a figure as it is read: `loss 1.234`, `char accuracy 71.0%`, `45,210 segments/s`."""
    label = name.replace("_", " ")
    if isinstance(value, str):
        return f"{label} {value}"
    if name.endswith("_per_s"):
        return f"{value:,.0f} {label.removesuffix(' per s')}/s"
    if isinstance(value, int):
        return f"{label} {value:,}"
    if 0.0 <= value <= 1.0 and any(word in name for word in _PERCENTAGES) and "learning" not in name:
        return f"{label} {value:.1%}"
    return f"{label} {value:.4g}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _duration(seconds: float) -> str:
    """Return seconds as `12 s`, `3:12` or `1:03:12`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class NotebookReporter(ConsoleReporter):
    """Shows the stage of the moment in a notebook's output, drawn over while it goes on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(Console(quiet=True), clock=clock)
        self._shown: Any = None

    def advance(self, done: float, **figures: Figure) -> None:
        """Set how far the stage is, with figures to show beside it."""
        with self._lock:
            stage = self._stage
            if stage is None:
                return
            stage.advance(done, figures)
            if self._clock() >= self._next_line:
                self._next_line = self._clock() + NOTEBOOK_INTERVAL_S
                self._show(stage)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        shown = _ipython()
        shown.display(shown.HTML(f"<small>{escape(printable(text))}</small>"))

    def close(self) -> None:
        """End the last stage: what stays of it is a line."""
        with self._lock:
            stage, self._stage = self._stage, None
            if stage is not None and self._shown is not None:
                self._show(stage, ended=True)
            self._shown = None

    def _show(self, stage: _Stage, ended: bool = False) -> None:
        total = f' max="{stage.total}" value="{min(stage.done, stage.total)}"' if stage.total else ""
        bar = "" if ended else f"<progress{total}></progress> "
        times = _duration(stage.seconds) if ended else stage.times
        parts = filter(None, [stage.name, "" if ended else stage.share, stage.count, times, stage.figures])
        html = _ipython().HTML(f"<small>{bar}{escape(printable(' · '.join(parts)))}</small>")
        if self._shown is None:
            self._shown = _ipython().display(html, display_id=True)
        else:
            self._shown.update(html)


def _ipython() -> Any:
    """Return the module IPython.display of the notebook that this process is the kernel of."""
    return sys.modules["IPython"].display


@contextmanager
def notebook_reporting() -> Iterator[NotebookReporter]:
    """Give a reporter that draws in the output of the cell, and end its last stage."""
    reporter = NotebookReporter()
    try:
        yield reporter
    finally:
        reporter.close()
