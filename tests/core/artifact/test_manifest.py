"""A manifest that was altered, or written to do harm, is refused before anything it names is opened."""

from __future__ import annotations

import os
import shutil

import pytest
from support.stored import corrupt, edit_manifest

from tokframe.errors import ArtifactError, ArtifactVersionError
from tokframe.storage import manifest as manifests
from tokframe.storage import regular
from tokframe.storage.artifact import FORMAT, read


def test_any_byte_of_the_manifest_altered_is_noticed_or_harmless(saved):
    """Whatever happens to the manifest, the error is ours, or what is loaded is what was saved."""
    data = (saved / "manifest.json").read_bytes()
    want = read(saved).state
    for position in range(0, len(data), 3):
        altered = bytearray(data)
        altered[position] ^= 0x01
        (saved / "manifest.json").write_bytes(altered)
        try:
            found = read(saved)
        except ArtifactError:
            continue
        assert found.state.config == want.config
        for name, content in found.state.files.items():
            assert content == want.files[name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_manifest_that_is_no_regular_file(saved, tmp_path):
    shutil.move(saved / "manifest.json", tmp_path / "manifest.json")
    (saved / "manifest.json").symlink_to(tmp_path / "manifest.json")
    read(saved)  # a link to one is as good
    (tmp_path / "manifest.json").unlink()
    assert "is a link to a file that does not exist" in str(corrupt(saved))
    (saved / "manifest.json").unlink()
    os.mkfifo(saved / "manifest.json")  # opening it would wait for ever
    assert "is not a regular file" in str(corrupt(saved))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\x80\x04K\x01.", "not valid JSON"),
        (b"[]", "expected an object"),
        (b"{}", "does not name format"),
        (b'{"format": "tokframe-artifact", "format": "tokframe-artifact"}', "appears twice"),
        (b'{"format": "tokframe-artifact", "format_version": 1, "x": "' + b"y" * (1 << 20) + b'"}', "is larger than"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else None,
)
def test_a_manifest_that_makes_no_sense(saved, raw, said):
    (saved / "manifest.json").write_bytes(raw)
    error = corrupt(saved)
    assert error.file == "manifest.json" and said in str(error)


@pytest.mark.parametrize("where", ["top", "tokenizer", "component"])
def test_a_key_that_nobody_reads_is_refused(saved, where):
    part = {"section": "s", "kind": "encoder", "name": "conv"}

    def change(manifest):
        manifest["components"] = [part]
        {"top": manifest, "tokenizer": manifest["tokenizer"], "component": part}[where]["vocab_size"] = 7

    edit_manifest(saved, change)
    assert "has the unknown key 'vocab_size'" in str(corrupt(saved))


@pytest.mark.parametrize(
    "change",
    [{"format": "other"}, {"format": None}, *({"format_version": v} for v in (0, -1, True, 1.0, "1", None, [1]))],
)
def test_a_format_that_is_not_ours(saved, change):
    edit_manifest(saved, lambda manifest: manifest | change)
    assert "does not name format" in str(corrupt(saved))


def test_a_newer_format_is_refused_before_anything_else_is_read(saved):
    edit_manifest(saved, lambda manifest: manifest | {"format_version": FORMAT.version + 2, "files": "new idea"})
    for name in ("config.json", "weights.safetensors"):
        (saved / name).unlink()
    with pytest.raises(ArtifactVersionError, match="pip install --upgrade ") as caught:
        read(saved)
    assert (caught.value.found, caught.value.supported) == (FORMAT.version + 2, FORMAT.version)


@pytest.mark.parametrize(
    "name",
    [
        *("../mine2/vocab.txt", "../vocab.txt", "..", ".", "", "/etc/hostname", "sub/vocab.txt", "con/"),
        *("..\\vocab.txt", "\\\\host\\x", "C:vocab.txt", "vocab.txt\n", "vocab.txt\0"),
        *(".hidden", "manifest.json", "vöcab.txt", "~"),
    ],
)
def test_a_file_name_that_is_not_plain_is_refused_and_not_opened(saved, tmp_path, name, monkeypatch):
    shutil.copytree(saved, tmp_path / "mine2")

    def rename(manifest):
        manifest["files"][name] = manifest["files"]["vocab.txt"]

    edit_manifest(saved, rename)
    opened = []
    real = regular.open_regular
    for module in (regular, manifests):
        monkeypatch.setattr(module, "open_regular", lambda path: opened.append(str(path)) or real(path))
    error = corrupt(saved)
    assert error.file == "manifest.json" and repr(name) in str(error) and "not a plain name" in str(error)
    assert opened == [str(saved / "manifest.json")]


@pytest.mark.parametrize(
    "entry",
    [
        *(None, [], "x", {}, {"bytes": 8}, {"sha256": "0" * 64}),
        *({"bytes": -8}, {"bytes": True}, {"bytes": 8.0}, {"bytes": "8"}),
        *({"sha256": None}, {"sha256": "0" * 63}, {"sha256": "A" * 64}, {"sha256": "0" * 64 + "\n"}),
    ],
)
def test_an_entry_without_a_sound_size_and_sum(saved, entry):
    def damage(manifest):
        sound = manifest["files"]["vocab.txt"]
        whole = isinstance(entry, dict) and entry and set(entry) != {"bytes", "sha256"}
        only = entry in ({"bytes": 8}, {"sha256": "0" * 64})
        manifest["files"]["vocab.txt"] = entry if not whole or only else {**sound, **entry}

    edit_manifest(saved, damage)
    error = corrupt(saved)
    assert error.file == "manifest.json" and "has no size and SHA-256 for vocab.txt" in str(error)


@pytest.mark.parametrize("files", [None, [], "x", {}, {"vocab.txt": {"bytes": 8, "sha256": "0" * 64}}])
def test_a_manifest_that_lists_no_config(saved, files):
    edit_manifest(saved, lambda manifest: manifest | {"files": files})
    assert "lists no config.json" in str(corrupt(saved))
