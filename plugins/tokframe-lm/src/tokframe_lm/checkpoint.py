"""A training run on disk: tensors in one safetensors file, and the JSON record that names it, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from tokframe.errors import TrainingError
from tokframe.folders import write_atomically
from tokframe.strictjson import canonical_json

__all__ = ["RECORD", "read", "write"]

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


def unreadable(work: Path, error: Exception) -> TrainingError:
    """Return the error of a checkpoint that makes no sense."""
    return TrainingError(f"the checkpoint in {work} cannot be read: {error!r}; run it without --resume")
