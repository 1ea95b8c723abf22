"""Shipped artifacts with something wrong in them: refused at load, by name of the file."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from support.stored import edit_manifest

from tokframe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError, ArtifactVersionError
from tokframe.storage.artifact import read, write
from tokframe.storage.manifest import sum_of
from tokframe.storage.state import State
from tokframe.storage.strictjson import canonical_json

pytestmark = pytest.mark.slow


def refused(folder, name):
    """Return the error of loading, which names the file; a manifest may also turn into that of a newer format."""
    with pytest.raises(ArtifactError) as caught:
        read(folder)
    if isinstance(caught.value, (ArtifactVersionError, ArtifactNotFoundError)):
        assert name == "manifest.json"
    else:
        assert isinstance(caught.value, ArtifactCorruptError)
        assert caught.value.file == name and name in str(caught.value)
    return caught.value


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_byte_of_a_manifest_counts(copy):
    path = copy / "manifest.json"
    data = path.read_bytes()
    big = [path for path in copy.iterdir() if path.stat().st_size > 10_000]
    for other in big:
        other.unlink()  # a manifest is refused before any file is looked at
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << position % 8
        path.write_bytes(altered)
        refused(copy, "manifest.json")


def test_a_manifest_in_another_order_or_layout_is_refused(copy):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_bytes())
    turned = dict(reversed(manifest.items()))
    for other in (json.dumps(manifest), json.dumps(turned, indent=2) + "\n", json.dumps(manifest, indent=2)):
        path.write_text(other, encoding="utf-8")
        refused(copy, "manifest.json")
    path.write_bytes(canonical_json(manifest))
    read(copy)


def test_a_manifest_whose_entries_changed_places_is_refused(copy):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_bytes())
    names = sorted(manifest["files"])
    moved = dict(zip(names, [manifest["files"][name] for name in [*names[1:], names[0]]], strict=True))
    path.write_bytes(canonical_json(manifest | {"files": moved}))
    refused(copy, "manifest.json")


def test_a_manifest_of_an_older_version_has_no_sum_and_loads(copy):
    edit_manifest(copy, lambda manifest: None)
    assert "sha256" not in read(copy).manifest


@pytest.mark.parametrize("key", ["sha255", "note", ""])
def test_a_manifest_with_a_key_nobody_knows_is_refused(copy, key):
    edit_manifest(copy, lambda manifest: manifest.update({key: "0" * 64}))
    refused(copy, "manifest.json")


def test_the_shipped_manifests_carry_their_own_sum(copy):
    manifest = read(copy).manifest
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    assert manifest["sha256"] == hashlib.sha256(canonical_json(rest)).hexdigest() == sum_of(manifest)


# -- files of another artifact ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two sound artifacts of one kind, whose files have the same names and, in part, the same sizes."""
    places = []
    for value in (1, 2):
        state = State(
            config={"value": value},
            tensors={"weights": {"w": np.full(50, value, np.float32)}},
            files={"vocab.json": b'["%d"]' % value, "same.txt": b"in both"},
        )
        header = {"tokenizer": {"name": "toy"}, "components": []}
        places.append(write(tmp_path_factory.mktemp("twins") / "mine", header, state))
    return places


def test_a_file_of_another_artifact_of_the_same_kind_is_refused(twins, tmp_path):
    first, second = twins
    for name in files(first):
        mixed = shutil.copytree(first, tmp_path / f"mixed-{name}")
        shutil.copy(second / name, mixed / name)
        if name == "same.txt":
            read(mixed)
        elif name == "manifest.json":  # a sound manifest, which lists other sums
            with pytest.raises(ArtifactCorruptError):
                read(mixed)
        else:
            refused(mixed, name)


def test_files_that_changed_places_are_refused(twins, tmp_path):
    for first, second in itertools.combinations(files(twins[0]), 2):
        mixed = shutil.copytree(twins[0], tmp_path / f"{first}-{second}")
        shutil.copy(twins[0] / first, mixed / second)
        shutil.copy(twins[0] / second, mixed / first)
        with pytest.raises(ArtifactError):
            read(mixed)


@pytest.mark.parametrize(
    "entry", [r'  "format_version": .*,\n', r'    "same.txt": \{[^}]*\},\n', r'      "bytes": .*,\n']
)
def test_a_key_that_stands_twice_is_refused_even_with_the_same_value(twins, tmp_path, entry):
    mixed = shutil.copytree(twins[0], tmp_path / "mixed")
    path = mixed / "manifest.json"
    text, count = re.subn(entry, r"\g<0>\g<0>", path.read_text(encoding="utf-8"), count=1)
    assert count == 1
    path.write_text(text, encoding="utf-8")
    assert "appears twice" in str(refused(mixed, "manifest.json"))
