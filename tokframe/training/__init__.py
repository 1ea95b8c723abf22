"""One training run: its inputs, its progress, and the processes it is spread over."""

from __future__ import annotations

from tokframe.training.job import TrainJob
from tokframe.training.progress import Reporter, SilentReporter

__all__ = ["Reporter", "SilentReporter", "TrainJob"]
