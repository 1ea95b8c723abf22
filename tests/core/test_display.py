"""How tokenizers and results read: as text, in a notebook, as plain data, as a DataFrame."""

from __future__ import annotations

import importlib
import json

import pytest
from support.toys import LossyToy, named, toy
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.corpus.files import Corpus
from tokframe.errors import UnsupportedError
from tokframe.evaluate import analyze, compare
from tokframe.plugins.protocols import Check
from tokframe.tokenizer.display import html_table, text_table
from tokframe.tokenizer.results import TrainingRecord, VerifyReport


@pytest.fixture(autouse=True)
def _host(toy_host):
    return toy_host


@pytest.fixture
def comparison(given_footprint, tmp_path):
    (tmp_path / "a.txt").write_text("the thing\n" * 20)
    both = {"./<b>mine": toy(), "lossy": named(LossyToy())}
    return compare(both, Corpus.open([tmp_path / "a.txt"]), load=both.__getitem__, rounds=1)


def test_a_tokenizer_is_called_counted_and_listed_as_others_are():
    tok = toy(wrap=True)
    assert tok("the thing") == tok.encode("the thing") and tok("x", False) == tok.encode("x", False)
    assert len(tok) == tok.vocab_size == len(tok.vocab())
    assert tok.vocab()[0] == b"<pad>" and all(tok.vocab()[t] == tok.token_bytes(t) for t in range(len(tok)))


def test_the_tokens_of_a_text_are_its_pieces_and_bytes_of_a_character_are_escaped():
    assert toy([b"the "]).tokens("the é") == ["the ", "\\xc3", "\\xa9"]
    assert named(LossyToy()).tokens("né") == ["n", "<unk>", "<unk>"]


def test_a_shown_text_is_colored_where_that_can_be_seen_and_escaped():
    found = toy([b"<b>", b"the "]).show("the <b>\x1b")
    assert [segment.text for segment in found.segments] == ["the ", "<b>", "\x1b"] and found.tokens == 3
    assert repr(found) == "the |<b>|\\x1b\n3 tokens of toy"
    html = found._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;" in html and "\x1b" not in html
    assert 'class="t0"' in html and 'class="t1"' in html and "<style>" in html


def test_a_terminal_gets_colors_unless_it_wants_none(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in repr(toy().show("the"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in repr(toy().show("the"))


def test_parts_that_are_not_the_default_ones_are_named(toy_host, monkeypatch):
    class Parted(ToyTokenizer):
        @property
        def components(self):
            return {"quantizer": "other", "encoder": "usual"}

    spec = toy_host.registry.tokenizer("toy")
    object.__setattr__(spec, "defaults", {"encoder": "usual", "quantizer": "fsq"})
    tok = named(Parted())
    assert repr(tok) == "<Parted 'toy' quantizer='other' vocab_size=260>"
    assert tok.label == "toy (quantizer other)" and toy().label == "toy"


def test_a_comparison_reads_as_the_tables_of_the_terminal_and_the_page(comparison):
    text = repr(comparison)
    assert text.startswith("Comparison on a") and "bytes per token" in text and "<b>mine" in text and "x: ratio" in text
    html = comparison._repr_html_()
    assert "&lt;b&gt;mine" in html and "<b>" not in html and 'class="best"' in html and "<script" not in html
    assert comparison.to_dict() == comparison.to_json() == json.loads(json.dumps(comparison.to_dict()))
    frame = comparison.to_pandas()
    assert list(frame["name"]) == ["./<b>mine", "lossy"] and frame["bytes_per_token"][0] > frame["bytes_per_token"][1]


def test_a_comparison_shows_text_where_jinja2_is_missing(comparison, monkeypatch):
    monkeypatch.setattr("tokframe.evaluate.report.notebook.find_spec", lambda name: None)
    assert comparison._repr_html_() is None


def test_an_analysis_reads_as_its_summary_and_lists_ids_by_use(tmp_path):
    (tmp_path / "a.txt").write_text("the the thing <b>\n" * 9)
    found = analyze(toy(), Corpus.open([tmp_path / "a.txt"]))
    assert repr(found).startswith("toy on 0.00 MB of text") and "Rényi efficiency" in found._repr_html_()
    frame = found.to_pandas()
    assert frame["text"][0] == "the " and frame["count"].sum() == found.tokens and len(frame) == found.vocab_size
    assert found.to_dict() == found.to_json()


def test_a_verification_says_what_passed_and_what_not():
    checks = (Check(name="ids", ok=False, detail="<i>"), Check(name="net", ok=True, detail="needs torch", skipped=True))
    report = VerifyReport(tokenizer="toy", checks=checks)
    assert repr(report).splitlines()[0] == "toy: 1 of 1 checks failed, 1 skipped" and "FAILED" in repr(report)
    assert "&lt;i&gt;" in report._repr_html_() and not report.to_dict()["ok"]
    assert [row["result"] for row in report.records()] == ["FAILED", "skipped"]


def test_a_training_record_is_its_history():
    record = TrainingRecord(tokenizer="toy", facts={"seed": 1, "history": [{"stage": "a", "step": 1, "loss": 0.5}]})
    assert record.to_dict()["seed"] == 1 and record.to_pandas()["loss"][0] == 0.5
    assert TrainingRecord(tokenizer="toy", facts={}).records() == []


def test_without_pandas_the_error_says_how_to_install_it(monkeypatch):
    real = importlib.import_module

    def without(name, *more):
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return real(name, *more)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(UnsupportedError, match=r"needs pandas: pip install .*pandas"):
        TrainingRecord(tokenizer="toy", facts={}).to_pandas()


def test_long_tables_say_how_much_is_left_out():
    rows = [{"n": n, "text": "a\nb"} for n in range(100)]
    lines = list(text_table(rows))
    assert lines[0] == " n  text" and lines[1] == " 0  a\\nb" and lines[-1] == "... 40 more"
    assert "40 more" in html_table(rows) and list(text_table([])) == []
