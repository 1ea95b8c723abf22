"""Where shards may be written, a full disk, and damage that is found."""

from __future__ import annotations

import errno
import json
import os
import shutil

import pytest
from support.sharding import prose

import tokframe
from tokframe.errors import ShardsCorruptError, ShardsError
from tokframe.shards import ShardSettings, TokenShards, tokenize
from tokframe.shards.job import unfinished


@pytest.fixture
def out(toy, write, tmp_path):
    """The folder of shards of one line."""
    tokenize(toy, corpus=[write("a.txt", "the cat\n")], out=tmp_path / "out", workers=1)
    return tmp_path / "out"


def test_nothing_of_anybody_elses_is_replaced(toy, write, tmp_path):
    path = write("a.txt", "the cat\n")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(ShardsError, match="exists and was not made by tokframe"):
            tokenize(toy, corpus=[path], out=mine, overwrite=overwrite)
    mine.rename(tmp_path / "out.unfinished")
    with pytest.raises(ShardsError, match="exists and was not made by tokframe"):
        tokenize(toy, corpus=[path], out=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out.unfinished" / "thesis.txt").exists()


def test_older_shards_are_replaced_only_when_asked_to(toy, write, out):
    with pytest.raises(ShardsError, match=r"already exists; nothing was written\. Use --overwrite"):
        tokenize(toy, corpus=[write("a.txt", "x\n")], out=out, workers=1)
    new = tokenize(toy, corpus=[write("a.txt", "x\n")], out=out, workers=1, overwrite=True)
    assert new[0].tolist() == tokframe.load(toy).encode("x\n")
    assert sorted(os.listdir(out)) == ["ends-00000-000.bin", "index.json", "tokens-00000-000.bin"]


@pytest.mark.parametrize("act", ["moved", "removed"])
def test_a_folder_that_is_gone_is_told_and_promises_nothing(act, toy, write, tmp_path):
    def act_on_it():
        if (work := unfinished(tmp_path / "out")).exists() and any(work.glob("tokens-*")):
            work.rename(tmp_path / "elsewhere") if act == "moved" else shutil.rmtree(work)
        return False

    path, settings = write("a.txt", prose(30_000)), ShardSettings(shard_size=5_000)
    with pytest.raises(ShardsError, match=r"It was moved or removed during the run.* or start again") as caught:
        tokenize(toy, corpus=[path], out=tmp_path / "out", workers=1, settings=settings, should_stop=act_on_it)
    assert "are kept" not in str(caught.value)
    assert not unfinished(tmp_path / "out").exists() and not (tmp_path / ".out.lock").exists()


def test_a_full_disk_is_told_and_what_is_done_is_kept(toy, write, tmp_path, monkeypatch):
    from tokframe.shards import arrays

    path = write("a.txt", prose(30_000))
    options = {"corpus": [path], "out": tmp_path / "out", "workers": 1, "settings": ShardSettings(shard_size=5_000)}
    before, calls = arrays.ArrayWriter.append, iter(range(10))

    def append(self, values):
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        before(self, values)

    monkeypatch.setattr(arrays.ArrayWriter, "append", append)
    with pytest.raises(ShardsError, match=r"No space left on device. Finished shards are kept.*--resume"):
        tokenize(toy, **options)
    assert not list(unfinished(tmp_path / "out").rglob("*.tmp-*"))
    monkeypatch.undo()
    kept = len(list(unfinished(tmp_path / "out").glob("tokens-*")))
    assert kept > 1


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_named(out, damage):
    path = out / "tokens-00000-000.bin"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:-2])
    with pytest.raises(ShardsCorruptError, match=r"tokens-00000-000\.bin") as caught:
        TokenShards.open(out).verify()
    assert caught.value.file == path.name
    if damage != "flip":
        with pytest.raises(ShardsCorruptError, match=r"tokens-00000-000\.bin"):
            _ = TokenShards.open(out)[0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda index: index.update(format="x"), "does not name format 'tokframe-shards'"),
        (lambda index: index.update(format_version=2), "format version 2"),
        (lambda index: index.update(dtype="float64"), "has dtype 'float64'"),
        (lambda index: index.update(tokens=1), "totals"),
        (lambda index: index.pop("tokenizer"), "names no tokenizer"),
        (lambda index: index.update(shards=3), "no list of shards"),
        (lambda index: index["shards"][0].update(file="../../etc/passwd"), "not the name of a shard's file"),
        (lambda index: index["shards"][0].update(sha256="0"), "not a SHA-256"),
        (lambda index: index["shards"][0].update(documents=-1), "not a count"),
        (lambda index: index["shards"][0].pop("ends"), "malformed shard"),
    ],
)
def test_an_altered_index_is_refused(out, change, what):
    index = json.loads((out / "index.json").read_bytes())
    change(index)
    (out / "index.json").write_text(json.dumps(index))
    with pytest.raises(ShardsError, match=what):
        TokenShards.open(out)
