"""Artifacts on disk are written whole or not at all, whatever fails and whenever."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import pytest
from support.stored import HEADER, contents, state

from tokframe.errors import ArtifactError
from tokframe.storage import atomic as folders
from tokframe.storage.artifact import read, write

pytestmark = pytest.mark.slow

STEPS = ("os.fsync", "os.rename", "os.chmod", "tokframe.storage.atomic._exchange", "builtins.open")


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


@pytest.mark.parametrize("way", ["exchange", "two renames", "new"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "interrupt"]
)
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_leaves_the_old_or_the_new_and_no_rubbish(tmp_path, monkeypatch, step, error, way):
    target, new = tmp_path / "mine", contents(write(tmp_path / "mine", HEADER, state(1)))
    for at in range(1, 40):
        shutil.rmtree(target)
        old = None if way == "new" else contents(write(target, HEADER, state()))
        with monkeypatch.context() as patched:
            if way == "two renames":
                patched.setattr(folders, "_exchange", lambda first, second: False)
            calls = patch(patched, step, at, error)
            try:
                write(target, HEADER, state(1), overwrite=way != "new")
                failed = False
            except ArtifactError as raised:
                assert isinstance(error, OSError)
                assert "No space left on device" in str(raised) and raised.path == target
                failed = True
            except KeyboardInterrupt:
                assert isinstance(error, KeyboardInterrupt)
                failed = True
        left = os.listdir(tmp_path)
        assert (contents(target) if left else None) in (old, new), f"torn by failure {at} of {step}"
        assert left in ([], ["mine"]), f"rubbish after failure {at} of {step}"
        if left:
            read(target)
        if not failed:
            assert calls[0] < at and contents(target) == new
            return
        target.mkdir(exist_ok=True)
    raise AssertionError("never got through")


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
