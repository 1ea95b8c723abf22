"""Run: the loop of a training run, with checkpoints, stopping and resuming, in one process or several.

What a step is, and what is measured, is left to subclasses. Which step does what may depend only on the seed, the data
and the config: then a resumed run is the uninterrupted one bit for bit, and several processes see the same batches.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tokframe.errors import TrainingError, TrainingInterrupted
from tokframe.training.progress import Reporter
from tokframe_torch.checkpoint import (
    Checkpoint,
    pack,
    read_checkpoint,
    unpack,
    unreadable,
    with_prefix,
    write_checkpoint,
)
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import Processes
from tokframe_torch.schedule import warmup_cosine

__all__ = ["Run", "StepRun"]

_CURVE_POINTS = 200


class Run(ABC):
    """A training run of `module`, whose checkpoints are in `workdir`; `identity` is what a resumed run must share.

    `step` counts finished steps and `seconds` wall-clock time, both over all sessions. A subclass sets `optimizer`, in
    its constructor or in `start` and `load`.
    """

    optimizer: Optimizer

    def __init__(
        self, module: nn.Module, *, workdir: Path, identity: str, reporter: Reporter, processes: Processes
    ) -> None:
        self.module = module.to(processes.device)
        self.workdir, self.identity, self.reporter, self.processes = workdir, identity, reporter, processes
        self.step, self.seconds = 0, 0.0

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether no step is left."""

    @abstractmethod
    def update(self) -> None:
        """Make one step, in every process. Raises: TrainingError if training diverged."""

    @abstractmethod
    def due(self) -> bool:
        """Return whether the step just made is followed by an evaluation and a checkpoint."""

    def start(self) -> None:  # noqa: B027 - optional
        """Prepare a run that is not resumed, in the main process."""

    def evaluate(self) -> None:  # noqa: B027 - optional
        """Measure where the run stands, in every process, before a checkpoint."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that the next step depends on, besides those of module and optimizer."""
        return {}

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return everything else that the next step depends on, as JSON data."""

    @abstractmethod
    def load(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what `record` and `tensors` returned; the module is restored before, the optimizer after."""

    def begin(self, *, resume: bool, required: bool = False) -> None:
        """Start, or resume from the checkpoint in `workdir`; without one start, unless it is `required`.

        Raises: TrainingError if the checkpoint is missing, damaged or another run's.
        """
        if self.processes.main:
            checkpoint = read_checkpoint(self.workdir) if resume else None
            if checkpoint is not None:
                self._load(checkpoint)
            elif required:
                raise TrainingError(f"there is no checkpoint in {self.workdir} to resume; run it without --resume")
            else:
                self.start()
        self.sync_from_main()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Make the steps that are left.

        Raises: TrainingInterrupted when `should_stop` became true in any process, after a checkpoint; TrainingError.
        """
        self.module.train()
        started = time.monotonic() - self.seconds
        while not self.finished:
            if self.processes.any(should_stop()):
                self.save_checkpoint()
                raise TrainingInterrupted(
                    f"training was stopped at step {self.step}; the checkpoint is in {self.workdir}",
                    checkpoint=self.workdir,
                )
            self.update()
            self.step += 1
            self.seconds = time.monotonic() - started
            if self.due():
                self.evaluate()
                self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Write a checkpoint, in the main process. Raises: TrainingError."""
        if self.processes.main:
            write_checkpoint(self.workdir, self._checkpoint())

    def sync_from_main(self) -> None:
        """Bring every process to the state of the main one."""
        if self.processes.world_size > 1:
            data = self.processes.broadcast(pack(self._checkpoint()) if self.processes.main else b"")
            if not self.processes.main:
                self._load(unpack(data))

    def _checkpoint(self) -> Checkpoint:
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        record = {"identity": self.identity, "step": self.step, "seconds": self.seconds}
        return Checkpoint(tensors=tensors | self.tensors(), record=record | self.record())

    def _load(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint. Raises: TrainingError if it is another run's."""
        record, tensors = checkpoint.record, checkpoint.tensors
        try:
            if record["identity"] != self.identity:
                raise TrainingError(
                    f"the checkpoint in {self.workdir} is of another run: text, config, seed or tokenizer differ. Give "
                    "the same ones, train without --resume, or choose another folder"
                )
            self.module.load_state_dict(with_prefix("module.", tensors))
            self.load(record, tensors)
            self.optimizer.load(with_prefix("optimizer.", tensors))
            self.step, self.seconds = int(record["step"]), float(record["seconds"])
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise unreadable(self.workdir, error) from error


class StepRun(Run):
    """A run of `steps` steps, its rates warmed up over the share `warmup` of them and decayed to a tenth.

    `curve` is the mean of each loss at about 200 points: [step, loss, ...]. `rates` names the learning rates of the
    config, for the error when training diverges.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        *,
        steps: int,
        warmup: float,
        checkpoint_every: int,
        rates: Mapping[str, float],
        workdir: Path,
        identity: str,
        reporter: Reporter,
        processes: Processes,
    ) -> None:
        super().__init__(module, workdir=workdir, identity=identity, reporter=reporter, processes=processes)
        self.optimizer, self.steps, self.warmup = optimizer, steps, warmup
        self.checkpoint_every, self.rates = checkpoint_every, rates
        self.curve: list[list[float]] = []
        self._pending: list[list[float]] = []  # losses of the steps since the last point

    @abstractmethod
    def losses(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return this process's part of the loss of step `step`, and of the losses to report, by name."""

    def figures(self) -> dict[str, float]:
        """Return what else to report after a step."""
        return {}

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.steps

    def due(self) -> bool:
        """Return whether a checkpoint follows: every `checkpoint_every` steps and at the end."""
        return self.step % self.checkpoint_every == 0 or self.finished

    def update(self) -> None:
        """Make one step and report it. Raises: TrainingError if a loss is not finite."""
        loss, parts = self.losses()
        sums = torch.stack([part.detach().float() for part in parts.values()])
        self.optimizer.update(loss, warmup_cosine(self.step, self.steps, self.warmup), sums)
        values = sums.tolist()
        step = self.step + 1
        if not all(map(math.isfinite, values)):
            lower = " or ".join(f'"{name}" (now {rate})' for name, rate in self.rates.items())
            found = ", ".join(f"{name} {value}" for name, value in zip(parts, values, strict=True))
            raise TrainingError(f"training diverged at step {step}: {found}. Set a lower {lower} in the config")
        self._pending.append(values)
        if step % max(1, self.steps // _CURVE_POINTS) == 0 or step == self.steps:
            means = [sum(column) / len(column) for column in zip(*self._pending, strict=True)]
            self.curve.append([step, *(round(mean, 6) for mean in means)])
            self._pending = []
        self.reporter.advance(step, **dict(zip(parts, values, strict=True)), **self.figures())

    def record(self) -> dict[str, Any]:
        """Return the loss curve."""
        return {"curve": self.curve, "pending": self._pending}

    def load(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore the loss curve."""
        self.curve, self._pending = list(record["curve"]), list(record["pending"])
