"""Artifacts on disk: whole or not at all when written, refused whole when anything is wrong with them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys

import numpy as np
import pytest

from tokframe import artifact, folders
from tokframe.artifact import FORMAT_VERSION, read, write
from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
)
from tokframe.state import State

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


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Flushing to a real disk hundreds of times proves nothing here; that it is asked for is tested."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def saved(tmp_path):
    return write(tmp_path / "mine", HEADER, state())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit_manifest(folder, change):
    """Apply `change` to the manifest's data and write it back, as an older version would: without a sum of its own."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest.pop("sha256", None)
    manifest = change(manifest) or manifest
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def corrupt(folder) -> ArtifactCorruptError:
    with pytest.raises(ArtifactCorruptError) as caught:
        read(folder)
    error = caught.value
    assert error.path == folder and error.file
    assert str(folder) in str(error) and error.file in str(error)
    return error


# -- writing ----------------------------------------------------------------------------------------------------


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
    assert (manifest["format"], manifest["format_version"]) == ("tokframe-artifact", FORMAT_VERSION)
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
    from tokframe.artifact import read, write
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


def test_an_empty_folder_may_be_filled_with_overwrite_only(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactExistsError):
        write(tmp_path / "empty", HEADER, state())
    write(tmp_path / "empty", HEADER, state(), overwrite=True)
    assert read(tmp_path / "empty")


def test_what_is_no_artifact_is_never_replaced(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    file = tmp_path / "file"
    file.write_bytes(b"text")
    for target in (folder, file):
        with pytest.raises(ArtifactError, match="is not a tokframe artifact and will not be replaced"):
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
        with pytest.raises(ArtifactError, match="will not be replaced"):
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
        with pytest.raises(ArtifactError, match="no plain name"):
            write(tmp_path / "new", HEADER, bad)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("files", [{"config.json": b"{}"}, {"weights.safetensors": b""}])
def test_two_files_of_one_name_are_refused(tmp_path, files):
    with pytest.raises(ArtifactError, match="two files named"):
        write(tmp_path / "new", HEADER, state(files=files))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("config", [{"x": float("nan")}, {"x": b"bytes"}, {"x": {1, 2}}, {"x": "\ud800"}])
def test_a_config_that_is_no_json_is_refused_before_anything_is_written(tmp_path, config):
    with pytest.raises(ArtifactError, match="config is no JSON data"):
        write(tmp_path / "new", HEADER, state(config=config))
    assert os.listdir(tmp_path) == []


def test_what_would_be_too_large_to_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact, "_MAX_CONFIG", 50)
    with pytest.raises(ArtifactError, match="more than 50 bytes"):
        write(tmp_path / "new", HEADER, state(config={"x": "y" * 60}))


# -- crashes ----------------------------------------------------------------------------------------------------

STEPS = ("os.fsync", "os.rename", "os.chmod", "tokframe.folders._exchange", "builtins.open")


def failing(call, at: int, error: BaseException):
    """Return `call`, which raises `error` the `at`-th time it is called, and a counter."""
    calls = [0]

    def wrapped(*args, **kwargs):
        calls[0] += 1
        if calls[0] == at:
            raise error
        return call(*args, **kwargs)

    return wrapped, calls


def patch(monkeypatch, dotted, at, error):
    module, _, name = dotted.rpartition(".")
    wrapped, calls = failing(getattr(sys.modules[module], name), at, error)
    monkeypatch.setattr(sys.modules[module], name, wrapped)
    return calls


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "interrupt"]
)
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_a_whole_artifact_and_no_rubbish(saved, monkeypatch, step, error, exchange):
    new = contents(write(saved.parent / "new", HEADER, state(1)))
    shutil.rmtree(saved.parent / "new")
    old = contents(saved)
    replaced = 0
    for at in range(1, 40):
        with monkeypatch.context() as patched:
            if not exchange:
                patched.setattr(folders, "_exchange", lambda first, second: False)
            calls = patch(patched, step, at, error)
            try:
                write(saved, HEADER, state(1), overwrite=True)
                failed = False
            except ArtifactError as raised:
                assert isinstance(error, OSError)
                assert "No space left on device" in str(raised) and raised.path == saved
                failed = True
            except KeyboardInterrupt:
                assert isinstance(error, KeyboardInterrupt)
                failed = True
        assert os.listdir(saved.parent) == ["mine"], f"rubbish after failure {at} of {step}"
        found = contents(saved)
        assert found in (old, new), f"torn by failure {at} of {step}"
        read(saved)
        if found == new:
            replaced += 1
            shutil.rmtree(saved)
            write(saved, HEADER, state())
        if not failed:
            assert calls[0] < at
            break
    else:
        raise AssertionError("never got through")
    assert replaced, "the write that did not fail replaced the artifact"


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_when_nothing_was_there_leaves_nothing_or_the_whole(tmp_path, monkeypatch, step):
    for at in range(1, 40):
        with monkeypatch.context() as patched:
            calls = patch(patched, step, at, OSError(errno.EIO, "Input/output error"))
            try:
                write(tmp_path / "mine", HEADER, state())
                failed = False
            except ArtifactError:
                failed = True
        if os.listdir(tmp_path):
            assert os.listdir(tmp_path) == ["mine"]
            read(tmp_path / "mine")
            shutil.rmtree(tmp_path / "mine")
        if not failed:
            assert calls[0] < at
            return
    raise AssertionError("never got through")


def test_a_process_that_dies_at_any_flush_leaves_the_old_artifact_whole(saved, fresh):
    # All deaths in one process's children: the third argument says before which flush to die.
    source = """
    import os, sys
    from tokframe.artifact import read, write
    from tokframe.state import State
    target, number = sys.argv[1], 0
    real = os.fsync
    def flush(descriptor):
        global number
        number += 1
        if number == dies_at:
            os._exit(77)
        real(descriptor)
    os.fsync = flush
    deaths = 0
    for dies_at in range(1, 30):
        child = os.fork()
        if child == 0:
            write(target, {"tokenizer": {"name": "toy"}, "components": []}, State(config={"new": 1}), overwrite=True)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        config = read(target).state.config
        if status == 0:
            assert config == {"new": 1}
            break
        assert status == 77
        deaths += 1
        assert config in ({"a": "\\u00e9", "b": [1, 2.5, None]}, {"new": 1})
    assert deaths >= 4, deaths
    """
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    fresh(source, saved)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="cannot write"):
        write(tmp_path / "file" / "sub", HEADER, state())


def test_write_atomically_shows_the_old_or_the_new_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.json"
    folders.write_atomically(path, b"old")
    assert path.read_bytes() == b"old"
    for step in ("os.fsync", "os.replace"):
        with monkeypatch.context() as patched:
            patch(patched, step, 1, OSError(errno.ENOSPC, "full"))
            with pytest.raises(OSError, match="full"):
                folders.write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["checkpoint.json"]
    folders.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


# -- reading ----------------------------------------------------------------------------------------------------


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
            assert error.file == name and f"has {kept} bytes, the manifest says {len(data)}" in str(error)

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

    def test_a_link_or_a_folder_in_its_place(self, saved, name, tmp_path):
        shutil.move(saved / name, tmp_path / "elsewhere")
        (saved / name).symlink_to(tmp_path / "elsewhere")
        assert "is not a regular file" in str(corrupt(saved))
        (saved / name).unlink()
        (saved / name).mkdir()
        assert "is not a regular file" in str(corrupt(saved))


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
    assert "is not a regular file" in str(corrupt(saved))
    (saved / "manifest.json").unlink()
    os.mkfifo(saved / "manifest.json")  # opening it would wait for ever
    assert "is not a regular file" in str(corrupt(saved))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\x80\x04K\x01.", "not valid JSON"),
        (b"[]", "expected an object"),
        (b"{}", "does not say format"),
        (b'{"format": "tokframe-artifact", "format": "tokframe-artifact"}', "stands twice"),
        (b'{"format": "tokframe-artifact", "format_version": NaN}', "NaN"),
        (b'{"a":' * 50_000, "not valid JSON"),
        (b'{"format": "tokframe-artifact", "format_version": 1, "x": "' + b"y" * (1 << 20) + b'"}', "is larger than"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else None,
)
def test_a_manifest_that_makes_no_sense(saved, raw, said):
    (saved / "manifest.json").write_bytes(raw)
    error = corrupt(saved)
    assert error.file == "manifest.json" and said in str(error)


@pytest.mark.parametrize(
    "change",
    [{"format": "other"}, {"format": None}, *({"format_version": v} for v in (0, -1, True, 1.0, "1", None, [1]))],
)
def test_a_format_that_is_not_ours(saved, change):
    edit_manifest(saved, lambda manifest: manifest | change)
    assert "does not say format" in str(corrupt(saved))


def test_a_newer_format_is_refused_before_anything_else_is_read(saved):
    edit_manifest(saved, lambda manifest: manifest | {"format_version": FORMAT_VERSION + 2, "files": "new idea"})
    for name in ("config.json", "weights.safetensors"):
        (saved / name).unlink()
    with pytest.raises(ArtifactVersionError, match="pip install --upgrade tokframe") as caught:
        read(saved)
    assert (caught.value.found, caught.value.supported) == (FORMAT_VERSION + 2, FORMAT_VERSION)


@pytest.mark.parametrize(
    "name",
    [
        "../mine2/vocab.txt",
        "../vocab.txt",
        "..",
        ".",
        "",
        "/etc/hostname",
        "sub/vocab.txt",
        "..\\vocab.txt",
        "C:vocab.txt",
        "vocab.txt\n",
        "vocab.txt\0",
        ".hidden",
        "manifest.json",
        "vöcab.txt",
        "~",
    ],
)
def test_a_file_name_that_is_not_plain_is_refused_and_not_opened(saved, tmp_path, name, monkeypatch):
    shutil.copytree(saved, tmp_path / "mine2")

    def rename(manifest):
        manifest["files"][name] = manifest["files"]["vocab.txt"]

    edit_manifest(saved, rename)
    opened = []
    real = artifact.os.lstat
    monkeypatch.setattr(artifact.os, "lstat", lambda path: opened.append(str(path)) or real(path))
    error = corrupt(saved)
    assert error.file == "manifest.json" and repr(name) in str(error) and "not a plain name" in str(error)
    assert opened == [str(saved / "manifest.json")]


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "x",
        {},
        {"bytes": 8},
        {"sha256": "0" * 64},
        {"bytes": -8},
        {"bytes": True},
        {"bytes": 8.0},
        {"bytes": "8"},
        {"sha256": None},
        {"sha256": "0" * 63},
        {"sha256": "A" * 64},
        {"sha256": "0" * 64 + "\n"},
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


def replace_file(folder, name, data):
    """Put other contents in a file and in the manifest, as someone who knows the format would."""
    (folder / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_manifest(folder, lambda manifest: manifest["files"].update({name: entry}))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"x": NaN}', "NaN"),
        (b'{"x": 1e999}', "1e999"),
        (b'{"x": 1, "x": 1}', "stands twice"),
        (b"[]", "expected an object"),
        (b"not json", "not valid JSON"),
        (b'{"x":' * 50_000, "not valid JSON"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_a_config_that_makes_no_sense(saved, raw, said):
    replace_file(saved, "config.json", raw)
    error = corrupt(saved)
    assert error.file == "config.json" and said in str(error)


def test_a_config_that_is_too_large(saved, monkeypatch):
    monkeypatch.setattr(artifact, "_MAX_CONFIG", 10)
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
    with pytest.raises(ArtifactCorruptError, match="is no safetensors file") as caught:
        _ = found.state.tensors["weights"]
    assert caught.value.file == "weights.safetensors"


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


def test_an_artifact_that_was_read_can_be_pickled(saved):
    import pickle

    again = pickle.loads(pickle.dumps(read(saved).state))
    shutil.rmtree(saved)
    np.testing.assert_array_equal(again.group("codebook")["ids"], np.arange(500))
