"""An artifact is refused whole when anything is wrong with one of its files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.stored import HEADER, corrupt, replace_file, state

from tokframe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError
from tokframe.storage import artifact
from tokframe.storage import manifest as manifests
from tokframe.storage.artifact import read, write


def test_nothing_there(tmp_path):
    with pytest.raises(ArtifactNotFoundError, match="does not exist") as caught:
        read(tmp_path / "nowhere")
    assert caught.value.path == tmp_path / "nowhere"
    with pytest.raises(ArtifactNotFoundError, match=r"has no manifest\.json"):
        read(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactNotFoundError):
        read(tmp_path / "file")


@pytest.mark.parametrize("name", ["codebook.safetensors", "config.json", "vocab.txt", "weights.safetensors"])
class TestOneFile:
    def test_missing(self, saved, name):
        (saved / name).unlink()
        assert corrupt(saved).file == name

    def test_truncated(self, saved, name):
        data = (saved / name).read_bytes()
        for kept in (0, 1, len(data) // 2, len(data) - 1):
            (saved / name).write_bytes(data[:kept])
            error = corrupt(saved)
            assert error.file == name and f"has {kept} bytes, manifest.json says {len(data)}" in str(error)

    def test_grown(self, saved, name):
        with open(saved / name, "ab") as file:
            file.write(b"\0")
        assert corrupt(saved).file == name

    def test_altered_in_one_byte_anywhere(self, saved, name):
        data = (saved / name).read_bytes()
        for position in sorted({0, 1, 7, 8, 9, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1}):
            if position < len(data):
                altered = bytearray(data)
                altered[position] ^= 1 << (position % 8)
                (saved / name).write_bytes(altered)
                error = corrupt(saved)
                assert error.file == name and "was altered" in str(error)
        (saved / name).write_bytes(data)
        read(saved)

    def test_a_link_to_it_is_followed_and_checked_alike(self, saved, name, tmp_path):
        shutil.move(saved / name, tmp_path / "elsewhere")
        (saved / name).symlink_to(tmp_path / "elsewhere")
        read(saved)
        (tmp_path / "elsewhere").write_bytes(bytes(len((tmp_path / "elsewhere").read_bytes())))
        assert "was altered" in str(corrupt(saved))
        (tmp_path / "elsewhere").unlink()
        assert "is a link to a file that does not exist (to copy a folder of links: cp -rL)" in str(corrupt(saved))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
    def test_a_folder_a_pipe_or_a_device_in_its_place(self, saved, name, tmp_path):
        os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
        for other in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
            (saved / name).unlink()
            (saved / name).symlink_to(other)
            assert "is not a regular file" in str(corrupt(saved))


def test_a_folder_of_links_as_a_download_cache_makes_it(saved, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "v1"
    shutil.move(saved, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", file.name))
    found = read(snapshot)
    assert found.state.group("weights") and found.state.files["vocab.txt"] == b"one\ntwo\n"
    before = {file.name: file.read_bytes() for file in blobs.iterdir()}
    write(snapshot, HEADER, state(seed=1), overwrite=True)
    assert not any(file.is_symlink() for file in snapshot.iterdir()), "written through links"
    assert {file.name: file.read_bytes() for file in blobs.iterdir()} == before


def test_files_that_are_too_large_together(saved, monkeypatch):
    small = sum((saved / name).stat().st_size for name in ("config.json", "vocab.txt", "empty.bin"))
    monkeypatch.setattr(manifests, "MAX_FILE_BYTES", small)
    read(saved)
    monkeypatch.setattr(manifests, "MAX_FILE_BYTES", small - 1)
    assert f"with the others of its kind, larger than {small - 1} bytes" in str(corrupt(saved))


@pytest.mark.parametrize(("raw", "said"), [(b'{"x": 1, "x": 1}', "appears twice"), (b"[]", "expected an object")])
def test_a_config_that_makes_no_sense(saved, raw, said):
    replace_file(saved, "config.json", raw)
    error = corrupt(saved)
    assert error.file == "config.json" and said in str(error)


def test_a_config_that_is_too_large(saved, monkeypatch):
    monkeypatch.setattr(artifact, "MAX_JSON_BYTES", 10)
    assert "is larger than 10 bytes" in str(corrupt(saved))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"12345678",
        b"\xff" * 8 + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a":1}  ',
        (70).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'.ljust(70) + b"short",
        (70).to_bytes(8, "little") + b'{"w":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}'.ljust(70) + b"four",
    ],
)
def test_tensors_that_are_none(saved, raw):
    replace_file(saved, "weights.safetensors", raw)
    found = read(saved)  # sums are right; the contents are looked at when they are used
    with pytest.raises(ArtifactCorruptError, match="is not a safetensors file") as caught:
        _ = found.state.tensors["weights"]
    assert caught.value.file == "weights.safetensors"


def test_more_tensors_than_any_model_has_are_refused_before_they_are_parsed(saved, tmp_path):
    def put(header):
        raw = json.dumps(header).encode()
        replace_file(saved, "weights.safetensors", len(raw).to_bytes(8, "little") + raw + bytes(100_000))
        return read(saved).state.tensors

    one = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    with pytest.raises(ArtifactCorruptError, match=r"holds 17,000 tensors, more than 16,384"):
        _ = put({f"t{number}": one for number in range(17_000)})["weights"]
    with pytest.raises(ArtifactCorruptError, match=r"header is larger than 4194304 bytes"):
        _ = put({f"t{number}": one for number in range(100_000)})["weights"]
    with pytest.raises(ArtifactError, match="more than 16,384 arrays in many"):
        write(tmp_path / "new", HEADER, state(tensors={"many": dict.fromkeys(map(str, range(17_000)), np.zeros(1))}))


def test_tensors_are_checked_again_when_they_are_read(saved):
    found = read(saved)
    data = bytearray((saved / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (saved / "weights.safetensors").write_bytes(data)
    (saved / "codebook.safetensors").unlink()
    with pytest.raises(ArtifactCorruptError, match="was altered"):
        found.state.group("weights")
    with pytest.raises(ArtifactCorruptError, match="is missing"):
        found.state.group("codebook")


def test_tensors_are_read_once_and_only_when_used(saved):
    found = read(saved)
    first = found.state.tensors["codebook"]
    (saved / "codebook.safetensors").unlink()
    (saved / "weights.safetensors").unlink()
    assert found.state.tensors["codebook"] is first
    assert found.state.config


def test_files_the_manifest_does_not_list_are_left_alone(saved):
    (saved / "README.md").write_text("mine", encoding="utf-8")
    assert "README.md" not in read(saved).state.files
