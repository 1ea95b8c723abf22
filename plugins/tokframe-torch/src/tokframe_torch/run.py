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
from tokframe_torch import checkpoint as checkpoints
from tokframe_torch.checkpoint import Checkpoint, with_prefix
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
    def update(self) -> bool:
        """Make one step, in every process; return whether an evaluation and a checkpoint follow.

        Raises: TrainingError if training diverged.
        """

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what else the next step depends on, besides module and optimizer: JSON data and tensors."""

    @abstractmethod
    def load(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned; the module is restored before, the optimizer after."""

    def start(self) -> None:  # noqa: B027 - optional
        """Prepare a run that is not resumed, in the main process."""

    def resumed(self) -> None:  # noqa: B027 - optional
        """Prepare a run that was loaded from a checkpoint, in the main process."""

    def evaluate(self) -> None:  # noqa: B027 - optional
        """Measure where the run stands, in every process, before a checkpoint."""

    def begin(self, *, resume: bool) -> None:
        """Start, or resume from the checkpoint in `workdir` if there is one.

        Raises: TrainingError if the checkpoint is damaged or another run's.
        """
        if self.processes.main:
            checkpoint = checkpoints.read_checkpoint(self.workdir) if resume else None
            if checkpoint is not None:
                self._load(checkpoint)
                self.resumed()
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
                text = f"training was stopped at step {self.step}; the checkpoint is in {self.workdir}"
                raise TrainingInterrupted(text, checkpoint=self.workdir)
            due = self.update()
            self.step += 1
            self.seconds = time.monotonic() - started
            if due:
                self.evaluate()
                self.save_checkpoint()

    def check_finite(self, step: int, losses: Mapping[str, float]) -> None:
        """Check the losses of a step, by name. Raises: TrainingError where training diverged; checkpoints are kept."""
        if not all(map(math.isfinite, losses.values())):
            shown = ", ".join(f"{name} {value}" for name, value in losses.items())
            lower = " or ".join(f'"{name}" (now {peak})' for name, peak in self.optimizer.peaks.items())
            kept = f". The last checkpoint is in {self.workdir}" if checkpoints.has_checkpoint(self.workdir) else ""
            raise TrainingError(f"training diverged at step {step}: {shown}. Set a lower {lower} in the config{kept}")

    def save_checkpoint(self) -> None:
        """Write a checkpoint, in the main process. Raises: TrainingError."""
        if self.processes.main:
            checkpoints.write_checkpoint(self.workdir, self._checkpoint())

    def sync_from_main(self) -> None:
        """Bring every process to the state of the main one."""
        if self.processes.world_size > 1:
            data = self.processes.broadcast(checkpoints.pack(self._checkpoint()) if self.processes.main else b"")
            if not self.processes.main:
                self._load(checkpoints.unpack(data))

    def _checkpoint(self) -> Checkpoint:
        record, tensors = self.state()
        record |= {"identity": self.identity, "step": self.step, "seconds": self.seconds}
        tensors |= {f"module.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        return Checkpoint(tensors=tensors, record=record)

    def _load(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint. Raises: TrainingError if it is another run's."""
        record, tensors = checkpoint.record, checkpoint.tensors
        try:
            if record["identity"] != self.identity:
                raise TrainingError(
                    f"the checkpoint in {self.workdir} is of another run: text, config, seed or tokenizer differ. Give "
                    "the same ones, or choose another output folder"
                )
            self.module.load_state_dict(with_prefix("module.", tensors))
            self.load(record, tensors)
            self.optimizer.load(with_prefix("optimizer.", tensors))
            self.step, self.seconds = int(record["step"]), float(record["seconds"])
            if self.step < 0 or not self.seconds >= 0:
                raise ValueError(f"step {self.step} after {self.seconds} s")
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise checkpoints.unreadable(self.workdir, error) from error


class StepRun(Run):
    """A run of `steps` steps, its rates warmed up over the share `warmup` of them and decayed to a tenth.

    `losses(step)` returns this process's part of the loss, and of the losses to report, by name; `tokens(steps)` how
    many tokens so many steps take. `curve` is the mean of each loss at about 200 points: [step, loss, ...].
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        losses: Callable[[int], tuple[Tensor, dict[str, Tensor]]],
        *,
        steps: int,
        warmup: float,
        checkpoint_every: int,
        tokens: Callable[[int], int],
        workdir: Path,
        identity: str,
        reporter: Reporter,
    ) -> None:
        processes = optimizer.processes
        super().__init__(module, workdir=workdir, identity=identity, reporter=reporter, processes=processes)
        self.optimizer, self.losses, self.tokens = optimizer, losses, tokens
        self.steps, self.warmup, self.checkpoint_every = steps, warmup, checkpoint_every
        self.curve: list[list[float]] = []
        self._pending: list[list[float]] = []  # losses of the steps since the last point

    @property
    def finished(self) -> bool:
        """Whether all steps are made."""
        return self.step >= self.steps

    def update(self) -> bool:
        """Make one step and report it; a checkpoint follows every `checkpoint_every` steps and at the end."""
        loss, parts = self.losses(self.step)
        sums = torch.stack([part.detach().float() for part in parts.values()])
        self.optimizer.update(loss, warmup_cosine(self.step, self.steps, self.warmup), sums)
        step, values = self.step + 1, sums.tolist()
        found = dict(zip(parts, values, strict=True))
        self.check_finite(step, found)
        self._pending.append(values)
        if step % max(1, self.steps // _CURVE_POINTS) == 0 or step == self.steps:
            means = [sum(column) / len(column) for column in zip(*self._pending, strict=True)]
            self.curve.append([step, *(round(mean, 6) for mean in means)])
            self._pending = []
        speed = self.tokens(self.step) / self.seconds if self.seconds else 0.0
        self.reporter.advance(step, **found, tokens_per_s=speed)
        return step % self.checkpoint_every == 0 or step == self.steps

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the loss curve."""
        return {"curve": self.curve, "pending": self._pending}, {}

    def load(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore the loss curve."""
        self.curve, self._pending = list(record["curve"]), list(record["pending"])
