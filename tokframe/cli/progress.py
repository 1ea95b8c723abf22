"""Progress of long work on stderr: a live bar on a terminal, a line now and then elsewhere, nothing for short work."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokframe.cli.console import make_console
from tokframe.training.torchrun import is_first

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["LogReporter", "TerminalReporter", "reporting"]

Figure = float | int | str

_DELAY = 2.0  # seconds of work before anything is shown
_INTERVAL = 10.0  # seconds between two lines of a log
_BAR = 24
_SHARES = ("accuracy", "exact", "rate", "share", "utilisation")  # figures that are percentages


@contextmanager
def reporting() -> Iterator[TerminalReporter | LogReporter]:
    """Give a reporter that draws on stderr, and clear away what it drew at the end.

    Of several processes started together only the first draws.
    """
    console = make_console(sys.stderr)
    console.quiet = not is_first()
    reporter = TerminalReporter(console) if console.is_terminal else LogReporter(console)
    try:
        yield reporter
    finally:
        reporter.close()


class _Stage:
    """Where one stage of work stands."""

    def __init__(self, name: str, total: float | None, unit: str, now: float) -> None:
        self.name, self.total, self.unit, self.started = name, total, unit, now
        self.done = 0.0
        self.figures: Mapping[str, Figure] = {}
        self._first: tuple[float, float] | None = None  # resumed work does not begin at 0

    def advance(self, done: float, figures: Mapping[str, Figure], now: float) -> None:
        self.done = done
        self.figures = {**self.figures, **figures}
        self._first = self._first or (now, done)

    @property
    def share(self) -> float | None:
        return min(1.0, self.done / self.total) if self.total else None

    def seconds_left(self, now: float) -> float | None:
        if not self.total or self._first is None or self.done <= self._first[1] or now <= self._first[0]:
            return None
        return max(0.0, (self.total - self.done) * (now - self._first[0]) / (self.done - self._first[1]))

    def counted(self) -> str:
        if self._first is None:
            return ""
        of = f"/{_amount(self.total)}" if self.total else ""
        return f"{_amount(self.done)}{of} {self.unit}".rstrip()

    def shown_figures(self) -> str:
        return " · ".join(_figure(name, value) for name, value in self.figures.items())


class _Reporter:
    """What both kinds share: the present stage, and when to begin showing it."""

    def __init__(self, console: Console, delay: float = _DELAY, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._delay, self._clock = console, delay, clock
        self._lock = threading.RLock()
        self._stage: _Stage | None = None

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage; the one before it is done."""
        with self._lock:
            self._finish()
            self._stage = _Stage(name, total, unit, self._clock())
            self._begin()

    def advance(self, done: float, **figures: Figure) -> None:
        """Take how far the stage is, with figures to show beside it."""
        with self._lock:
            if self._stage is not None:
                self._stage.advance(done, figures, self._clock())
                self._update(self._stage)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """End the last stage."""
        with self._lock:
            self._finish()

    def _finish(self) -> None:
        stage, self._stage = self._stage, None
        if stage is None:
            return
        self._clear()
        seconds = self._clock() - stage.started
        if seconds >= self._delay:
            figures = stage.shown_figures()
            self.note(
                f"{stage.name}: {_duration(seconds)}{', ' + stage.counted() if stage.counted() else ''}"
                f"{'  ' + figures if figures else ''}"
            )

    def _begin(self) -> None:
        """Get ready to show the new stage."""

    def _update(self, stage: _Stage) -> None:
        """Show how far the stage is."""

    def _clear(self) -> None:
        """Take away what is shown of the stage."""


class LogReporter(_Reporter):
    """Writes a line every ten seconds: for log files and pipes."""

    def __init__(
        self,
        console: Console,
        delay: float = _DELAY,
        interval: float = _INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(console, delay, clock)
        self._interval = interval
        self._last = clock()

    def _begin(self) -> None:
        if self._stage is not None:
            self._last = self._stage.started - self._interval + self._delay

    def _update(self, stage: _Stage) -> None:
        now = self._clock()
        if now - self._last < self._interval:
            return
        self._last = now
        share = f" {stage.share:.0%}" if stage.share is not None else ""
        left = stage.seconds_left(now)
        parts = [stage.counted(), stage.shown_figures(), "" if left is None else f"{_duration(left)} left"]
        self.note(f"{stage.name}{share}  " + "  ".join(filter(None, parts)))


class TerminalReporter(_Reporter):
    """Draws a bar with figures under it, kept up to date in place."""

    def __init__(self, console: Console, delay: float = _DELAY, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, delay, clock)
        self._live: Live | None = None
        self._timer: threading.Timer | None = None

    def _begin(self) -> None:
        self._timer = threading.Timer(self._delay, self._draw)
        self._timer.daemon = True
        self._timer.start()

    def _draw(self) -> None:
        from rich.live import Live

        with self._lock:
            if self._stage is None or self._live is not None or threading.current_thread() is not self._timer:
                return
            self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=4, transient=True)
        self._live.start()  # not under the lock: its refreshing thread takes it

    def _clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        stage = self._stage
        if stage is None:
            return Text()
        now = self._clock()
        left = stage.seconds_left(now)
        times = f"{_duration(now - stage.started)}" + (f", {_duration(left)} left" if left is not None else "")
        line = Table.grid(padding=(0, 2, 0, 0))
        share = "" if stage.share is None else f"{stage.share:.0%}"
        bar = ProgressBar(
            total=stage.total or None,
            completed=stage.done,
            width=_BAR,
            pulse=not stage.total,
            complete_style="cyan",
            finished_style="cyan",
            pulse_style="cyan",
        )
        line.add_row(Text(stage.name, style="bold"), bar, share, stage.counted(), Text(times, style="dim"))
        figures = stage.shown_figures()
        return Group(line, Text(f"  {figures}", style="cyan", no_wrap=True, overflow="ellipsis")) if figures else line


def _figure(name: str, value: Figure) -> str:
    """Return a figure as it is read: `loss 1.234`, `char accuracy 71.0%`, `45,210 segments/s`."""
    label = name.replace("_", " ")
    if isinstance(value, str):
        return f"{label} {value}"
    if name.endswith("_per_s"):
        return f"{value:,.0f} {label.removesuffix(' per s')}/s"
    if isinstance(value, int):
        return f"{label} {value:,}"
    if 0.0 <= value <= 1.0 and any(word in name for word in _SHARES) and "learning" not in name:
        return f"{label} {value:.1%}"
    return f"{label} {value:.4g}"


def _amount(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _duration(seconds: float) -> str:
    """Return seconds as `12 s`, `3:12` or `1:03:12`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
