"""The steps in which model and network are trained together: where they stand, checkpoints, resuming bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve
from torch import Tensor, nn

from tokframe.errors import TrainingError, TrainingInterrupted
from tokframe.storage.config import unstructure
from tokframe.training.progress import Reporter
from tokframe_lm import checkpoint
from tokframe_lm.data.tokens import TokenFile
from tokframe_lm.data.windows import Windows
from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.finetuning.joint import JointModel

__all__ = ["JointRun"]

_POINTS = 200  # points kept of the loss curves


class JointRun:
    """One run of joint steps. Raises: CorpusError where the text is shorter than a window."""

    def __init__(
        self,
        joint: JointModel,
        config: FinetuneConfig,
        tokens: TokenFile,
        work: Path,
        identity: str,
        device: torch.device,
    ) -> None:
        self.joint, self.config, self.work = joint.to(device), config, work
        self.identity, self.device = identity, device
        shape = evolve(joint.model.config, batch=config.batch, batch_bytes=0, steps=config.steps, seed=config.seed)
        self.windows = Windows(tokens, shape)
        self.coded = joint.coded.cpu().nonzero()[:, 0].numpy()
        self.step, self.seconds = 0, 0.0
        self.curve: list[list[float]] = []
        self._sums = [0.0, 0.0, 0.0]
        theirs = {id(p) for p in joint.network.parameters()}
        model = [p for p in joint.parameters() if p.requires_grad and id(p) not in theirs]
        network = list(joint.network.parameters())
        groups: list[dict[str, Any]] = []
        for parameters, rate in ((model, config.learning_rate), (network, config.network_rate)):
            decayed, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
            groups.append({"params": decayed, "weight_decay": config.weight_decay, "full": rate})
            groups.append({"params": others, "weight_decay": 0.0, "full": rate})
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.95))

    def go(self, reporter: Reporter, should_stop: Callable[[], bool]) -> None:
        """Take the steps that are left. Raises: TrainingInterrupted, a checkpoint kept; TrainingError."""
        self.joint.train()
        steps = self.config.steps
        reporter.stage("fine-tune", steps, "steps")
        every = max(1, steps // _POINTS)
        while self.step < steps:
            started = time.monotonic()
            lm, reconstruction = self._take_step()
            self.seconds += time.monotonic() - started
            if not math.isfinite(lm + reconstruction):
                raise TrainingError(
                    f"the loss is {lm} of the model and {reconstruction} of the reconstruction after step {self.step}: "
                    f'training has come apart. Say a smaller "learning_rate" than {self.config.learning_rate} or '
                    f'"network_rate" than {self.config.network_rate} in the config'
                )
            self._sums = [self._sums[0] + lm, self._sums[1] + reconstruction, self._sums[2] + 1]
            if self.step % every == 0 or self.step == steps:
                lm_mean, other_mean = (value / self._sums[2] for value in self._sums[:2])
                self.curve.append([self.step, round(lm_mean, 5), round(other_mean, 6)])
                self._sums = [0.0, 0.0, 0.0]
            reporter.advance(self.step, lm=lm, reconstruction=reconstruction)
            if should_stop():
                self.keep()
                raise TrainingInterrupted(
                    f"stopped after step {self.step} of {steps}; a checkpoint is kept in {self.work}",
                    checkpoint=self.work,
                )
            if self.step % self.config.checkpoint_every == 0 or self.step == steps:
                self.keep()

    def summary(self) -> dict[str, Any]:
        """Return what the model folder says of the joint steps."""
        return {
            "steps": self.step,
            "tokens": self.windows.seen(self.step),
            "seconds": round(self.seconds, 2),
            "lambda": self.config.reconstruction,
            "config": unstructure(self.config),
            "loss": self.curve,
        }

    def keep(self) -> None:
        """Write a checkpoint. Raises: TrainingError."""
        record = {"run": self.identity, "seconds": self.seconds, "curve": self.curve, "pending": self._sums}
        checkpoint.write(self.work, self.step, checkpoint.state(self.joint, self.optimizer), record)

    def restore(self) -> None:
        """Go back to the checkpoint. Raises: TrainingError if there is none, or one of another run."""
        tensors, record = checkpoint.read(self.work, self.identity)
        try:
            checkpoint.load_state(tensors, self.joint, self.optimizer, self.device)
            self.step, self.seconds, self.curve = record["step"], record["seconds"], record["curve"]
            self._sums = record["pending"]
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise checkpoint.unreadable(self.work, error) from error

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _take_step(self) -> tuple[float, float]:
        if self.step and self.step % self.config.refresh == 0:
            self.joint.refresh()
        for group in self.optimizer.param_groups:
            group["lr"] = group["full"] * self._rate()
        ids, targets, drawn = self._batch()
        lm, reconstruction = self.joint.losses(ids, targets, drawn)
        self.optimizer.zero_grad(set_to_none=True)
        (lm + self.config.reconstruction * reconstruction).backward()  # type: ignore[no-untyped-call]  # torch has none
        torch.nn.utils.clip_grad_norm_(self._parameters(), self.config.clip)
        self.optimizer.step()
        self.step += 1
        return float(lm.detach()), float(reconstruction.detach())

    def _rate(self) -> float:
        """Return the share of the full learning rates: up in a line, then down in half a cosine to a tenth."""
        rise = max(1, round(self.config.warmup * self.config.steps))
        if self.step < rise:
            return (self.step + 1) / rise
        share = (self.step - rise) / max(1, self.config.steps - rise)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * share))

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return windows of text and ids drawn for reconstruction; seed and step alone decide which."""
        both = torch.from_numpy(self.windows.read(self.windows.of(self.step))).to(self.device)
        draw = np.random.default_rng([self.config.seed, 1, self.step])
        drawn = torch.from_numpy(draw.choice(self.coded, self.config.segments)).to(self.device)
        return both[:, :-1], both[:, 1:], drawn
