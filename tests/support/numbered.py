"""Artifacts that hold a number in several files, so that a mixture of two is noticed."""

from __future__ import annotations

from pathlib import Path

from tokframe.storage.artifact import read
from tokframe.storage.state import State

HEADER = {"tokenizer": {"name": "toy"}, "components": []}


def state(value: int, size: int = 1000) -> State:
    return State(config={"value": value}, files={"a.txt": b"%d" % value * size, "b.txt": b"%d" % value * 300})


def value_of(folder: Path, size: int = 1000) -> int:
    """Return the number of an artifact, which must be whole."""
    found = read(folder).state
    value: int = found.config["value"]
    assert found.files == state(value, size).files
    return value
