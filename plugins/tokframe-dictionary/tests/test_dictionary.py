"""The tokenizer "dictionary": trained from text without torch, saved, damaged, exported and used like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokframe_dictionary.mining.config import SelectionConfig
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, Vocabulary

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactCorruptError, ConfigError, CorpusError, TrainingError, TrainingInterrupted
from tokframe.loading.inspection import verify
from tokframe.storage.config import unstructure
from tokframe.storage.state import State
from tokframe.testing.fresh import run_fresh


def test_training_gives_an_artifact_that_passes_every_check(saved: Path) -> None:
    report = verify(saved)
    assert report.ok, [check for check in report.checks if not check.ok]
    assert sorted(path.name for path in saved.iterdir()) == [
        "config.json",
        "manifest.json",
        "training.json",
        "vocabulary.safetensors",
    ]


def test_learned_segments_are_used_where_they_were_trained(saved: Path, corpus: Path) -> None:
    tokenizer = tokframe.load(saved)
    text = corpus.read_text(encoding="utf-8")
    ids = tokenizer.encode(text)
    assert tokenizer.vocab_size == 400
    assert len(ids) < len(text.encode()) * 0.6
    assert tokenizer.decode(ids) == text
    counts = tokenizer.vocabulary.counts
    assert np.bincount(ids, minlength=400).tolist() == counts.tolist()
    assert counts[FIRST_LEARNED:].tolist() == sorted(counts[FIRST_LEARNED:].tolist(), reverse=True)


def test_spans_are_those_of_the_characters_that_a_token_has_bytes_of() -> None:
    tokenizer = tokframe.load("dictionary")
    text = "naïve 日本語 \U0001f642\U0001f9ff\u0f42\n\x00 the end"
    owner = [place for place, character in enumerate(text) for _ in character.encode()]
    found = tokenizer.offsets(text)
    assert found.ids.tolist() == tokenizer.encode(text)
    at = 0
    for token, (start, end), (first, last) in zip(found.ids, found.byte_spans, found.char_spans, strict=True):
        assert (start, end) == (at, at + len(tokenizer.token_bytes(int(token))))
        assert (first, last) == (owner[start], owner[end - 1] + 1)
        at = end
    assert at == len(text.encode())
    assert tokenizer.offsets("").char_spans.shape == (0, 2)


def test_the_artifact_records_config_corpus_and_versions(saved: Path, corpus: Path) -> None:
    record = json.loads((saved / "training.json").read_text(encoding="utf-8"))
    assert record["config"] == json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert record["config"]["vocab_size"] == 400
    assert record["config"]["selection"] == unstructure(SelectionConfig())
    (source,) = record["corpus"]
    assert (source["source"], source["bytes"], source["files"]) == ("small", corpus.stat().st_size, 1)
    assert record["vocabulary"]["ids"] == 400
    assert record["versions"]["tokframe"] == tokframe.__version__


@pytest.mark.slow
def test_neither_training_nor_use_imports_torch(tmp_path: Path, corpus: Path, saved: Path) -> None:
    out = tmp_path / "again"
    source = """
    import sys; sys.modules["torch"] = None; import tokframe
    tokframe.train("dictionary", corpus=[sys.argv[1]], config={"vocab_size": 400}, out=sys.argv[2])
    """
    run_fresh(source, corpus, out)
    assert (out / "vocabulary.safetensors").read_bytes() == (saved / "vocabulary.safetensors").read_bytes()


@pytest.mark.slow
def test_loading_imports_neither_cattrs_nor_the_miner(saved: Path) -> None:
    source = """
    import sys, tokframe; tokframe.load(sys.argv[1]).encode("text")
    heavy = {"torch", "cattrs", "rich", "tokframe_dictionary.mining"} & set(sys.modules)
    assert not heavy, heavy
    """
    run_fresh(source, saved)


def test_a_small_corpus_gives_fewer_ids_and_a_note(tmp_path: Path, listener) -> None:
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be, that is the question\n" * 20, encoding="utf-8")
    tokenizer = tokframe.train("dictionary", corpus=[path], out=tmp_path / "out", reporter=listener)
    assert FIRST_LEARNED < tokenizer.vocab_size < 1500
    assert any(f"{tokenizer.vocab_size:,} ids instead of 32,768" in note for note in listener.notes)
    assert [name for name, _, _ in listener.stages][:2] == ["reading", "mining segments"]


@pytest.mark.parametrize("name", ["dictionary", "bpe", "word"])
def test_every_trainable_tokenizer_takes_a_vocabulary_size_whatever_the_config_says(
    name: str, tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text('{"vocab_size": 500}', encoding="utf-8")
    command = ["train", name, "--corpus", str(corpus), "--config", str(tmp_path / "config.json")]
    assert main([*command, "--out", str(tmp_path / "out"), "--vocab-size", "300"]) == 0
    assert tokframe.load(tmp_path / "out").vocab_size == 300
    assert main([*command, "--out", str(tmp_path / "bad"), "--vocab-size", "2"]) == 1
    assert "$.vocab_size: is 2, must be at least" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["reading", "mining", "pruning"])
def test_an_interrupted_run_keeps_nothing_and_says_so(tmp_path: Path, corpus: Path, listener, stage: str) -> None:
    with pytest.raises(TrainingInterrupted, match="nothing was saved") as caught:
        tokframe.train(
            "dictionary",
            corpus=[corpus],
            out=tmp_path / "out",
            reporter=listener,
            should_stop=lambda: any(name.startswith(stage) for name, _, _ in listener.stages),
        )
    assert caught.value.checkpoint is None
    assert not list(tmp_path.iterdir())


def test_resuming_starts_again_and_says_so(tmp_path: Path, corpus: Path, saved: Path, listener) -> None:
    config = {"vocab_size": 400}
    tokframe.train("dictionary", corpus=[corpus], out=tmp_path / "out", config=config, resume=True, reporter=listener)
    assert any("from the beginning" in note for note in listener.notes)
    made, before = ((folder / "vocabulary.safetensors").read_bytes() for folder in (tmp_path / "out", saved))
    assert made == before


def test_text_without_repetition_and_no_text_are_errors_that_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "tiny.txt"
    path.write_text("abc", encoding="utf-8")
    with pytest.raises(TrainingError, match="give more text"):
        tokframe.train("dictionary", corpus=[path], out=tmp_path / "out")
    path.write_text("", encoding="utf-8")
    with pytest.raises(CorpusError, match="empty"):
        tokframe.train("dictionary", corpus=[path], out=tmp_path / "out")


def test_every_problem_of_a_config_is_reported_at_once_with_its_path(tmp_path: Path, corpus: Path) -> None:
    config = {"vocab_size": 100, "mining": {"least": 0, "workers": 0}, "selection": {"block": 1, "kep": 0.5}}
    with pytest.raises(ConfigError) as caught:
        tokframe.train("dictionary", corpus=[corpus], config=config, out=tmp_path / "out")
    assert {path for path, _ in caught.value.problems} >= {"$.selection.kep"}
    del config["selection"]["kep"]
    with pytest.raises(ConfigError) as caught:
        tokframe.train("dictionary", corpus=[corpus], config=config, out=tmp_path / "out")
    paths = {path for path, _ in caught.value.problems}
    assert paths == {"$.vocab_size", "$.mining.least", "$.mining.workers", "$.selection.block"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.pop("counts"), "has no tensor 'counts'"),
        (lambda t: t.update(counts=t["counts"][:-1]), "segments and"),
        (lambda t: t.update(counts=t["counts"] - 1), "negative count"),
        (lambda t: t.update(segment_bytes=t["segment_bytes"][:-1]), "where the lengths say"),
        (lambda t: t.update(segment_bytes=t["segment_bytes"][::-1].copy()), "256 single bytes"),
        (lambda t: t.update(segment_lengths=t["segment_lengths"].astype(np.int64)), "not as a list of u1"),
    ],
)
def test_damaged_tables_are_refused_by_name(tmp_path: Path, saved: Path, change, text: str) -> None:
    tensors = load_file(saved / "vocabulary.safetensors")
    change(tensors)
    with pytest.raises(ArtifactCorruptError, match=f"vocabulary.safetensors .*{text}") as caught:
        Vocabulary.from_tensors(tensors)
    assert caught.value.file == "vocabulary.safetensors"


def test_a_segment_that_occurs_twice_is_refused(saved: Path) -> None:
    state = tokframe.load(saved).state()
    double = Vocabulary.build([b"ab", b"ab"])
    with pytest.raises(ArtifactCorruptError, match="cannot be searched: segment 257 occurs twice"):
        type(tokframe.load(saved))(double, config=state.config)


def test_an_artifact_without_its_tables_is_refused(saved: Path) -> None:
    state = tokframe.load(saved).state()
    with pytest.raises(ArtifactCorruptError, match=r"has no vocabulary\.safetensors"):
        type(tokframe.load(saved)).from_state(State(config=state.config, files=state.files))
