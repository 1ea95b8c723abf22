"""Joint steps: a language model and its tokenizer's network trained together, for a sum of both losses."""

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

__all__ = ["joint_run", "joint_summary"]


def joint_run(
    joint: JointModel,
    config: FinetuneConfig,
    tokens: TokenFile,
    *,
    workdir: Path,
    identity: str,
    reporter: Reporter,
    processes: Processes,
) -> StepRun:
    """Return the run of the joint steps. Raises: CorpusError where the text is shorter than a window."""
    joint.to(processes.device)
    shape = evolve(joint.model.config, batch=config.batch, batch_bytes=0, steps=config.steps, seed=config.seed)
    windows = Windows(tokens, shape)
    coded = joint.coded.cpu().nonzero()[:, 0].numpy()

    def losses(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        if step and step % config.refresh == 0:
            joint.refresh()
        both = torch.from_numpy(windows.read(windows.of(step))).to(processes.device)
        draw = np.random.default_rng([config.seed, 1, step])  # ids to reconstruct: seed and step alone decide
        drawn = torch.from_numpy(draw.choice(coded, config.segments)).to(processes.device)
        lm, reconstruction = joint.losses(both[:, :-1], both[:, 1:], drawn)
        return lm + config.reconstruction * reconstruction, {"lm": lm, "reconstruction": reconstruction}

    network = list(joint.network.parameters())
    theirs = {id(p) for p in network}
    model = [p for p in joint.parameters() if id(p) not in theirs]
    groups = {"learning_rate": (model, config.learning_rate), "network_rate": (network, config.network_rate)}
    return StepRun(
        joint,
        Optimizer(groups, weight_decay=config.weight_decay, clip=config.clip, processes=processes),
        losses,
        steps=config.steps,
        warmup=config.warmup,
        checkpoint_every=config.checkpoint_every,
        tokens=windows.seen,
        workdir=workdir,
        identity=identity,
        reporter=reporter,
    )


def joint_summary(run: StepRun, config: FinetuneConfig) -> dict[str, Any]:
    """Return the record of the joint steps for model.json."""
    return {
        "steps": run.step,
        "tokens": run.tokens(run.step),
        "seconds": round(run.seconds, 2),
        "lambda": config.reconstruction,
        "config": unstructure(config),
        "loss": run.curve,
    }
