"""What the core hands to a tokenizer's training: the text, the config, where to keep checkpoints, who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tokframe.progress import Reporter, SilentReporter

if TYPE_CHECKING:
    from tokframe.components import Registry
    from tokframe.corpus import Corpus

__all__ = ["TrainJob"]


def _never() -> bool:
    return False


@frozen(kw_only=True, eq=False)
class TrainJob:
    """One training run.

    `name` is the registered name asked for; `config` raw JSON data, checked by the tokenizer; `workdir` a folder
    for checkpoints that survives the process; `should_stop` becomes true when the user interrupts: save a
    checkpoint and raise TrainingInterrupted.
    """

    corpus: Corpus
    config: Mapping[str, Any]
    workdir: Path
    registry: Registry
    resume: bool = False
    reporter: Reporter = field(factory=SilentReporter)
    should_stop: Callable[[], bool] = _never
    device: str | None = None
    seed: int | None = None
    name: str = ""
