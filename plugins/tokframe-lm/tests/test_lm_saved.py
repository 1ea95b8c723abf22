"""Saved models: loading, hostile files, models of older versions."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from support.stored import edit_json
from tokframe_lm import generation, storage

from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
)
from tokframe.storage import artifact
from tokframe.storage.manifest import entry_of

pytestmark = pytest.mark.trains

NAMES = ("word", "bpe", "autoencoder-fsq")


@pytest.fixture
def copy(small, tmp_path):
    return shutil.copytree(small.model("bpe"), tmp_path / "copy")


def test_a_fresh_process_gives_the_same_text_for_the_same_seed(small, fresh):
    expected = []
    for name in NAMES:
        pieces = generation.generate(
            storage.load(small.model(name)), "The cat", max_bytes=60, sampling=generation.Sampling(seed=5)
        )
        expected.append("".join(piece.text for piece in pieces))
    there = fresh(
        """
        import sys, torch
        torch.set_num_threads(1)
        from tokframe.cli.main import main
        for model in sys.argv[1:]:
            code = main(["lm", "generate", model, "--prompt", "The cat", "--bytes", "60", "--seed", "5", "--json"])
            if code:
                sys.exit(code)
        """,
        *map(small.model, NAMES),
    )
    texts = [json.loads(part)["text"] for part in there.stdout.replace("}\n{", "}\n\0{").split("\0")]
    assert texts == expected and all(texts)


def test_the_same_training_gives_the_same_files(small, tmp_path):
    small.train("bpe", tmp_path / "again")
    for name in ("model.safetensors", "spelling.json"):
        assert (tmp_path / "again" / name).read_bytes() == (small.model("bpe") / name).read_bytes()


def test_another_tokenizer_in_the_folder_is_refused_by_its_hash(small, copy):
    shutil.rmtree(copy / "tokenizer")
    shutil.copytree(small.tokenizers["word"], copy / "tokenizer")
    with pytest.raises(
        ArtifactCorruptError, match=r"not the tokenizer of this model: it is 'word'.*trained with 'bpe'"
    ):
        storage.load(copy)


def test_a_tokenizer_larger_than_the_embedding_is_refused(small, copy):
    larger = storage.load(small.model("autoencoder-fsq"))
    larger.tokenizer.save(copy / "tokenizer", overwrite=True)
    sha256 = artifact.tokenizer_sha256(copy / "tokenizer")
    edit_json(copy / "model.json", lambda data: data["tokenizer"].update(sha256=sha256))
    with pytest.raises(ArtifactCorruptError, match=r"embeds 385 ids, but the tokenizer has 32,768"):
        storage.load(copy)


@pytest.mark.parametrize("stated", [100, "many", None])
def test_a_record_of_another_vocabulary_is_refused(copy, stated):
    edit_json(copy / "model.json", lambda data: data["tokenizer"].update(vocab_size=stated))
    with pytest.raises(ArtifactCorruptError, match=r"model\.json says that its tokenizer has .* ids, and it has 385"):
        storage.load(copy)


def test_an_altered_file_is_refused(copy):
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(ArtifactCorruptError, match="altered"):
        storage.load(copy)


def test_an_altered_record_is_refused_and_an_older_one_without_a_sum_loads(copy):
    path = copy / "model.json"
    record = path.read_bytes()
    path.write_bytes(record.replace(b'"name": "bpe"', b'"name": "epb"'))
    with pytest.raises(ArtifactCorruptError, match=r"model\.json was altered"):
        storage.load(copy)
    path.write_bytes(record)
    edit_json(path, lambda data: None)
    assert "sha256" not in json.loads(path.read_bytes()) and storage.load(copy).tokenizer.name == "bpe"


def test_a_newer_format_is_refused(copy):
    edit_json(copy / "model.json", lambda data: data.update(format_version=99))
    with pytest.raises(ArtifactVersionError, match="pip install --upgrade"):
        storage.load(copy)


@pytest.mark.parametrize("change", [{"format": "x"}, {"config": {"d_model": "wide"}}, {"tokenizer": {}}])
def test_a_record_that_makes_no_sense_is_refused(copy, change):
    edit_json(copy / "model.json", lambda data: data.update(change))
    with pytest.raises(ArtifactCorruptError, match=r"model\.json"):
        storage.load(copy)


RECORDS = {
    "a hash that is a number": lambda d: d["tokenizer"].update(sha256=5),
    "a hash that is none": lambda d: d["tokenizer"].update(sha256="x" * 64),
    "a tokenizer that is a list": lambda d: d.update(tokenizer=[]),
    "a name that is an object": lambda d: d["tokenizer"].update(name={}),
    "training that is a list": lambda d: d.update(training=[1]),
    "a config that is a number": lambda d: d.update(config=3),
    "a width of 640 GB": lambda d: d["config"].update(d_model=400_000),
    "a width that other weights have": lambda d: d["config"].update(d_model=65536),
    "millions of layers": lambda d: d["config"].update(layers=2_000_000),
    "more layers than there are": lambda d: d["config"].update(layers=1000),
    "a width of 400 digits": lambda d: d["config"].update(d_model=10**400),
    "an infinite rate": lambda d: d["config"].update(learning_rate=float("inf")),
    "a size that is negative": lambda d: d["files"]["model.safetensors"].update(bytes=-1),
    "a size beyond 64 bits": lambda d: d["files"]["model.safetensors"].update(bytes=1 << 70),
}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_a_hostile_record_is_refused_before_anything_is_built_of_it(copy, change, monkeypatch):
    edit_json(copy / "model.json", change)
    monkeypatch.setattr(storage, "build", lambda *_: pytest.fail("a model was built"))
    with pytest.raises(ArtifactCorruptError):
        storage.load(copy)


def put(folder, name, data):
    """Put a file in a model folder as someone would who knows the format."""
    (folder / name).write_bytes(data)
    edit_json(folder / "model.json", lambda record: record["files"].update({name: entry_of(data)}))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"zz": 1}',
        b'{"61": "x"}',
        b'{"61": -1}',
        b'{"61": 1.5}',
        b"[]",
        b"",
        b'{"a":' * 100_000,
        b'{"61": 1, "61": 2}',
    ],
)
def test_hostile_spellings_are_refused(copy, raw):
    put(copy, "spelling.json", raw)
    with pytest.raises(ArtifactCorruptError, match=r"spelling\.json"):
        storage.load(copy)


WEIGHTS = {
    "none at all": lambda w: w.clear(),
    "one too few": lambda w: w.pop("body.norm.weight"),
    "another shape": lambda w: w.update({"body.norm.weight": torch.zeros(3)}),
    "a number for a list": lambda w: w.update({"embedding.bias": torch.tensor(1.0)}),
    "integers": lambda w: w.update({"body.norm.weight": w["body.norm.weight"].long()}),
    "not a number": lambda w: w["body.norm.weight"].fill_(float("nan")),
}


@pytest.mark.parametrize("change", WEIGHTS.values(), ids=WEIGHTS)
def test_hostile_weights_are_refused(copy, change):
    weights = load_file(copy / "model.safetensors")
    change(weights)
    put(copy, "model.safetensors", save_tensors(weights))
    with pytest.raises(ArtifactCorruptError, match=r"model\.safetensors"):
        storage.load(copy)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "spelling.json"])
def test_links_to_files_load_and_pipes_folders_and_devices_do_not(small, copy, tmp_path, name):
    (tmp_path / "elsewhere").write_bytes((copy / name).read_bytes())
    os.mkfifo(tmp_path / "pipe")
    for target, loads in (("elsewhere", True), ("pipe", False), (".", False), ("/dev/zero", False), ("gone", False)):
        (copy / name).unlink()
        (copy / name).symlink_to(tmp_path / target)
        if loads:
            assert storage.load(copy).tokenizer.name == "bpe"
            continue
        with pytest.raises(ArtifactCorruptError, match=r"not a regular file|does not exist"):
            storage.load(copy)


def test_a_model_saved_before_the_vector_decoder_was_removed_loads_unless_it_has_one(small, copy, same):
    written = {"vector_decoder": False, "vector_weight": 1.0, "decoder": "frozen"}
    edit_json(copy / "model.json", lambda data: data["config"].update(written))
    assert same(storage.load(copy).model, storage.load(small.model("bpe")).model)
    edit_json(copy / "model.json", lambda data: data["config"].update(vector_decoder=True))
    with pytest.raises(ArtifactCorruptError, match=r"vector decoder was removed.*train the model again"):
        storage.load(copy)


def test_what_is_no_model_is_named(tmp_path, small):
    with pytest.raises(ArtifactNotFoundError, match="does not exist"):
        storage.load(tmp_path / "none")
    with pytest.raises(ArtifactNotFoundError, match="lm train"):
        storage.load(small.tokenizers["bpe"])


def test_a_folder_that_is_no_model_is_never_replaced(small, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    model = storage.load(small.model("bpe"))
    with pytest.raises(ArtifactExistsError):
        storage.save(model, tmp_path / "precious")
    with pytest.raises(ArtifactError, match="was not made by tokframe"):
        storage.save(model, tmp_path / "precious", overwrite=True)
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_listing_commands_imports_no_torch(fresh):
    fresh("import sys; from tokframe.cli.main import main; main(['lm', '--help']); assert 'torch' not in sys.modules")
