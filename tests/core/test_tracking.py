"""Figures of training kept elsewhere, beside what shows progress."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import tokframe
from tokframe.errors import UnsupportedError
from tokframe.training.progress import AUTO, shows_progress


@shows_progress
def trained(reporter=AUTO):
    for stage in ("codes", "decoder"):
        reporter.stage(stage, 10, "steps")
        reporter.advance(5, loss=0.5, phase="warm")
        reporter.advance(10)
    reporter.note("done")


def test_numbers_are_written_with_a_step_that_counts_over_all_stages(capsys):
    written = []
    trained(reporter=tokframe.TrackingReporter(lambda figures, step: written.append((figures, step))))
    assert written == [({"codes/loss": 0.5}, 5), ({"decoder/loss": 0.5}, 15)]


def test_progress_is_shown_beside_it(monkeypatch):
    seen = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("tokframe.training.terminal.ConsoleReporter.stage", lambda self, *given: seen.append(given))
    trained(reporter=tokframe.TrackingReporter(lambda figures, step: None))
    assert [name for name, *_ in seen] == ["codes", "decoder"]


def test_tensorboard_gets_scalars(monkeypatch, tmp_path):
    calls = []

    class SummaryWriter:
        def __init__(self, folder):
            assert folder == str(tmp_path)

        def add_scalar(self, *given):
            calls.append(given)

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    trained(reporter=tokframe.TensorBoardReporter(tmp_path))
    assert calls == [("codes/loss", 0.5, 5), ("decoder/loss", 0.5, 15)]


def test_tensorboard_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UnsupportedError, match="needs tensorboard and torch: pip install"):
        tokframe.TensorBoardReporter(tmp_path)


def test_weights_and_biases_gets_the_figures_with_their_step():
    logged = []

    class Run:
        def log(self, figures):
            logged.append(figures)

    trained(reporter=tokframe.WandbReporter(Run()))
    assert logged[-1] == {"decoder/loss": 0.5, "step": 15}
