"""Artifacts when they are written: the same state the same bytes, and nothing replaced that is not ours."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
from support.stored import HEADER, contents, state

from tokframe.errors import ArtifactError, ArtifactExistsError
from tokframe.storage import artifact
from tokframe.storage.artifact import FORMAT, read, write
from tokframe.storage.state import State


def test_what_is_written_is_read_back(saved):
    found = read(saved)
    assert found.path == saved
    assert found.manifest["tokenizer"] == {"name": "toy"}
    assert found.state.config == {"b": [1, 2.5, None], "a": "é"}
    assert found.state.files == {"vocab.txt": b"one\ntwo\n", "empty.bin": b""}
    assert sorted(found.state.tensors) == ["codebook", "weights"] and len(found.state.tensors) == 2
    for group, arrays in state().tensors.items():
        for name, array in arrays.items():
            again = found.state.tensors[group][name]
            assert again.dtype == array.dtype and again.shape == array.shape
            np.testing.assert_array_equal(again, array)
    with pytest.raises(KeyError):
        found.state.group("no such group")


def test_manifest_lists_every_file_with_size_and_sum(saved):
    manifest = json.loads((saved / "manifest.json").read_bytes())
    files = contents(saved)
    files.pop("manifest.json")
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
    }
    assert (manifest["format"], manifest["format_version"]) == ("tokframe-artifact", FORMAT.version)
    assert sorted(files) == ["codebook.safetensors", "config.json", "empty.bin", "vocab.txt", "weights.safetensors"]


def test_same_state_same_bytes(tmp_path):
    plain = state()
    turned = State(
        config=dict(reversed(plain.config.items())),
        tensors={g: dict(reversed(t.items())) for g, t in reversed(plain.tensors.items())},
        files=dict(reversed(plain.files.items())),
    )
    first, second = write(tmp_path / "a", HEADER, plain), write(tmp_path / "deep" / "er" / "b", HEADER, turned)
    assert contents(first) == contents(second)
    assert contents(write(tmp_path / "c", HEADER, read(first).state)) == contents(first)


def test_same_state_same_bytes_in_other_processes(saved, fresh, tmp_path):
    source = """
    import sys
    from tokframe.storage.artifact import read, write
    write(sys.argv[2], {"tokenizer": {"name": "toy"}, "components": []}, read(sys.argv[1]).state)
    """
    for seed in ("1", "2"):
        fresh(source, saved, tmp_path / seed, PYTHONHASHSEED=seed)
        assert contents(tmp_path / seed) == contents(saved)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_are_those_of_any_new_folder(saved, tmp_path):
    (tmp_path / "ordinary").mkdir()
    assert saved.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_an_existing_folder_is_refused_and_kept(saved):
    before = contents(saved)
    with pytest.raises(ArtifactExistsError, match="already exists; nothing was written") as caught:
        write(saved, HEADER, state(1))
    assert caught.value.path == saved and "--overwrite" in str(caught.value)
    assert contents(saved) == before


def test_overwrite_replaces_the_whole_artifact(saved):
    write(saved, HEADER, State(config={"new": True}), overwrite=True)
    assert sorted(contents(saved)) == ["config.json", "manifest.json"]
    assert read(saved).state.config == {"new": True}
    assert os.listdir(saved.parent) == ["mine"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_empty_folder_is_filled(tmp_path, overwrite):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", HEADER, state(), overwrite=overwrite)
    assert read(tmp_path / "empty")


def test_what_is_no_artifact_is_never_replaced(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    file = tmp_path / "file"
    file.write_bytes(b"text")
    for target in (folder, file):
        with pytest.raises(ArtifactExistsError, match="exists and was not made by tokframe; nothing was written"):
            write(target, HEADER, state())
        with pytest.raises(ArtifactError, match="exists and was not made by tokframe; nothing was written"):
            write(target, HEADER, state(), overwrite=True)
    assert contents(folder) == {"cat.jpg": b"cat"} and file.read_bytes() == b"text"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_is_never_replaced_nor_what_it_leads_to(saved, tmp_path):
    link, dangling = tmp_path / "latest", tmp_path / "dangling"
    link.symlink_to(saved)
    dangling.symlink_to(tmp_path / "nowhere")
    before = contents(saved)
    for target in (link, dangling):
        with pytest.raises(ArtifactExistsError):
            write(target, HEADER, state(1))
        with pytest.raises(ArtifactError, match="was not made by tokframe"):
            write(target, HEADER, state(1), overwrite=True)
    assert link.is_symlink() and dangling.is_symlink() and contents(saved) == before
    assert read(link).state.config == read(saved).state.config


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/b", "a\\b", "", ".hidden", "manifest.json", "x" * 101, "a\0b", "a\n"]
)
def test_a_state_cannot_write_outside_its_folder(tmp_path, name):
    for bad in (state(files={name: b""}), state(tensors={name: {"x": np.zeros(1)}})):
        if name == "manifest.json" and bad.tensors.get(name):
            continue  # as a tensor group it becomes manifest.json.safetensors, which is plain
        with pytest.raises(ArtifactError, match="not a plain name"):
            write(tmp_path / "new", HEADER, bad)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("files", [{"config.json": b"{}"}, {"weights.safetensors": b""}])
def test_two_files_of_one_name_are_refused(tmp_path, files):
    with pytest.raises(ArtifactError, match="two files named"):
        write(tmp_path / "new", HEADER, state(files=files))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("config", [{"x": float("nan")}, {"x": b"bytes"}, {"x": {1, 2}}, {"x": "\ud800"}])
def test_a_config_that_is_no_json_is_refused_before_anything_is_written(tmp_path, config):
    with pytest.raises(ArtifactError, match="config is not JSON data"):
        write(tmp_path / "new", HEADER, state(config=config))
    assert os.listdir(tmp_path) == []


def test_what_would_be_too_large_to_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact, "MAX_JSON_BYTES", 50)
    with pytest.raises(ArtifactError, match="more than 50 bytes"):
        write(tmp_path / "new", HEADER, state(config={"x": "y" * 60}))


def test_the_hash_of_a_tokenizer_is_that_of_its_saved_form(saved):
    assert artifact.state_sha256(HEADER, state()) == artifact.tokenizer_sha256(saved)
    assert artifact.state_sha256(HEADER, state(1)) != artifact.tokenizer_sha256(saved)
