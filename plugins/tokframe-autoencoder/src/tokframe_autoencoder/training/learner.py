"""What learns during a stage: its parameters' optimizer, the sampler of its batches, and one step of both.

When a stage begins and ends, and what is written, is the loop's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.processes import Processes
from tokframe_autoencoder.training.sampler import HardSampler
from tokframe_autoencoder.training.stages import Stage

__all__ = ["Learner", "under"]


class Learner:
    """A stage with a fresh optimizer and sampler."""

    def __init__(self, stage: Stage, config: TrainingConfig, processes: Processes, seed: int) -> None:
        self.stage, self.config, self.processes = stage, config, processes
        self.parameters = stage.parameters()
        self.sampler = HardSampler(stage.allowed, config.hard_floor, seed)
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=True)

    def step(self, rate: float, bfloat: bool) -> Tensor:
        """Make one optimizer step on this process's share of a batch; return the loss of the whole batch.

        Every process draws the same batch. `rate` is a share of the learning rate; `bfloat` computes in bf16.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * rate
        device = self.processes.device
        drawn = self.sampler.draw(self.config.batch_size)
        batch, rows = drawn.to(device), self.processes.share(len(drawn))
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat):
            loss, found = self.stage.loss(batch[rows], batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        loss, difficulty = loss.detach(), torch.zeros(len(batch), device=device)
        difficulty[rows] = found.float()
        self.processes.add_up([loss, difficulty, *(p.grad for p in self.parameters if p.grad is not None)])
        self.sampler.learn(drawn, difficulty)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        return loss

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on, but for the network."""
        tensors = {f"sampler.{k}": v for k, v in self.sampler.state().items()}
        tensors |= {f"stage.{k}": v for k, v in self.stage.state().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in values.items()}
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        self.stage.load(under("stage.", tensors))
        self.sampler.load(under("sampler.", tensors))
        state = self.optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in under("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            moments.setdefault(int(number), {})[key] = value.to(self.processes.device)
        state["state"] = moments
        self.optimizer.load_state_dict(state)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
