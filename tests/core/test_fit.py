"""Fit and languages: borders in words, numbers and characters counted by hand; which language a file is in."""

from __future__ import annotations

import io
import json

import pytest
from attrs import evolve
from rich.console import Console
from support.toys import LossyToy, named
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import ConfigError
from tokframe.evaluate import analyze, compare
from tokframe.evaluate.languages import gini, language_of
from tokframe.evaluate.measures import measure, rarely_trained, total
from tokframe.evaluate.report.page import comparison_page
from tokframe.evaluate.report.summary import analysis_summary
from tokframe.evaluate.report.table import comparison_table


@pytest.fixture
def toy(toy_host):
    return named(ToyTokenizer([b"the", b" the", b"12", "né".encode(), "é".encode()[1:] + b" "]), "toy")


def measured(tokenizer, folder, text, name="a.txt"):
    (folder / name).write_bytes(text.encode())
    return measure(tokenizer, Corpus.open([folder / name]).files[0])


def text_of(renderable):
    stream = io.StringIO()
    Console(file=stream, width=100, highlight=False).print(renderable)
    return stream.getvalue()


def test_words_that_a_border_cuts_are_counted_in_place(toy, tmp_path):
    # the| the|r|e| |n|e|'|s| |né|e
    found = measured(toy, tmp_path, "the there ne's née")
    assert (found.fit.words, found.fit.words_split) == (4, 3)
    assert found.words_split == 0.75 and found.tokens_per_word == found.tokens / 4


def test_text_without_spaces_between_words_has_no_words(toy, tmp_path):
    found = measured(toy, tmp_path, "世界 ไทย ひらがな")
    assert found.fit.words == 0
    assert found.tokens_per_word is None and found.strr is None and found.words_split is None
    assert measured(toy, tmp_path, "हिन्दी 한국어").fit.words == 2  # vowel signs belong to words


def test_characters_that_a_border_cuts_are_counted_once_each(toy, tmp_path):
    found = measured(toy, tmp_path, "né é x世")  # né whole; c3|a9+space; 世 in three bytes
    assert found.fit.characters_split == 2
    assert found.characters_split == 2 / 7


def test_numbers_are_split_unevenly_where_not_all_of_a_length_are_split_alike(toy, tmp_path):
    # 12|7 and 12|8 alike, 7|12 and 3|4|5 otherwise; 12 whole, 4|5 not; 9 is no number of two digits
    found = measured(toy, tmp_path, "127 128 712 345 12 45 9")
    assert found.fit.numbers == 6
    assert found.tokens_per_number == (2 + 2 + 2 + 3 + 1 + 2) / 6
    assert found.fit.numbers_split_unevenly == pytest.approx(3 / 6)
    assert measured(toy, tmp_path, "no numbers").fit.numbers_split_unevenly is None


def test_single_token_retention_is_of_the_most_frequent_words_alone_or_behind_a_space(toy, tmp_path):
    assert measured(toy, tmp_path, "the the né other").strr == 2 / 3
    spaced = named(ToyTokenizer([b" on"]), "spaced")
    assert measured(spaced, tmp_path, "on").strr == 1.0  # " on" is one id
    many = " ".join(f"{a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyzabcdefgh")
    assert measured(toy, tmp_path, many).fit.frequent == 1000


def test_the_unknown_id_keeps_no_word(toy_host, tmp_path):
    found = measured(named(LossyToy(), "lossy"), tmp_path, "a é")
    assert found.fit.frequent == 2
    assert found.strr == 0.5  # é is <unk>


def test_counts_add_up_over_documents_and_files(toy, tmp_path):
    parts = [measured(toy, tmp_path, text) for text in ("the 127 é ", "712 other 12")]
    both = total(parts)
    assert both.fit.words == sum(part.fit.words for part in parts)
    assert both.fit.numbers_split_unevenly == pytest.approx(1 / 3)
    unplaced = total([parts[0], evolve(parts[1], fit=evolve(parts[1].fit, placed=False))])
    assert unplaced.words_split is None and unplaced.tokens_per_number is None and unplaced.tokens_per_word


# -- languages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("help-de.txt", "de"),
        ("tales-pt-br.dev.txt", "pt-br"),
        ("multilingual-zh.train.txt", "zh"),
        ("fr.txt", "fr"),
        ("eng_Latn.devtest", "eng_Latn"),
        ("de/notes.txt", "de"),
        ("mixed/help-el.txt", "el"),
        ("wikitext2.txt", ""),
        ("notes.txt", ""),
        ("my-text.txt", ""),
        ("io.py", ""),
    ],
)
def test_a_name_says_the_language(tmp_path, path, language):
    place = tmp_path / path
    place.parent.mkdir(exist_ok=True)
    place.write_text("text")
    given = place.parent if place.parent != tmp_path else place
    assert language_of(Corpus.open([given]).files[0]) == language


def test_gini_is_the_mean_difference_over_twice_the_mean():
    assert gini([1.0, 1.0, 1.0]) == 0.0
    assert gini([1.0, 3.0]) == 0.25
    values = [0.2, 0.9, 0.4, 0.25]
    pairs = sum(abs(a - b) for a in values for b in values)
    assert gini(values) == pytest.approx(pairs / (2 * len(values) * sum(values)))


@pytest.fixture
def texts(tmp_path):
    for name, text in {
        "help-en": "the the 12",
        "other-en": "the",
        "help-fr": "né né",
        "help-zh": "世界",
        "x": "x",
    }.items():
        (tmp_path / f"{name}.txt").write_bytes(text.encode())
    return Corpus.open([str(tmp_path / "*.txt")])


def test_each_language_is_compared_with_all_english_text(toy, texts, given_footprint):
    comparison = compare(["toy"], texts, load={"toy": toy}.__getitem__, rounds=1)
    row = comparison.to_json()["tokenizers"]["toy"]
    english = (4 + 1) / (10 + 3)  # "the", " the", " ", "12", and "the"
    assert row["languages"]["en"]["cost_relative_to_english"] == 1.0
    assert row["languages"]["fr"]["cost_relative_to_english"] == pytest.approx(3 / 5 / english)
    assert row["files"]["help-zh.txt"]["cost_relative_to_english"] == pytest.approx(6 / 2 / english)
    assert row["files"]["help-zh.txt"]["language"] == "zh" and row["files"]["x.txt"]["language"] is None
    assert row["cost_relative_to_english"] == pytest.approx((3 / 5 + 6 / 2) / 2 / english)
    assert row["gini"] == pytest.approx(gini([english, 3 / 5, 6 / 2]))
    assert row["ids_splitting_characters"] == 128 + 1  # bytes above 127, and the end of é with a space
    assert row["ids_rarely_trained"] is None
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    shown = text_of(comparison_table(comparison))
    assert "fr over English" in shown and "Gini over languages" in shown
    page = comparison_page(comparison, {"toy": toy}, texts).decode()
    assert "Cost relative to English" in page and "zh over English" in page


def test_without_english_there_is_no_cost_and_with_one_language_nothing(toy, tmp_path, given_footprint):
    for name in ("help-fr", "help-de"):
        (tmp_path / f"{name}.txt").write_text("text")
    two = compare(["toy"], Corpus.open([tmp_path]), load={"toy": toy}.__getitem__, rounds=1)
    row = two.to_json()["tokenizers"]["toy"]
    assert row["gini"] == 0.0 and row["cost_relative_to_english"] is None
    assert "over English" not in text_of(comparison_table(two))
    one = compare(["toy"], Corpus.open([tmp_path / "help-fr.txt"]), load={"toy": toy}.__getitem__, rounds=1)
    assert one.to_json()["tokenizers"]["toy"]["gini"] is None
    assert "Gini" not in text_of(comparison_table(one))


def test_a_language_may_be_given_for_names_that_do_not_say_it(toy, texts):
    found = analyze(toy, texts, languages={"x": "en-gb", "help-zh*": ""}).to_json()
    assert set(found["languages"]) == {"en", "en-gb", "fr"}
    with pytest.raises(ConfigError, match=r"nothing-\*: fits no file or source; the sources are help-en"):
        analyze(toy, texts, languages={"nothing-*": "de"})


def test_an_analysis_has_the_same_figures(toy, texts):
    found = analyze(toy, texts)
    data = found.to_json()
    assert data["tokens_per_word"] == found.text.tokens_per_word and data["strr"] == found.text.strr
    assert data["languages"]["fr"]["chars_per_token"] == 5 / 3
    assert data["ids_rarely_trained"] == [] and data["sizes"] == []
    shown = text_of(analysis_summary(found))
    assert "words of one id (STRR)" in shown and "cost relative to English" in shown
    assert "If only the most used ids were kept" in shown


def test_ids_of_few_uses_in_training_are_counted_where_they_are_known(toy):
    class Counting(ToyTokenizer):
        def training_counts(self):
            import numpy as np

            return np.arange(self.vocab_size)

    assert rarely_trained(toy, 10) is None
    assert rarely_trained(Counting(), 10) == 6  # ids 4 to 9: special tokens are left out


def test_a_language_of_the_wrong_form_is_told(capsys):
    assert main(["analyze", "toy", "--language", "de"]) == 2
    assert "'de' is not of the form PATTERN=LANGUAGE" in capsys.readouterr().err
