"""A state that holds a bit of everything, and ways to look at and damage the artifact written of it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tokframe.errors import ArtifactCorruptError
from tokframe.storage.artifact import read
from tokframe.storage.state import State

HEADER = {"tokenizer": {"name": "toy"}, "components": []}


def state(seed=0, **more):
    random = np.random.default_rng(seed)
    return State(
        **{
            "config": {"b": [1, 2.5, None], "a": "é"},
            "tensors": {
                "weights": {
                    "w": random.normal(size=(16, 8)).astype(np.float32).T,  # not contiguous
                    "empty": np.zeros((0, 3), np.int64),
                },
                "codebook": {"ids": np.arange(500, dtype=np.int32)},
            },
            "files": {"vocab.txt": b"one\ntwo\n", "empty.bin": b""},
        }
        | more
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit_json(path, change):
    """Apply `change` to the data of a file and write it back, as an older version would: without a sum of its own."""
    data = json.loads(path.read_bytes())
    data.pop("sha256", None)
    changed = change(data)
    path.write_text(json.dumps(changed if isinstance(changed, dict) else data), encoding="utf-8")


def edit_manifest(folder, change):
    edit_json(folder / "manifest.json", change)


def corrupt(folder) -> ArtifactCorruptError:
    with pytest.raises(ArtifactCorruptError) as caught:
        read(folder)
    error = caught.value
    assert error.path == folder and error.file
    assert str(folder) in str(error) and error.file in str(error)
    return error


def replace_file(folder, name, data):
    """Put other contents in a file and in the manifest, as someone who knows the format would."""
    (folder / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_manifest(folder, lambda manifest: manifest["files"].update({name: entry}))
