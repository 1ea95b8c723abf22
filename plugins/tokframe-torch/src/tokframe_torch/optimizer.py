"""Optimizer: AdamW with a peak learning rate per group. Which share of it counts at a step is the schedule's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tokframe_torch.checkpoint import with_prefix
from tokframe_torch.processes import Processes

__all__ = ["Optimizer"]


class Optimizer:
    """AdamW over groups `{name of the rate: (parameters, peak rate)}`; only matrices decay.

    Gradients are summed over processes, then clipped to the norm `clip`. `peaks` are the peak rates by name.
    """

    def __init__(
        self,
        groups: Mapping[str, tuple[Iterable[nn.Parameter], float]],
        *,
        weight_decay: float,
        clip: float,
        processes: Processes,
        beta2: float = 0.95,
    ) -> None:
        self.clip, self.processes = clip, processes
        self.peaks = {name: peak for name, (_, peak) in groups.items()}
        settings: list[dict[str, Any]] = []
        for parameters, peak in groups.values():
            trained = [p for p in parameters if p.requires_grad]
            matrices, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
            settings.append({"params": matrices, "weight_decay": weight_decay, "peak": peak})
            settings.append({"params": vectors, "weight_decay": 0.0, "peak": peak})
        self.parameters: list[nn.Parameter] = [p for group in settings for p in group["params"]]
        self._adamw = torch.optim.AdamW(settings, betas=(0.9, beta2), fused=True)

    def update(self, loss: Tensor, rate: float, *sums: Tensor) -> None:
        """Make one step on this process's part of a loss, at the share `rate` of the peak rates.

        `sums`, on the same device, are replaced by their sums over all processes.
        """
        for group in self._adamw.param_groups:
            group["lr"] = group["peak"] * rate
        self._adamw.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        self.processes.all_reduce_sum([*sums, *(p.grad for p in self.parameters if p.grad is not None)])
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self._adamw.step()

    def state(self) -> dict[str, Tensor]:
        """Return the moments and step counts, by number of the parameter and name."""
        moments = self._adamw.state_dict()["state"].items()
        return {f"{number}.{key}": value for number, values in moments for key, value in values.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned. Raises: ValueError where it does not fit."""
        numbers = range(len(self.parameters))
        found = {number: with_prefix(f"{number}.", tensors) for number in numbers}
        for number, values in found.items():
            for key, value in values.items():
                if key != "step" and value.shape != self.parameters[number].shape:
                    raise ValueError(f"{key} of parameter {number} has the shape {tuple(value.shape)}")
        state = self._adamw.state_dict()
        self._adamw.load_state_dict(state | {"state": {number: values for number, values in found.items() if values}})
