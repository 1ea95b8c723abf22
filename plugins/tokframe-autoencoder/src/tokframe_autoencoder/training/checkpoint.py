"""A training run on disk: one safetensors file and one JSON record that names it, each put in place by one rename.

The record is written last, so a run killed at any moment resumes from the last complete pair.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tokframe.errors import TrainingError

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

_RECORD = "training.json"
_FORMAT = 1


@frozen(kw_only=True, eq=False)
class Checkpoint:
    """`tensors`: weights, optimizer, sampler and random state; `record`: everything else, as JSON data."""

    tensors: Mapping[str, Tensor]
    record: Mapping[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a folder, atomically. Raises: TrainingError if the folder cannot be written."""
    step = int(checkpoint.record["step"])
    name = f"training-{step}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.part"
        save_file({key: value.detach().cpu().contiguous() for key, value in checkpoint.tensors.items()}, part)
        digest = _finish(part, folder / name)
        record = dict(checkpoint.record) | {"format": _FORMAT, "file": name, "sha256": digest}
        part = folder / f"{_RECORD}.part"
        part.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
        _finish(part, folder / _RECORD)
        for old in folder.glob("training-*.safetensors"):
            if old.name != name:
                old.unlink()
    except OSError as error:
        raise TrainingError(
            f"cannot write the checkpoint to {folder}: {error}; free the space or choose another folder"
        ) from error


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of a folder, or None if it has none.

    Raises: TrainingError if it is damaged or of another format.
    """
    place = folder / _RECORD
    if not place.exists():
        return None
    try:
        record = json.loads(place.read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise TrainingError(
                f"the checkpoint in {folder} has format {record['format']}, this version reads {_FORMAT}; "
                "train again without --resume"
            )
        data = folder / str(record["file"])
        if data.parent != folder or hashlib.sha256(data.read_bytes()).hexdigest() != record["sha256"]:
            raise TrainingError(f"{data} was altered since it was written; train again without --resume")
        return Checkpoint(tensors=load_file(data), record=record)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise TrainingError(
            f"the checkpoint in {folder} cannot be read: {error!r}; train again without --resume"
        ) from error


def _finish(part: Path, place: Path) -> str:
    """Flush a finished file to disk, rename it into place, return its SHA-256."""
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    os.replace(part, place)
    return digest
