"""A training run on disk: tensors in one safetensors file, and the JSON record that names it, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from tokframe.errors import TrainingError
from tokframe.storage.atomic import write_atomically
from tokframe.storage.strictjson import canonical_json

__all__ = ["RECORD", "load_state", "read", "state", "unreadable", "write"]

RECORD = "checkpoint.json"


def write(work: Path, step: int, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Replace the checkpoint in a folder; the one before it stays whole until then. Raises: TrainingError."""
    name = f"checkpoint-{step}.safetensors"
    try:
        data = save({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()})
        write_atomically(work / name, data)
        write_atomically(work / RECORD, canonical_json({**record, "step": step, "file": name}))
        for old in work.glob("checkpoint-*.safetensors"):
            if old.name != name:
                old.unlink()
    except OSError as error:
        raise TrainingError(f"cannot write the checkpoint to {work}: {error}; free some space") from error


def read(work: Path, run: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors (on the CPU) and record of the checkpoint of a run, which its record calls `run`.

    Raises: TrainingError if there is none, or it is damaged or another run's.
    """
    if not (work / RECORD).is_file():
        raise TrainingError(f"there is no checkpoint in {work} to go on from; run it without --resume")
    try:
        record: dict[str, Any] = json.loads((work / RECORD).read_bytes())
        if record["run"] != run:
            raise TrainingError(
                f"the checkpoint in {work} is of another run: tokenizer, corpus or config differ. Give the same ones, "
                "or run it without --resume"
            )
        return load_file(work / Path(record["file"]).name), record
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise unreadable(work, error) from error


def state(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return weights and moments by name: all of a run that is tensors."""
    tensors: dict[str, Tensor] = {f"model.{key}": value for key, value in module.state_dict().items()}
    for index, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{index}.{key}"] = value
    return tensors


def load_state(
    tensors: Mapping[str, Tensor], module: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> None:
    """Take over what `state` returned. Raises: RuntimeError where it does not fit."""
    module.load_state_dict(_under("model.", tensors))
    for index, parameter in enumerate(_parameters(optimizer)):
        moments = _under(f"optimizer.{index}.", tensors)
        # AdamW counts its steps on the CPU
        optimizer.state[parameter] = {k: v if k == "step" else v.to(device) for k, v in moments.items()}


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def unreadable(work: Path, error: Exception) -> TrainingError:
    """Return the error of a checkpoint that makes no sense."""
    return TrainingError(f"the checkpoint in {work} cannot be read: {error!r}; run it without --resume")
