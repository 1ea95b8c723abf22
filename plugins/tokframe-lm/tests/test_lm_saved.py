"""Saved models: loading, hostile files, models of older versions."""

from __future__ import annotations

import json
import shutil

import pytest
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
