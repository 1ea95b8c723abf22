"""JointRun: the steps in which a language model and its tokenizer's network are trained together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve
from tokframe_torch.optimizer import Optimizer
from tokframe_torch.processes import Processes
from tokframe_torch.run import StepRun
from torch import Tensor

from tokframe.storage.config import unstructure
from tokframe.training.progress import Reporter
from tokframe_lm.data.tokens import TokenFile
from tokframe_lm.data.windows import Windows
from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.finetuning.joint import JointModel

__all__ = ["JointRun"]


class JointRun(StepRun):
    """One run of joint steps. Raises: CorpusError where the text is shorter than a window."""

    def __init__(
        self,
        joint: JointModel,
        config: FinetuneConfig,
        tokens: TokenFile,
        *,
        workdir: Path,
        identity: str,
        reporter: Reporter,
        processes: Processes,
    ) -> None:
        network = list(joint.network.parameters())
        theirs = {id(p) for p in network}
        model = [p for p in joint.parameters() if id(p) not in theirs]
        super().__init__(
            joint,
            Optimizer(
                [(model, config.learning_rate), (network, config.network_rate)],
                weight_decay=config.weight_decay,
                beta2=0.95,
                clip=config.clip,
                processes=processes,
            ),
            steps=config.steps,
            warmup=config.warmup,
            checkpoint_every=config.checkpoint_every,
            rates={"learning_rate": config.learning_rate, "network_rate": config.network_rate},
            workdir=workdir,
            identity=identity,
            reporter=reporter,
            processes=processes,
        )
        self.joint, self.config = joint, config
        shape = evolve(joint.model.config, batch=config.batch, batch_bytes=0, steps=config.steps, seed=config.seed)
        self.windows = Windows(tokens, shape)
        self.coded = joint.coded.cpu().nonzero()[:, 0].numpy()

    def losses(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of both losses, and each."""
        if self.step and self.step % self.config.refresh == 0:
            self.joint.refresh()
        lm, reconstruction = self.joint.losses(*self._batch())
        return lm + self.config.reconstruction * reconstruction, {"lm": lm, "reconstruction": reconstruction}

    def summary(self) -> dict[str, Any]:
        """Return the record of the joint steps for model.json."""
        return {
            "steps": self.step,
            "tokens": self.windows.seen(self.step),
            "seconds": round(self.seconds, 2),
            "lambda": self.config.reconstruction,
            "config": unstructure(self.config),
            "loss": self.curve,
        }

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return windows of text and ids drawn for reconstruction; seed and step alone decide which."""
        both = torch.from_numpy(self.windows.read(self.windows.of(self.step))).to(self.processes.device)
        draw = np.random.default_rng([self.config.seed, 1, self.step])
        drawn = torch.from_numpy(draw.choice(self.coded, self.config.segments)).to(self.processes.device)
        return both[:, :-1], both[:, 1:], drawn
