"""Stability: shares of cuts, ids that an edit changes, canonical pairs, each against what can be counted by hand."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.evaluate import compare
from tokframe.evaluate.columns import STABILITY
from tokframe.evaluate.footprint import Footprint
from tokframe.evaluate.report.table import comparison_table
from tokframe.evaluate.stability import stability
from tokframe.tokenizer.results import Capabilities

TEXT = "the cat saw.\nthe cow ate grass.\n" * 20


class Lossy(ToyTokenizer):
    capabilities = Capabilities(lossless=False, bytes_input=True)


def test_single_bytes_change_only_where_the_text_does():
    found = stability(ToyTokenizer(), [TEXT])
    assert (found.cut_any, found.cut_before_space, found.cut_after_space, found.cut_line_end) == (0, 0, 0, 0)
    assert found.cut_ids is None  # no cut changes any
    assert (found.typo, found.case, found.homoglyph, found.double_space) == (
        1,
        1,
        2,
        1,
    )  # a Cyrillic letter is two bytes
    assert found.canonical == 1


def test_an_id_that_crosses_a_border_is_seen_in_the_cuts_there():
    found = stability(ToyTokenizer([b" cat saw", b".\nthe"]), [TEXT])
    assert found.cut_before_space == pytest.approx(1 / 5, abs=0.08)  # before " saw", of five spaces in two lines
    assert found.cut_line_end == pytest.approx(1, abs=0.08)  # all but the last line's
    assert found.cut_ids > 1  # of " cat" four


def test_pairs_that_make_another_id_are_not_canonical():
    assert (
        stability(ToyTokenizer([b"ab", b"ba"]), ["abc" * 50]).canonical == 1
    )  # only "ab" and "c" come: any pair stays
    assert stability(ToyTokenizer([b"ba"]), ["abc" * 50]).canonical < 1  # "b" before "a"
    assert stability(Lossy(), [TEXT]).canonical is None


@pytest.mark.parametrize("texts", [[], ["", "a"], ["\u4e00\u4e8c"]])
def test_what_a_text_has_no_place_for_is_not_measured(texts):
    found = stability(ToyTokenizer(), texts)
    assert found.cut_line_end is found.double_space is found.homoglyph is None


def test_the_places_are_the_same_every_time():
    toy = ToyTokenizer([b"the ", b" c"])
    assert stability(toy, [TEXT, TEXT * 2]) == stability(toy, [TEXT, TEXT * 2])


def test_a_comparison_has_the_section_where_it_is_asked_for(tmp_path, monkeypatch):
    import tokframe

    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    cost = {"toy": Footprint(load_ms=1.0, memory_mb=1.0)}
    monkeypatch.setattr("tokframe.evaluate.comparison.footprints", lambda *given, **named: cost)
    corpus = tokframe.Corpus.open([tmp_path / "a.txt"])
    for asked in (False, True):
        found = compare("toy", corpus, load=lambda name: ToyTokenizer(), rounds=1, stability=asked)
        row = json.loads(json.dumps(found.to_json(), allow_nan=False))["tokenizers"]["toy"]
        stream = io.StringIO()
        Console(file=stream, width=100).print(comparison_table(found))
        assert ("stability" in row) is asked
        assert ("cut before a space" in stream.getvalue()) is asked
    assert list(row["stability"]) == [column.key for column in STABILITY]
