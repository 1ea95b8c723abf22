"""TrainJob: the inputs of one training run: corpus, config, work folder, progress reporter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tokframe.corpus.sources import Sampler, unmatched
from tokframe.errors import ConfigError, TrainingError, TrainingInterrupted
from tokframe.training.progress import SILENT, Reporter, never_stop

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus
    from tokframe.plugins.registry import Registry

__all__ = ["TrainJob"]


@frozen(kw_only=True, eq=False)
class TrainJob:
    """One training run.

    `name` is the registered name asked for; `config` raw JSON data, checked by the tokenizer; `workdir` a folder
    for checkpoints that survives the process; `should_stop` returns True once the user has interrupted: save a
    checkpoint and raise TrainingInterrupted. `vocabulary` is the tokenizer whose ids are kept, if any.
    """

    corpus: Corpus
    config: Mapping[str, Any]
    workdir: Path
    registry: Registry
    resume: bool = False
    reporter: Reporter = SILENT
    should_stop: Callable[[], bool] = never_stop
    device: str | None = None
    seed: int | None = None
    name: str = ""
    vocabulary: Any = None

    def check_cpu(self) -> None:
        """Check that no other device was asked for, in training that uses none. Raises: TrainingError."""
        if self.device not in (None, "cpu"):
            raise TrainingError(
                f"{self.name or 'this tokenizer'} is trained on the CPU and cannot use --device {self.device}; leave "
                "the option out"
            )

    def documents(
        self,
        stage: str = "read the corpus",
        figures: Callable[[], Mapping[str, float | int | str]] = dict,
        weights: Mapping[str, float] = MappingProxyType({}),
    ) -> Iterator[str]:
        """Yield every document, reporting the megabytes read as `stage`, with `figures()` beside them.

        `weights`, by name of a source or pattern, repeat or thin the text (see `corpus.sources.Sampler`). For training
        that keeps no checkpoint while it reads.
        Raises: ConfigError for weights that name no source; CorpusError; TrainingInterrupted on request.
        """
        if unused := unmatched(weights, list(self.corpus.sources())):
            raise ConfigError("config", [(f"$.weights.{pattern}", problem) for pattern, problem in unused])
        self.reporter.stage(stage, self.corpus.megabytes, "MB")
        sampler, done = Sampler(weights), 0.0
        for file in self.corpus.files:
            for document in file.documents():
                if self.should_stop():
                    raise TrainingInterrupted(f"stopped after reading {done:.1f} MB; nothing was saved")
                yield sampler.sampled(document, file.source)
                done += len(document.encode()) / 1e6
                self.reporter.advance(done, **figures(), **self.corpus.faults.figures())
