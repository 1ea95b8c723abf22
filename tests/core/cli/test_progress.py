"""How long work reports itself, in a log and on a terminal."""

from __future__ import annotations

import io
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console

import tokframe
from tokframe.training import progress
from tokframe.training.terminal import ConsoleReporter


class Clock:
    """A clock that stands until it is told to go on."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def log():
    stream, clock = io.StringIO(), Clock()
    reporter = ConsoleReporter(Console(file=stream, width=100), clock=clock)
    return reporter, clock, stream


@pytest.fixture
def terminal(monkeypatch):
    """As `log`, but a terminal, which gets a bar at once."""
    monkeypatch.setenv("TERM", "xterm-256color")
    stream, clock = io.StringIO(), Clock()
    return ConsoleReporter(Console(file=stream, width=100, force_terminal=True), delay=0.0, clock=clock), clock, stream


def drawn(reporter):
    picture = io.StringIO()
    Console(file=picture, width=100).print(reporter._bar.get_renderable())
    return picture.getvalue()


def test_short_work_reports_nothing(log):
    reporter, clock, stream = log
    reporter.stage("training", 100, "steps")
    for step in range(10):
        clock.now += 0.15
        reporter.advance(step, loss=0.5)
    reporter.close()
    assert stream.getvalue() == ""


def test_a_log_gets_a_line_after_two_seconds_then_every_ten_and_one_at_the_end(log):
    reporter, clock, stream = log
    reporter.stage("training", 100, "steps")
    for step in range(1, 41):
        clock.now += 0.5
        reporter.advance(step, loss=2.5, char_accuracy=0.71, codes_in_use=30112, segments_per_s=45210.4)
    reporter.note("validated")
    reporter.stage("saving")
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "training 4%",
        "training 24%",
        "validated",
        "training: 20 s, 40/100 steps",
    ]
    assert lines[1].split("  ")[1:] == [
        "24/100 steps",
        "loss 2.5 · char accuracy 71.0% · codes in use 30,112 · 45,210 segments/s",
        "38 s left",
    ]


def test_time_left_counts_only_what_this_run_has_done(log):
    reporter, clock, stream = log
    reporter.stage("training", 1000, "steps")  # resumed: begins at 900
    for step in range(900, 920):
        clock.now += 1.0
        reporter.advance(step)
    assert "80 s left" not in stream.getvalue() and "1:29 left" in stream.getvalue()


def test_a_terminal_gets_a_bar_with_figures_and_is_left_clean(terminal):
    reporter, clock, stream = terminal
    reporter.stage("training", 10, "steps")
    reporter._timer.join(5)
    clock.now += 3
    reporter.advance(1, loss=1.25)
    clock.now += 3
    reporter.advance(4, loss=1.0)
    picture = drawn(reporter)
    reporter.close()
    assert all(part in picture for part in ("40%", "4/10 steps", "loss 1", "6 s left"))
    assert reporter._bar is None and reporter._timer is None
    assert "training: 6 s, 4/10 steps  loss 1" in stream.getvalue()


def test_a_stage_without_an_end_pulses_and_its_successor_is_drawn_anew(terminal):
    reporter, _, stream = terminal
    for name in ("reading [all] {it}", "mining"):
        reporter.stage(name)
        reporter._timer.join(5)
        picture = drawn(reporter)
        assert name in picture and "━" * 24 in picture and "%" not in picture
    reporter.close()
    assert "reading [all] {it}: 0 s" in stream.getvalue() and "mining: 0 s" in stream.getvalue()


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream, clock = io.StringIO(), Clock()
    reporter = ConsoleReporter(Console(file=stream, width=60, force_terminal=True), clock=clock)
    reporter.stage("training", 10, "steps")
    clock.now += 3
    reporter.advance(4)
    reporter.close()
    assert stream.getvalue() == "training 40%  4/10 steps\ntraining: 3 s, 4/10 steps\n"


def test_any_number_of_threads_may_report_while_a_bar_is_drawn(terminal):
    reporter, _, stream = terminal

    def work(number):
        for step in range(100):
            if step % 10 == number:
                reporter.stage(f"stage {number}", 100)
            reporter.advance(step, loss=1.0)
            reporter.note(f"note {number}.{step}.")

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    reporter.close()
    assert not any(thread.is_alive() for thread in threads)
    assert all(f"note {number}.{step}." in stream.getvalue() for number in range(4) for step in range(100))


# -- in Python ------------------------------------------------------------------------------------------------


@progress.shows_progress
def worked(size, *, reporter=progress.AUTO):
    reporter.stage("count", size, "MB")
    reporter.advance(size, loss=0.5)
    reporter.note("<done>")
    return reporter


class ZMQInteractiveShell:
    """Named as the shell of a Jupyter kernel."""


@pytest.fixture
def notebook(monkeypatch):
    """Make this process look like a kernel; return what is displayed, each with its updates."""
    shown = []

    def display(html, display_id=False):
        shown.append([html])
        return SimpleNamespace(update=shown[-1].append)

    module = ModuleType("IPython")
    module.get_ipython, module.display = ZMQInteractiveShell, SimpleNamespace(display=display, HTML=str)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr("tokframe.training.terminal.DELAY_S", 0.0)
    return shown


def test_a_call_is_silent_where_nobody_watches(monkeypatch, capsys):
    assert worked(3) is progress.SILENT and worked(3, reporter=None) is progress.SILENT
    assert capsys.readouterr() == ("", "")


def test_a_call_draws_on_a_terminal_and_is_silenced_by_silent(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert type(worked(3)) is ConsoleReporter
    silent = tokframe.SilentReporter()
    assert worked(3, reporter=silent) is silent


def test_a_reporter_of_the_caller_s_own_is_used_as_it_is(listener):
    assert worked(3, reporter=listener) is listener and listener.stages == [("count", 3, "MB")]


def test_a_notebook_shows_a_bar_that_is_drawn_over_and_escapes_text(notebook):
    reporter = worked(3)
    assert type(reporter).__name__ == "NotebookReporter"
    reporter._delay = 0.0
    reporter.stage("<train>", 4, "steps")
    reporter.advance(1, loss=0.25)
    reporter.advance(2)
    reporter.stage("next", None)
    reporter.close()
    everything = " ".join(html for group in notebook for html in group)
    assert "<train>" not in everything and "&lt;train&gt;" in everything and "&lt;done&gt;" in everything
    drawn = next(group for group in notebook if "&lt;train&gt;" in group[0])
    assert '<progress max="4" value="1">' in drawn[0] and "loss 0.25" in drawn[0]
    assert "<progress" not in drawn[-1]
