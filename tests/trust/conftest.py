"""What the tests of trust share: the shipped tokenizers, and copies of their artifacts to damage."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

import tokframe
from tokframe.loading.reference import resolve

ROOT = Path(__file__).parents[2]
SHIPPED = ("autoencoder-fsq", "bpe", "word")


@pytest.fixture(scope="session")
def fuzz():
    """Return a function that imports a module of fuzz/, which is installed nowhere: `fuzz("targets")`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield lambda name: importlib.import_module(f"fuzz.{name}")


@pytest.fixture(scope="session", params=SHIPPED)
def shipped(request):
    return tokframe.load(request.param)


@pytest.fixture(params=SHIPPED)
def copy(request, tmp_path):
    """A copy of a shipped artifact, every file of it."""
    source = resolve(request.param).folder()
    return Path(shutil.copytree(source, tmp_path / request.param))
