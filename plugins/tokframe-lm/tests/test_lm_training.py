"""Training: resuming, configs, embeddings, refusals, the command."""

from __future__ import annotations

import json
import os
import re
import shutil

import numpy as np
import pytest
from attrs import Factory, fields
from support import imported
from support.stopping import stop_after
from support.stored import edit_json
from tokframe_lm import storage
from tokframe_lm.data.tokens import read_document, tokenize
from tokframe_lm.finetuning.config import FinetuneConfig
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import build

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import (
    ConfigError,
    CorpusError,
    TokframeError,
    TrainingError,
    TrainingInterrupted,
    UnsupportedError,
)
from tokframe.training.progress import SilentReporter

pytestmark = pytest.mark.trains

NAMES = ("word", "bpe", "autoencoder-fsq")
TEXT = "The cat saw a zebra; the dog saw the cat.\n" * 40


@pytest.mark.parametrize("kind", ["byte fallback", "half characters", "sentencepiece"])
def test_ids_that_spell_one_character_together_hide_nothing(kind, tmp_path):
    reading = pytest.importorskip("tokframe_huggingface.reading")
    library = pytest.importorskip("tokenizers")
    if kind == "sentencepiece":
        path = tmp_path / "spm.model"
        path.write_bytes(imported.sentencepiece_model("a b c", add_dummy_prefix=False))
    else:
        if kind == "byte fallback":  # as Llama 2 and Gemma have it
            vocab = {name: n for n, name in enumerate([*(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b"])}
            made = library.Tokenizer(library.models.BPE(vocab, [], byte_fallback=True))
            made.normalizer = library.normalizers.Replace(" ", "▁")
        else:
            made = imported.byte_level(("t", "h"), ["<s>"])
            made.normalizer = library.normalizers.NFC()  # which makes it lossy
        path = tmp_path / "tokenizer.json"
        made.save(str(path))
    tokenizer = reading.read(path)
    assert not tokenizer.capabilities.lossless
    document = read_document(tokenizer, "a ☃ 🙂 b")
    assert len(document.ids) == 12 and document.unknown_surfaces == ()


def test_tokens_that_are_kept_remember_what_was_left_out_of_their_text(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "the cat"}\n{"text": 3}\n' * 5)
    tokenizer, told = tokframe.load("word"), []
    for _ in range(2):  # the second time nothing is read
        corpus = Corpus.open([path])
        tokenize(corpus, tokenizer, tmp_path / "tokens", "", 0, reporter=SilentReporter())
        told.append(corpus.summary())
    assert told[0] == told[1] and told[0]["skipped_records"] == 5


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss(small, name):
    curve = storage.load(small.model(name)).training["loss"]
    assert curve[-1][1] < curve[0][1]


@pytest.mark.parametrize("name", ["bpe", "word"])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(small, tmp_path, same, name):
    out = tmp_path / "stopped"
    with pytest.raises(TrainingInterrupted, match="step"):
        small.train(name, out, should_stop=stop_after(6))
    assert not out.exists()
    resumed = small.train(name, out, resume=True)
    whole = storage.load(small.model(name))
    assert same(resumed.model, whole.model)
    assert resumed.training["loss"] == whole.training["loss"]
    assert not (tmp_path / "stopped.training").exists()


def test_resuming_needs_a_checkpoint_of_the_same_run(small, tmp_path):
    with pytest.raises(TrainingInterrupted):
        small.train("bpe", tmp_path / "other", should_stop=stop_after(6))
    with pytest.raises(TrainingError, match=r"earlier run that was not finished.*Use --resume \(resume=True\)"):
        small.train("bpe", tmp_path / "other")
    with pytest.raises(TrainingError, match="another run"):
        small.train("bpe", tmp_path / "other", resume=True, config={"learning_rate": 0.5})


@pytest.mark.parametrize("removed", ["folder", "contents"])
def test_a_run_folder_that_was_removed_meanwhile_is_made_anew(small, tmp_path, same, removed):
    out, work = tmp_path / "out", tmp_path / "out.training"
    calls = iter(range(100))

    def remove_and_stop():
        step = next(calls)
        if step == 3:
            shutil.rmtree(work)
            if removed == "contents":
                work.mkdir()
        return step == 6

    with pytest.raises(TrainingInterrupted) as stopped:
        small.train("word", out, should_stop=remove_and_stop)
    assert stopped.value.checkpoint == work
    assert same(small.train("word", out, resume=True).model, storage.load(small.model("word")).model)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("name", ["tokens/tokens.bin", "tokens/tokens.json", "training.checkpoint", "tokens"])
def test_a_folder_or_file_in_the_place_of_a_runs_own_is_named(small, tmp_path, name):
    work = tmp_path / "out.training"
    with pytest.raises(TrainingInterrupted):
        small.train("word", tmp_path / "out", should_stop=stop_after(2))
    place = work / name
    shutil.rmtree(work / "tokens")
    (work / "training.checkpoint").unlink()
    if name == "tokens":
        place.touch()
    else:
        place.mkdir(parents=True)
    with pytest.raises(TokframeError, match=re.escape(str(place if name != "training.checkpoint" else work))):
        small.train("word", tmp_path / "out", resume=True)


def test_the_seed_decides_the_weights(small, same):
    tokenizer = tokframe.load(small.tokenizers["bpe"])
    config = {"d_model": 16, "layers": 1, "heads": 2}
    first = build(LMConfig(**config, seed=1), tokenizer)
    assert same(first, build(LMConfig(**config, seed=1), tokenizer))
    assert not same(first, build(LMConfig(**config, seed=2), tokenizer))


def test_the_body_has_the_same_size_whatever_the_tokenizer(small):
    assert len({storage.load(small.model(name)).model.sizes["body"] for name in NAMES}) == 1


def test_a_factored_embedding_is_the_sum_of_one_row_per_digit():
    tokenizer = tokframe.load("autoencoder-fsq")
    config = LMConfig(d_model=16, layers=1, heads=2, embedding="factored")
    embedding = build(config, tokenizer).embedding
    digits, levels = tokenizer.digits(), tokenizer.levels
    uncoded = int((digits[:, 0] < 0).sum())
    assert embedding.factors.shape == (sum(levels) + uncoded, 16)
    table, factors = embedding.table().detach().numpy(), embedding.factors.detach().numpy()
    token = tokenizer.vocab_size - 1
    first = np.concatenate([[0], np.cumsum(levels)[:-1]])
    np.testing.assert_allclose(table[token], factors[first + digits[token]].sum(0), atol=1e-6)
    # ids without a code share nothing
    assert len(np.unique(table[digits[:, 0] < 0], axis=0)) == uncoded


def test_the_embedding_s_rows_have_a_learning_rate_of_their_own(small, tmp_path, same):
    before = build(LMConfig(d_model=16, layers=1, heads=2, context=16), tokframe.load(small.tokenizers["bpe"]))
    still = small.train("bpe", tmp_path / "still", config={"embedding_rate": 1e-12}).model
    np.testing.assert_allclose(still.embedding.rows.detach(), before.embedding.rows.detach(), atol=1e-9)
    assert (still.embedding.bias != before.embedding.bias).any()
    assert all((a != b).any() for a, b in zip(still.body.parameters(), before.body.parameters(), strict=True))
    alike = small.train("bpe", tmp_path / "alike", config={"embedding_rate": 0.01, "learning_rate": 0.01}).model
    assert same(alike, storage.load(small.model("bpe")).model)


def test_a_tokenizer_without_codes_offers_only_lookup(small, tmp_path):
    for name in ("factored", "factored-spelled"):
        with pytest.raises(UnsupportedError, match='"embedding": "lookup"'):
            small.train("bpe", tmp_path / "x", config={"embedding": name})


def test_an_embedding_may_be_written_as_a_sum():
    assert LMConfig(embedding="factored+lookup") == LMConfig(embedding="factored-lookup")


def test_every_problem_of_a_config_is_told(small, tmp_path):
    with pytest.raises(ConfigError) as caught:
        small.train("bpe", tmp_path / "x", config={"d_model": 15, "layers": 0})
    assert {path for path, _ in caught.value.problems} == {"$.d_model", "$.layers"}


def test_a_corpus_shorter_than_the_context_is_an_error(small, tmp_path):
    with pytest.raises(CorpusError, match="context"):
        small.train("bpe", tmp_path / "x", config={"context": 10**6})


def test_tokens_are_made_once_and_anew_when_the_text_changes(small, tmp_path):
    text = tmp_path / "a.txt"
    text.write_text(TEXT, encoding="utf-8")
    tokenizer = tokframe.load(small.tokenizers["word"])

    def tokens(max_bytes=0):
        return tokenize(
            Corpus.open([text]),
            tokenizer,
            tmp_path / "tokens",
            sha256="x",
            max_bytes=max_bytes,
            reporter=SilentReporter(),
            should_stop=lambda: False,
        )

    first = tokens()
    made = (tmp_path / "tokens" / "tokens.bin").stat().st_mtime_ns
    assert first.bytes == len(TEXT.encode()) and first.unknown_surfaces
    assert first.ids[0] == tokenizer.special_tokens["<s>"]
    np.testing.assert_array_equal(first.ids[1:], tokenizer.encode_array(TEXT, False))
    tokens()
    assert (tmp_path / "tokens" / "tokens.bin").stat().st_mtime_ns == made
    assert tokens(max_bytes=100).bytes == 100
    text.write_text("It was new.", encoding="utf-8")
    assert tokens().bytes == 11
    ids, header = tmp_path / "tokens" / "tokens.bin", tmp_path / "tokens" / "tokens.json"
    whole = ids.read_bytes(), header.read_bytes()
    for spoil in (
        lambda: ids.write_bytes(bytes(len(whole[0]))),  # other ids
        lambda: ids.write_bytes(b""),
        lambda: header.write_bytes(b"[" * 10**5),
        lambda: edit_json(header, lambda data: data.update(bytes="11")),
        lambda: edit_json(header, lambda data: data.update(bytes=0)),
        lambda: header.unlink() or os.mkfifo(header),
        lambda: (tmp_path / "tokens" / "tokens.bin.part").symlink_to(text),
    ):
        spoil()
        assert tokens().bytes == 11 and (ids.read_bytes(), header.read_bytes()) == whole
        assert text.read_text() == "It was new.", "written through a link"


def test_the_command_trains_and_says_so(small, tmp_path, capsys):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"d_model": 16, "layers": 1, "heads": 2, "context": 16, "batch": 4}))
    words = ["lm", "train", "--tokenizer", small.tokenizers["bpe"], "--corpus", str(small.text), "--json"]
    assert main([*words, "--out", str(tmp_path / "m"), "--config", str(config), "--steps", "2", "--seed", "3"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["steps"] == 2 and record["tokens"] == 2 * 4 * 16
    assert storage.load(tmp_path / "m").model.config.seed == 3
    assert main([*words, "--out", str(tmp_path / "m")]) == 1
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "config"), [("train", LMConfig), ("finetune", FinetuneConfig)])
def test_the_help_lists_every_key_of_the_config_with_default_and_meaning(capsys, command, config):
    assert main(["lm", command, "--help"]) == 0
    listed = capsys.readouterr().out.split("Config keys with their defaults:")[1]
    for attribute in fields(config):
        default = attribute.default.factory() if isinstance(attribute.default, Factory) else attribute.default
        assert re.search(rf"^  {attribute.name} {re.escape(str(default))}\s+\S", listed, re.MULTILINE)
