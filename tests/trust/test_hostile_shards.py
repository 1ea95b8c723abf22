"""Folders of token shards made with ill intent or laid out by a download cache: read as they are, or our error."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tokframe.errors import ShardsCorruptError, ShardsError
from tokframe.shards import TokenShards, tokenize

TEXT = "some words\n\nand some more\n\n" * 20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    (folder / "t.txt").write_text(TEXT)
    tokenize("word", corpus=[folder / "t.txt"], out=folder / "out", workers=1)
    return folder / "out"


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "copy"))


def put(folder, key, data):
    """Put other contents in the first file of a kind and in the index, as someone would who knows the format."""
    index = json.loads((folder / "index.json").read_bytes())
    shard = index["shards"][0]
    (folder / shard[key]).write_bytes(data)
    shard[{"file": "sha256", "ends": "ends_sha256"}[key]] = hashlib.sha256(data).hexdigest()
    (folder / "index.json").write_text(json.dumps(index))


def read_all(folder):
    shards = TokenShards.open(folder)
    return [ids.tolist() for ids in shards]


INDEXES = {
    "deep": "[" * 100_000,
    "a long number": '{"format": ' + "9" * 5000 + "}",
    "nothing": "",
    "not UTF-8": b"\xff\xfe",
    "too many ids": lambda d: d.update(tokens=2**62),
    "ids beyond 64 bits": lambda d: d["shards"][0].update(tokens=10**400),
    "minus one document": lambda d: d["shards"][0].update(documents=-1),
    "a shard that is a number": lambda d: d.update(shards=[5]),
    "shards that are an object": lambda d: d.update(shards={}),
    "another dtype": lambda d: d.update(dtype="object"),
    "a path": lambda d: d["shards"][0].update(file="../../etc/passwd"),
    "more ids than the dtype holds": lambda d: d["tokenizer"].update(vocab_size=1 << 17),
    "a vocabulary that is text": lambda d: d["tokenizer"].update(vocab_size="many"),
    "no tokenizer": lambda d: d.update(tokenizer="word"),
    "the same key twice": '{"format": "tokframe-shards", "format": "tokframe-shards"}',
}


@pytest.mark.parametrize("change", INDEXES.values(), ids=INDEXES)
def test_hostile_indexes_are_refused(copy, change):
    if callable(change):
        index = json.loads((copy / "index.json").read_bytes())
        change(index)
        change = json.dumps(index)
    (copy / "index.json").write_bytes(change if isinstance(change, bytes) else change.encode())
    with pytest.raises(ShardsError) as caught:
        read_all(copy)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("ends", [[-5], [10**9], [0], [2**62]])
def test_ends_that_do_not_divide_the_ids_are_refused(copy, ends):
    put(copy, "ends", np.asarray(ends, "<i8").tobytes())
    with pytest.raises(ShardsCorruptError, match="does not divide"):
        read_all(copy)


@pytest.mark.parametrize("key", ["file", "ends"])
def test_truncated_and_empty_files_are_refused(copy, key):
    for data in (b"", b"\0"):
        put(copy, key, data)
        with pytest.raises(ShardsCorruptError, match="bytes, expected"):
            read_all(copy)


def test_a_folder_of_links_is_read_and_what_a_link_leads_to_is_checked(made, tmp_path):
    blobs = Path(shutil.copytree(made, tmp_path / "blobs"))
    (tmp_path / "snapshot").mkdir()
    for file in blobs.iterdir():
        (tmp_path / "snapshot" / file.name).symlink_to(Path("..", "blobs", file.name))
    assert read_all(tmp_path / "snapshot") == read_all(made)
    ids = next(blobs.glob("tokens-*"))
    ids.write_bytes(bytes(ids.stat().st_size))  # other contents of the same size: another file of this machine
    with pytest.raises(ShardsCorruptError, match="was altered"):
        read_all(tmp_path / "snapshot")
    ids.unlink()
    with pytest.raises(ShardsCorruptError, match="cp -rL"):
        read_all(tmp_path / "snapshot")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("pattern", ["index.json", "tokens-*", "ends-*"])
def test_pipes_folders_and_devices_are_refused_at_once(copy, tmp_path, pattern):
    place = next(copy.glob(pattern))
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        place.unlink()
        place.symlink_to(target)
        with pytest.raises(ShardsError, match="not a regular file"):
            read_all(copy)
