"""An artifact to look at, on a disk that is not waited for."""

from __future__ import annotations

import os

import pytest
from support.stored import HEADER, state

from tokframe.storage.artifact import write


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Flushing to a real disk hundreds of times proves nothing here; that it is asked for is tested."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def saved(tmp_path):
    return write(tmp_path / "mine", HEADER, state())
