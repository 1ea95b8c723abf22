"""The report of a migration: what stands in it, in JSON and on the page, with a model and without."""

from __future__ import annotations

import json

import pytest
from support.pretrained import SPECIAL, model_of, word_level
from tokframe_lm.data.tokens import read_document
from tokframe_lm.migration.report import migration_report
from transformers import PreTrainedTokenizerFast

import tokframe
from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import ArtifactCorruptError, UnsupportedError

pytestmark = [pytest.mark.slow, pytest.mark.trains]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Return the folder of a model of transformers, its tokenizer imported, and text."""
    folder = tmp_path_factory.mktemp("theirs")
    tokenizer = word_level()
    model_of("gpt2", tokenizer.get_vocab_size()).save_pretrained(folder / "model")
    names = {f"{text[1:-1].lower()}_token": text for text in SPECIAL}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder / "model")
    assert main(["import", str(folder / "model" / "tokenizer.json"), "--out", str(folder / "old")]) == 0
    (folder / "text").mkdir()
    for name in ("a-en", "b-de"):
        (folder / "text" / f"{name}.txt").write_text(
            "the cat sat on the mat, and it was that.\n" * 1500, encoding="utf-8"
        )
    return folder


def test_the_report_holds_what_a_team_decides_by(theirs, small, tmp_path, capsys):
    old, new = str(theirs / "old"), small.tokenizers["bpe"]
    words = ["migrate-report", old, new, "--corpus", str(theirs / "text"), "--rounds", "1"]
    words += ["--model", str(theirs / "model"), "--steps", "30", "--learning-rate", "0.01"]
    page = tmp_path / "report.html"
    assert main([*words, "--html", str(page), "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found["tokenizers"]
    assert (found["old"], found["new"], set(rows)) == (old, new, {old, new})
    assert found["context"] == 32 and found["width"] == 16
    assert found["context_gained"] == pytest.approx(rows[new]["bytes_per_token"] / rows[old]["bytes_per_token"])
    assert found["context_bytes_before"] == pytest.approx(32 * rows[old]["bytes_per_token"])
    assert found["embedding_mb_after"] == pytest.approx(2 * rows[new]["vocab_size"] * 16 * 4 / 1e6)
    assert (
        rows[old]["unknown_rate"] > 0
        and "typo" in rows[old]["stability"]
        and set(rows[old]["languages"]) == {"de", "en"}
    )
    trial = found["model"]
    assert trial["copied"] + trial["composed"] + trial["guessed"] == rows[new]["vocab_size"] and trial["tied"]
    assert trial["bits_per_byte_trained"] < trial["bits_per_byte_converted"] - 0.3 and trial["steps"] == 30
    assert min(trial[f"{what}_{when}"] for what in ("reads", "writes") for when in ("before", "after")) > 0
    assert found["differences"] and {each["better"] for each in found["differences"]} <= {old, new}
    text = page.read_text(encoding="utf-8")
    assert "bits per byte, after 30 steps" in text and f"{trial['bits_per_byte_trained']:.3f}" in text
    assert 'http-equiv="refresh"' not in text and "<script src" not in text


def test_without_a_model_the_report_is_of_the_tokenizers(theirs, small, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")  # no line of the table is wrapped
    words = ["migrate-report", str(theirs / "old"), small.tokenizers["bpe"], "--corpus", str(theirs / "text")]
    assert main([*words, "--rounds", "1"]) == 0
    shown = capsys.readouterr().out
    assert "text in a context of 1,024 tokens" in shown and "bits per byte" not in shown.split("the way over")[1]


def test_what_does_not_go_together_is_refused(theirs, small, monkeypatch):
    old, new = str(theirs / "old"), small.tokenizers["bpe"]
    assert main(["migrate-report", old, old]) == 2
    assert main(["migrate-report", old, new, "--steps", "3"]) == 2
    corpus = Corpus.open([theirs / "text"])
    with pytest.raises(ArtifactCorruptError, match=r"embeds .* ids, and its tokenizer has"):
        migration_report(new, old, corpus, model=theirs / "model")
    monkeypatch.setattr("tokframe_lm.migration.pretrained.Pretrained.is_masked", True)
    with pytest.raises(UnsupportedError, match=r"no bits per byte.*--from-huggingface"):
        migration_report(old, new, corpus, model=theirs / "model")


def test_white_space_that_a_tokenizer_leaves_out_is_charged(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\ncat\n", encoding="utf-8")
    assert main(["import", str(tmp_path / "vocab.txt"), "--out", str(tmp_path / "old")]) == 0
    old = tokframe.load(str(tmp_path / "old"))
    with pytest.raises(UnsupportedError, match="leaves out byte 3"):
        read_document(old, "the cat  dog\n")
    document = read_document(old, "the cat  dog\n", charge_left_out=True)
    assert document.left_out == (b"", b" ", b"  ", b"\n") and document.unknown_surfaces == (b"dog",)
    assert document.ids.tolist() == [2, 3, 1]
    assert read_document(tokframe.load("word"), "the cat", charge_left_out=True).left_out == ()
