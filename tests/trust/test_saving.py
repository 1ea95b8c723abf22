"""Saving that is killed, runs out of disk or meets another saver: one whole artifact, and whoever lost is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tokframe.errors import ArtifactError, ArtifactExistsError
from tokframe.storage import atomic as folders
from tokframe.storage.artifact import read, write
from tokframe.storage.manifest import FolderFormat, sum_of
from tokframe.storage.state import State

pytestmark = pytest.mark.slow

HEADER = {"tokenizer": {"name": "toy"}, "components": []}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def state(value: int) -> State:
    return State(config={"value": value}, files={"a.txt": b"%d" % value * 1000, "b.txt": b"b"})


def value_of(folder: Path) -> int:
    """Return which state a whole artifact holds."""
    found = read(folder).state
    assert found.files["a.txt"] == b"%d" % found.config["value"] * 1000
    return found.config["value"]


#: Dies, by SIGKILL, at the n-th file operation of saving, for every n; what `sys.audit` does not tell is added to it.
AT_EVERY_STEP = """
import os, signal, sys
from pathlib import Path
from tokframe.storage import atomic as folders
from tokframe.storage.artifact import read, write
from tokframe.storage.state import State

folder, exchange = Path(sys.argv[1]), sys.argv[2] == "exchange"
header = {"tokenizer": {"name": "toy"}, "components": []}
def state(value):
    return State(config={"value": value}, files={"a.txt": b"%d" % value * 1000, "b.txt": b"b"})

count = dies_at = 0
def operation(event, arguments):
    global count
    if dies_at and (event in ("open", "ours") or event.startswith(("os.", "shutil."))):
        count += 1
        if count == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(operation)
def audited(call):
    def wrapped(*arguments):
        sys.audit("ours", "before")
        result = call(*arguments)
        sys.audit("ours", "after")
        return result
    return wrapped
os.fsync = audited(lambda descriptor: None)
folders._exchange = audited(folders._exchange if exchange else lambda first, second: False)

write(folder, header, state(0))
deaths = lost = 0
for at in range(1, 300):
    child = os.fork()
    if child == 0:
        dies_at = at
        write(folder, header, state(at), overwrite=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not folder.exists():
        # Only without an atomic exchange, between two renames: the old artifact then lies whole beside its place.
        assert not exchange
        (aside,) = folder.parent.glob(".mine.old-*")
        os.rename(aside, folder)
        lost += 1
    found = read(folder).state
    value = found.config["value"]
    assert found.files["a.txt"] == b"%d" % value * 1000
    if code == 0:
        assert value == at
        break
    assert code == -signal.SIGKILL
    deaths += 1
else:
    raise SystemExit("never got through")
print(deaths, lost)
"""


@needs_fork
@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_kill_at_every_file_operation_leaves_the_old_artifact_or_the_new(in_processes, tmp_path, way):
    deaths, lost = map(int, in_processes(AT_EVERY_STEP, tmp_path / "mine", way).split())
    assert deaths >= 12
    assert lost <= 3 if way == "two renames" else lost == 0


@pytest.mark.parametrize("step", ["os.fsync", "os.rename", "builtins.open", "os.mkdir", "os.open", "os.write"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch, step):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, full)
        with pytest.raises(ArtifactError, match=r"cannot write .*No space left on device"):
            write(tmp_path / "mine", HEADER, state(1))
    assert os.listdir(tmp_path) == []


def test_nothing_is_relied_on_before_it_is_flushed(tmp_path, monkeypatch):
    log = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(descriptor):
        log.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def noted_rename(source, target):
        inside = {path.stat().st_ino for path in Path(source).iterdir()}
        log.append(("rename", inside, os.stat(source).st_ino))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    write(tmp_path / "mine", HEADER, state(1))
    (at,) = [number for number, entry in enumerate(log) if entry[0] == "rename"]
    _, inside, folder = log[at]
    assert len(inside) == 4
    assert {number for _, number in log[:at]} == inside | {folder}, "every file and the folder, before the rename"
    assert log[at - 1] == ("fsync", folder), "the folder after its files"
    assert log[at + 1 :] == [("fsync", tmp_path.stat().st_ino)]


# -- two savers -------------------------------------------------------------------------------------------------


def meanwhile(monkeypatch, step: str, call) -> None:
    """Have `call` happen just before the first `step` in `tokframe.storage.atomic`."""
    real = getattr(folders, step)
    pending = [call]

    def wrapped(*arguments):
        if pending:
            pending.pop()()
        return real(*arguments)

    monkeypatch.setattr(folders, step, wrapped)


@pytest.mark.parametrize("step", ["write_file", "sync_folder", "_umask", "replace_folder"])
def test_of_two_new_saves_the_first_stays_whole_and_the_second_is_told(tmp_path, monkeypatch, step):
    target = tmp_path / "mine"
    meanwhile(monkeypatch, step, lambda: write(target, HEADER, state(1)))
    with pytest.raises(ArtifactExistsError, match="by another process while this one was saving") as caught:
        write(target, HEADER, state(2))
    assert caught.value.path == target
    assert value_of(target) == 1 and os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("step", ["write_file", "sync_folder", "_exchange"])
def test_of_two_overwriting_saves_one_wins_whole_and_the_other_is_told(tmp_path, monkeypatch, step):
    target = write(tmp_path / "mine", HEADER, state(0))
    monkeypatch.setattr(folders, "LOCK_TIMEOUT_S", 0.01)  # this thread would wait for itself
    meanwhile(monkeypatch, step, lambda: write(target, HEADER, state(1), overwrite=True))
    with pytest.raises(ArtifactExistsError, match="theirs is whole and was kept"):
        write(target, HEADER, state(2), overwrite=True)
    assert value_of(target) == 1 and os.listdir(tmp_path) == ["mine"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "mine"
    meanwhile(monkeypatch, "_umask", lambda: target.write_bytes(b"mine, not yours"))
    with pytest.raises(ArtifactError):
        write(target, HEADER, state(2))
    assert target.read_bytes() == b"mine, not yours" and os.listdir(tmp_path) == ["mine"]


RACE = """
import os, sys
from pathlib import Path
from tokframe.storage.artifact import read, write
from tokframe.errors import ArtifactExistsError
from tokframe.storage.state import State
root = Path(sys.argv[1])
header = {"tokenizer": {"name": "toy"}, "components": []}
os.fsync = lambda descriptor: None
told = 0
for round in range(20):
    target = root / f"r{round}"
    ready, go = os.pipe()
    children = []
    for value in range(4):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # ends when the parent closes its end: all start at once
            try:
                write(target, header, State(config={"value": value}, files={"a": b"%d" % value * 50000}))
            except ArtifactExistsError:
                os._exit(3)
            os._exit(0)
        children.append(child)
    os.close(ready)
    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0, 3, 3, 3], codes
    found = read(target).state
    assert found.config["value"] == codes.index(0)
    assert found.files["a"] == b"%d" % found.config["value"] * 50000
assert sorted(path.name for path in root.iterdir()) == sorted(f"r{round}" for round in range(20))
"""


@needs_fork
def test_of_four_processes_saving_to_one_place_exactly_one_wins(in_processes, tmp_path):
    (tmp_path / "work").mkdir()
    in_processes(RACE, tmp_path / "work")


OVERWRITING = """
import os, sys
from pathlib import Path
from tokframe.storage import atomic as folders
from tokframe.storage.artifact import read, write
from tokframe.errors import ArtifactExistsError
from tokframe.storage.state import State
root, exchange, rounds = Path(sys.argv[1]), sys.argv[2] == "exchange", int(sys.argv[3])
header = {"tokenizer": {"name": "toy"}, "components": []}
os.fsync = lambda descriptor: None
if not exchange:
    folders._exchange = lambda first, second: False
def state(value):
    return State(config={"value": value}, files={"a": b"%d" % value * 20000, "b": b"%d" % value * 300})
def value_of(folder):
    found = read(folder).state
    value = found.config["value"]
    assert found.files["a"] == b"%d" % value * 20000 and found.files["b"] == b"%d" % value * 300
    return value
replace = folders.replace_folder
target = write(root / "mine", header, state(0))
stop, stopped = os.pipe()
reader = os.fork()
if reader == 0:  # loads all the while: one whole artifact, whichever
    os.close(stopped)
    os.set_blocking(stop, False)
    reads = 0
    while True:
        try:
            if not os.read(stop, 1):
                break
        except BlockingIOError:
            pass
        value_of(target)
        reads += 1
    os._exit(0 if reads else 1)
for round in range(1, rounds + 1):
    ready, go = os.pipe()
    count, counted = os.pipe()
    children = {}
    for saver in range(6):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.close(stopped)
            def together(*arguments):
                os.write(counted, b"x")
                os.read(ready, 1)  # until all have seen what they mean to replace, and have written theirs
                replace(*arguments)
            folders.replace_folder = together
            try:
                write(target, header, state(10 * round + saver), overwrite=True)
            except ArtifactExistsError:
                os._exit(3)
            os._exit(0)
        children[child] = 10 * round + saver
    for _ in children:
        os.read(count, 1)
    os.close(go)
    won, told = [], 0
    for child, value in children.items():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, 3), code
        told += code == 3
        won += [value] if code == 0 else []
    assert len(won) == 1 and told == 5, (won, told)
    assert value_of(target) == won[0]
    for descriptor in (ready, count, counted):
        os.close(descriptor)
os.close(stopped)
if exchange:
    assert os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == 0, "a load failed while others saved"
assert [path.name for path in root.iterdir()] == ["mine"]
"""


@needs_fork
@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_of_six_processes_overwriting_one_place_one_wins_and_the_others_are_told(in_processes, tmp_path, way):
    """And with an exchange a reader always finds one whole artifact; two renames leave a gap between them."""
    (tmp_path / "work").mkdir()
    in_processes(OVERWRITING, tmp_path / "work", way, 12)


def test_a_load_that_an_overwriting_save_comes_across_begins_again(tmp_path, monkeypatch):
    target = write(tmp_path / "mine", HEADER, state(0))
    real, calls = FolderFormat.read_file, []

    def read_file(*arguments):
        calls.append(arguments[2])
        if len(calls) == 1:
            write(target, HEADER, state(1), overwrite=True)
        return real(*arguments)

    monkeypatch.setattr(FolderFormat, "read_file", read_file)
    assert value_of(target) == 1
    (target / "a.txt").write_bytes(b"x")
    with pytest.raises(ArtifactError):
        read(target)


def test_an_artifact_put_there_meanwhile_under_the_old_one_s_number_is_noticed(tmp_path, monkeypatch):
    """A file system may give a folder that is new the number of one that is gone."""
    target = write(tmp_path / "mine", HEADER, state(0))
    number = target.stat().st_ino
    before = folders.identity(target)
    write(target, HEADER, state(1), overwrite=True)
    real = os.lstat

    def same_number(path, **named):
        found = real(path, **named)
        if Path(path) != target:
            return found
        times = {"st_mtime_ns": found.st_mtime_ns, "st_atime_ns": 0, "st_ctime_ns": 0}
        return os.stat_result([found.st_mode, number, *found[2:]], times)

    monkeypatch.setattr(folders.os, "lstat", same_number)
    assert folders.identity(target)[:2] == before[:2] and folders.identity(target) != before


def test_the_manifest_sum_is_of_all_the_rest(tmp_path):
    manifest = read(write(tmp_path / "mine", HEADER, state(1))).manifest
    assert manifest["sha256"] == sum_of(manifest)
