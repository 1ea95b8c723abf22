"""One training run: its inputs, its progress, and the processes it is spread over.

The names are imported when they are first used, so that loading a tokenizer does not read what training needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokframe.training.job import TrainJob as TrainJob
    from tokframe.training.progress import Reporter as Reporter
    from tokframe.training.progress import SilentReporter as SilentReporter

__all__ = ["Reporter", "SilentReporter", "TrainJob"]


def __getattr__(name: str) -> Any:
    if name == "TrainJob":
        from tokframe.training.job import TrainJob

        return TrainJob
    if name in __all__:
        from tokframe.training import progress

        return getattr(progress, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
