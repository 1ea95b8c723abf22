"""What the tests of trust share: the shipped tokenizers, copies of their artifacts to damage, fresh processes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import tokframe
from tokframe.loading.reference import resolve

SHIPPED = ("autoencoder-fsq", "bpe", "word")


@pytest.fixture(scope="session", params=SHIPPED)
def shipped(request):
    return tokframe.load(request.param)


@pytest.fixture(params=SHIPPED)
def copy(request, tmp_path):
    """A copy of a shipped artifact, every file of it."""
    source = resolve(request.param).folder()
    return Path(shutil.copytree(source, tmp_path / request.param))


@pytest.fixture
def edit_manifest():
    """Return a function that changes a manifest as someone who knows the format would.

    Its own sum is left out, as in artifacts of older versions, so that what lies behind that sum is tested.
    """

    def edit(folder, change):
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest.pop("sha256", None)
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    return edit


@pytest.fixture
def replace_file(edit_manifest):
    """Return a function that puts other contents in a file and makes size and sum in the manifest agree."""

    def replace(folder, name, data):
        (folder / name).write_bytes(data)
        entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        edit_manifest(folder, lambda manifest: manifest["files"].update({name: entry}))

    return replace
