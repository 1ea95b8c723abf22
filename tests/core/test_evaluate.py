"""Measures, timing, comparison, analysis: figures checked against ones worked out by hand."""

from __future__ import annotations

import io
import json
import math
import sys

import numpy as np
import pytest
from attrs import evolve
from rich.console import Console
from support.toys import LossyToy, named
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.corpus.files import Corpus
from tokframe.errors import EncodingError, UnsupportedError
from tokframe.evaluate import analyze, compare, footprint
from tokframe.evaluate.columns import Row
from tokframe.evaluate.comparison import Comparison
from tokframe.evaluate.footprint import Footprint, footprints
from tokframe.evaluate.measures import entropy, measure, perplexity, rank_frequency, renyi_efficiency, total
from tokframe.evaluate.pruning import pruning_curve
from tokframe.evaluate.report.plots import save_plots
from tokframe.evaluate.report.summary import analysis_summary
from tokframe.evaluate.report.table import comparison_table
from tokframe.evaluate.timing import Speed, sample, speeds


@pytest.fixture
def toy(toy_host):
    return named(ToyTokenizer([b"the ", b"th"]), "toy")


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "a.txt").write_text("the the thé\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("zz", encoding="utf-8")
    return Corpus.open([tmp_path / "a.txt", tmp_path / "b.txt"])


def text_of(renderable, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(renderable)
    return stream.getvalue()


# -- measures -----------------------------------------------------------------------------------------------


def test_measures_count_bytes_characters_and_tokens(toy, corpus):
    found = measure(toy, corpus.files[0])
    # "the " "the " "th" 0xc3 0xa9 "\n": 6 tokens for 13 bytes, 12 characters
    assert (found.bytes, found.chars, found.tokens, found.vocab_used) == (13, 12, 6, 5)
    assert found.bytes_per_token == 13 / 6 and found.chars_per_token == 2.0
    assert found.lossless and found.unknown_rate == 0.0


def test_losses_are_found_by_really_going_there_and_back(toy_host, corpus):
    found = measure(named(LossyToy(), "lossy"), corpus.files[0])
    assert not found.lossless
    assert found.unknown_rate == 2 / 13


def test_a_tokenizer_that_only_claims_to_be_lossless_is_caught(toy, corpus):
    class Liar(ToyTokenizer):
        def decode_raw(self, ids):
            return super().decode_raw(ids).replace(b"\xc3\xa9", b"e")

    assert measure(toy, corpus.files[0]).lossless
    assert not measure(Liar(), corpus.files[0]).lossless


def test_figures_of_several_files_are_those_of_all_their_text(toy, corpus):
    whole = total([measure(toy, file) for file in corpus.files])
    assert (whole.bytes, whole.tokens, whole.vocab_used) == (15, 8, 6)
    assert whole.bytes_per_token == 15 / 8


def test_entropy_perplexity_and_renyi_efficiency():
    even = np.array([7, 7, 7, 7])
    assert entropy(even) == pytest.approx(2.0) and perplexity(even) == pytest.approx(4.0)
    assert renyi_efficiency(even) == pytest.approx(1.0)
    skewed = np.array([3, 1, 0, 0])
    assert entropy(skewed) == pytest.approx(2 - 0.75 * math.log2(3))
    by_hand = math.log2(0.75**2.5 + 0.25**2.5) / (1 - 2.5) / 2
    assert renyi_efficiency(skewed) == pytest.approx(by_hand)
    single = np.array([5, 0])
    assert (entropy(single), perplexity(single), renyi_efficiency(single)) == (0.0, 1.0, 0.0)
    nothing = np.zeros(3, np.int64)
    assert (entropy(nothing), perplexity(nothing), renyi_efficiency(nothing)) == (0.0, 1.0, 0.0)


# -- timing and footprint -----------------------------------------------------------------------------------


def test_the_sample_draws_from_all_files_and_is_always_the_same(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"{number} line of text\n" * 20_000)
    corpus = Corpus.open([tmp_path])
    texts = sample(corpus, size=500_000)
    assert texts == sample(corpus, size=500_000)
    assert {text[0] for text in texts} == set("01234")
    assert 500_000 <= sum(len(text) for text in texts) < 530_000
    assert all(text.endswith("\n") for text in texts)


def test_a_small_corpus_is_sampled_whole(corpus):
    assert "".join(sample(corpus)) == "the the thé\nzz"


def test_speeds_are_measured_in_turn_on_the_same_texts(toy):
    calls = []

    def watching(name):
        class Watching(ToyTokenizer):
            def encode_raw(self, data):
                calls.append((name, data))
                return super().encode_raw(data)

        return Watching()

    found = speeds({"a": watching("a"), "b": watching("b")}, ["some text", "more"], rounds=2)
    assert set(found) == {"a", "b"} and all(speed.encode_mb_s > 0 and speed.decode_mb_s > 0 for speed in found.values())
    timed = [name for name, data in calls if data == b"more"]
    assert timed[-4:] == ["a", "b", "a", "b"]


@pytest.mark.slow
def test_load_time_and_memory_come_from_fresh_processes(tmp_path, installed, monkeypatch, toy):
    monkeypatch.setenv("PYTHONPATH", str(installed))
    path = toy.save(tmp_path / "toy")
    found = footprints([str(path), str(tmp_path / "nothing")], rounds=2)
    sound, missing = found.values()
    assert sound.load_ms > 0 and sound.reason == ""
    assert sound.memory_mb is None or sound.memory_mb > 0
    assert missing.load_ms is None and missing.memory_mb is None and "nothing" in missing.reason


@pytest.mark.slow
def test_a_tokenizer_that_hangs_while_loading_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "hang.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(footprint, "__name__", "hang")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert footprints(["any"], rounds=1, timeout=0.5)["any"].reason == "still loading after 0 s"


# -- comparison ---------------------------------------------------------------------------------------------

KEYS = {
    "bytes_per_token", "chars_per_token", "tokens", "unknown_rate", "lossless", "encode_mb_s", "decode_mb_s",
    "load_ms", "memory_mb", "vocab_size", "vocab_used", "sources", "files", "tokens_per_word", "strr", "words_split",
    "tokens_per_number", "numbers_split_unevenly", "characters_split", "ids_splitting_characters", "ids_rarely_trained",
    "gini", "cost_relative_to_english", "languages",
}  # fmt: skip


def test_a_comparison_has_the_documented_figures_per_tokenizer_and_file(toy, corpus, given_footprint):
    tokenizers = {"toy": toy, "./lossy": named(LossyToy(), "toy")}
    found = compare(tokenizers, corpus, load=tokenizers.__getitem__, rounds=1).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found["tokenizers"]) == ["toy", "./lossy"]
    row = found["tokenizers"]["toy"]
    assert set(row) == KEYS
    assert (row["tokens"], row["vocab_size"], row["load_ms"], row["memory_mb"]) == (8, 262, 12.5, 3.25)
    assert row["files"]["b.txt"]["bytes_per_token"] == 1.0 and row["sources"]["a"]["tokens"] == 6
    assert row["lossless"] is True and found["tokenizers"]["./lossy"]["lossless"] is False
    assert found["corpus"] == {
        "bytes": 15, "chars": 14, "files": 2, "sources": {"a": 13, "b": 2},
        "skipped": [], "skipped_files": 0, "skipped_records": 0,
    }  # fmt: skip
    assert found["versions"]["toy-bytes"] == "0.3.0"


def test_a_text_that_is_refused_names_tokenizer_and_file(toy, corpus, given_footprint):
    class Refusing(ToyTokenizer):
        def encode_raw(self, data):
            raise EncodingError("no")

    with pytest.raises(EncodingError) as caught:
        compare(["x"], corpus, load=lambda name: Refusing())
    assert caught.value.__notes__ == ["(tokenizer x, file a.txt)"]


def a_row(toy, corpus, factor, lossless=True):
    files = {file.name: measure(toy if lossless else LossyToy(), file) for file in corpus.files}
    return Row(
        total=total(list(files.values())),
        sources={"a": files["a.txt"], "b": files["b.txt"]},
        files=files,
        speed=Speed(encode_mb_s=10.0 * factor, decode_mb_s=100.0),
        footprint=Footprint(load_ms=100.0 / factor, memory_mb=None),
        vocab_size=262,
    )


def a_comparison(rows):
    text = {"bytes": 15, "chars": 14, "files": 2, "sources": {"a": 13, "b": 2}}
    return Comparison(rows=rows, corpus=text, versions={"tokframe": "1"})


def line_of(table, label):
    return next(line for line in table.splitlines() if line.strip().startswith(label))


def test_the_table_marks_the_best_and_gives_ratios_to_the_baseline(toy, corpus):
    rows = {"fast": a_row(toy, corpus, 2), "plain": a_row(toy, corpus, 1)}
    table = text_of(comparison_table(a_comparison(rows)))
    assert line_of(table, "encode MB/s").split() == ["encode", "MB/s", "20.0*", "2.00x", "10.0"]
    assert line_of(table, "load ms").split() == ["load", "ms", "50*", "0.50x", "100"]
    assert line_of(table, "memory MB").split() == ["memory", "MB", "n/a", "n/a"]
    assert "*" not in line_of(table, "decode MB/s")  # all the same: none is best
    other = text_of(comparison_table(a_comparison(rows), baseline="fast"))
    assert line_of(other, "encode MB/s").split()[-2:] == ["10.0", "0.50x"]


def test_a_tokenizer_that_loses_text_cannot_win_at_compression(toy, corpus):
    lossy = a_row(toy, corpus, 1, lossless=False)
    lossy = evolve(lossy, total=evolve(lossy.total, tokens=2))
    rows = {"good": a_row(toy, corpus, 1), "lossy": lossy, "plain": a_row(ToyTokenizer(), corpus, 1)}
    table = text_of(comparison_table(a_comparison(rows)))
    assert line_of(table, "bytes per token").split()[3:] == ["1.875*", "1.88x", "7.500", "7.50x", "1.000"]
    assert line_of(table, "lossless").split()[-3:] == ["yes", "no", "yes"]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_table_fits_its_width_however_many_tokenizers_there_are(toy, corpus, count):
    rows = {f"./runs/some-long-name-{number}": a_row(toy, corpus, number + 1) for number in range(count)}
    table = text_of(comparison_table(a_comparison(rows), width=100))
    assert max(map(len, table.splitlines())) <= 100
    for number in range(count):
        assert f"some-long-name-{number}" in table
    assert "./runs" not in table  # the end of the path is enough to tell them apart


# -- analysis -----------------------------------------------------------------------------------------------


def test_an_analysis_counts_ids_and_what_they_spell(toy, corpus):
    found = analyze(toy, corpus)
    assert (found.text_bytes, found.text_chars, found.tokens, found.used) == (15, 14, 8, 6)
    assert found.utilization == 6 / 262
    learned, single = found.coverage()["learned"], found.coverage()["single_byte"]
    assert (learned.ids, learned.used, learned.tokens, learned.bytes) == (2, 2, 3 / 8, 10 / 15)
    assert (single.ids, single.used, single.tokens, single.bytes) == (256, 4, 5 / 8, 5 / 15)
    assert found.length_distribution() == [(1, 256, 5), (2, 1, 1), (4, 1, 2)]
    assert found.top(2) == [4 + ord("z"), 260]
    assert len(found.unused()) == 262 - 4 - 6
    ranks = rank_frequency(found.counts)
    assert ranks[0] == (1, 2) and ranks[-1] == (6, 1)


def test_utilization_grows_with_the_text_as_ids_are_first_seen(toy_host, tmp_path):
    (tmp_path / "a.txt").write_text("a" * 50 + "b" * 25 + "c" * 25)
    growth = dict(analyze(ToyTokenizer(), Corpus.open([tmp_path / "a.txt"])).growth())
    assert (growth[1], growth[50], growth[60], growth[70], growth[80], growth[100]) == (1, 1, 2, 2, 3, 3)


def test_the_pruning_estimate_respells_dropped_ids_by_the_fewest_kept_ones():
    spelling = [b"a", b"b", b"c", b"ab", b"abc", b"abcab"]
    counts = np.array([1, 1, 1, 10, 5, 2])
    always = np.array([True, True, True, False, False, False])
    points = {point.kept: point for point in pruning_curve(spelling, counts, always)}
    assert points[6].tokens == 20
    assert points[4].tokens == 3 + 10 + 5 * 2 + 2 * 3  # abc = ab c, abcab = ab c ab
    assert points[3].tokens == 3 + 10 * 2 + 5 * 3 + 2 * 5
    assert all(point.unspellable == 0 for point in points.values())


def test_the_pruning_estimate_counts_what_could_not_be_spelled():
    points = pruning_curve([b"a", b"ab", b"xyz"], np.array([9, 4, 3]), np.zeros(3, bool))
    assert [(point.kept, point.tokens, point.unspellable) for point in points][-1] == (3, 16, 0)
    assert (points[1].kept, points[1].tokens, points[1].unspellable) == (1, 16, 7)


def test_an_analysis_is_json_and_fits_a_page(toy, corpus):
    found = analyze(toy, corpus)
    data = found.to_json(top=3)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["utilisation"] == 6 / 262 and data["unused_count"] == 252 and len(data["top"]) == 3
    page = text_of(analysis_summary(found, 3))
    assert max(map(len, page.splitlines())) <= 100
    assert "utilization 2.3%" in page and "'the '" in page


class Levelled(ToyTokenizer):
    def analysis(self):
        return {"level_use": [[10, 20, 30], [25, 35]], "dead_codes": 3, "nested": {"left": "out"}}


def test_a_tokenizers_own_figures_are_shown(toy_host, corpus):
    found = analyze(named(Levelled(), "levelled"), corpus)
    page = text_of(analysis_summary(found))
    assert "levels of dimension 1" in page and "25 35" in page and line_of(page, "dead codes").split()[-1] == "3"
    assert found.to_json()["own"]["nested"] == {"left": "out"}


@pytest.mark.slow
def test_plots_are_drawn_with_one_for_levels_where_there_are_any(toy_host, corpus, tmp_path):
    pytest.importorskip("matplotlib")
    plain = save_plots(analyze(ToyTokenizer([b"the "]), corpus), tmp_path / "plain")
    assert [path.stem for path in plain] == ["frequencies", "lengths", "utilisation", "pruning"]
    levelled = save_plots(analyze(named(Levelled(), "levelled"), corpus), tmp_path / "levelled")
    assert [path.stem for path in levelled][-1] == "levels"
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plain + levelled)


def test_plots_without_matplotlib_say_what_to_install(toy, corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnsupportedError, match=r"pip install .*\[report\]'"):
        save_plots(analyze(toy, corpus), tmp_path)
