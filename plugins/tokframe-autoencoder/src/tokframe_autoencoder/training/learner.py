"""Learner: the optimizer and the sampler of one stage, and one step of both. When a stage ends is the loop's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tokframe_torch.checkpoint import with_prefix
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import Processes
from torch import Tensor

from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.sampler import HardSampler
from tokframe_autoencoder.training.stages import Stage

__all__ = ["Learner"]


class Learner:
    """A stage with a fresh optimizer and sampler."""

    def __init__(self, stage: Stage, config: TrainingConfig, processes: Processes, seed: int) -> None:
        self.stage, self.config, self.processes = stage, config, processes
        self.sampler = HardSampler(stage.allowed, config.hard_floor, seed)
        self.optimizer = Optimizer(
            {"learning_rate": (stage.parameters(), config.learning_rate)},
            weight_decay=config.weight_decay,
            beta2=config.beta2,
            clip=config.clip,
            processes=processes,
        )

    def step(self, rate: float, bfloat: bool) -> Tensor:
        """Make one optimizer step on this process's share of a batch; return the loss of the whole batch.

        Every process draws the same batch. `rate` is a share of the learning rate; `bfloat` computes in bf16.
        """
        device = self.processes.device
        drawn = self.sampler.draw(self.config.batch_size)
        batch, rows = drawn.to(device), self.processes.share(len(drawn))
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat):
            part, found = self.stage.loss(batch[rows], batch)
        loss, difficulty = part.detach().clone(), torch.zeros(len(batch), device=device)
        difficulty[rows] = found.float()
        self.optimizer.update(part, rate, loss, difficulty)
        self.sampler.learn(drawn, difficulty)
        return loss

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on, besides the network and the optimizer."""
        tensors = {f"sampler.{k}": v for k, v in self.sampler.state().items()}
        return tensors | {f"stage.{k}": v for k, v in self.stage.state().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        self.stage.load(with_prefix("stage.", tensors))
        self.sampler.load(with_prefix("sampler.", tensors))
