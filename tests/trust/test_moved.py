"""A process that goes elsewhere after it opened something by a relative path, and folders that are removed."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil

import pytest

import tokframe
from tokframe.errors import ArtifactNotFoundError, ShardsError
from tokframe.shards import TokenShards, tokenize
from tokframe.storage import artifact


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a function that leaves the folder where the test began."""
    (tmp_path / "run-1").mkdir()
    monkeypatch.chdir(tmp_path)
    return lambda: monkeypatch.chdir(tmp_path / "run-1")


def first_document(shards):
    return shards[0].tolist()


def test_a_tokenizer_loaded_by_a_relative_path_is_saved_and_pickled_elsewhere(elsewhere, tmp_path):
    tokframe.load("autoencoder-fsq").save("mine")
    found, tokenizer = artifact.read("mine"), tokframe.load("./mine")
    elsewhere()
    assert found.path == tmp_path / "mine" and found.state.group("weights")
    assert pickle.loads(pickle.dumps(tokenizer)).encode("some words") == tokenizer.encode("some words")
    assert tokenizer.save("copy") and (tmp_path / "run-1" / "copy" / "weights.safetensors").is_file()
    assert tokframe.load("./copy").sha256() == tokenizer.sha256()


def test_shards_opened_by_a_relative_path_are_read_elsewhere_and_in_spawned_processes(elsewhere, tmp_path):
    (tmp_path / "t.txt").write_text("some words\n" * 100)
    made = tokenize("word", corpus=["t.txt"], out="shards", workers=1)
    opened = TokenShards.open("./shards")
    elsewhere()
    expected = tokframe.load("word").encode("some words\n" * 100)
    for shards in (made, opened, pickle.loads(pickle.dumps(opened))):
        shards.verify()
        assert first_document(shards) == expected
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(first_document, (opened,)) == expected


def test_what_was_removed_after_it_was_opened_is_said_to_be(tmp_path):
    tokframe.load("autoencoder-fsq").save(tmp_path / "mine")
    tokenizer = tokframe.load(tmp_path / "mine")
    shutil.rmtree(tmp_path / "mine")
    assert tokenizer.decode(tokenizer.encode("works on")) == "works on"
    with pytest.raises(ArtifactNotFoundError, match=r"mine was removed after it was loaded.*\.safetensors is read"):
        pickle.dumps(tokenizer)
    (tmp_path / "t.txt").write_text("some words\n")
    shards = tokenize("word", corpus=[tmp_path / "t.txt"], out=tmp_path / "shards", workers=1)
    shutil.rmtree(tmp_path / "shards")
    with pytest.raises(ShardsError, match="was removed after it was opened"):
        first_document(shards)


def test_an_alias_of_a_relative_path_is_what_it_was_where_its_file_is(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKFRAME_CONFIG", str(tmp_path / "tokframe.toml"))
    (tmp_path / "tokframe.toml").write_text("[aliases]\nproduction = './mine'\n")
    tokframe.load("word").save("mine")
    tokenizer = tokframe.load("production")
    elsewhere()
    assert tokframe.load("production").encode("a") == pickle.loads(pickle.dumps(tokenizer)).encode("a")
