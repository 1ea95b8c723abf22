"""The page of a comparison: whole in itself, every text escaped, passages cut at whole characters, written at once."""

from __future__ import annotations

import io
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.console import Console
from support.toys import LossyToy, named, toy
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.cli.main import main
from tokframe.corpus.files import Corpus
from tokframe.errors import EncodingError
from tokframe.evaluate import compare
from tokframe.evaluate.columns import COLUMNS
from tokframe.evaluate.report.charts import bars, curves, dots
from tokframe.evaluate.report.page import comparison_page
from tokframe.evaluate.report.passages import differences, passages
from tokframe.evaluate.report.table import comparison_table

NASTY = "<script>alert('1')</script> & \"quoted\" \x00\x1b[31m \u202e \ufeff é 世界\r\n"


class Page(HTMLParser):
    """Collects tags, attributes, and the text outside style."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.words, self._open = [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)


class RefusingTokenizer(ToyTokenizer):
    def encode_raw(self, data):
        if b"zz" in data:
            raise EncodingError("no <zz> here")
        return super().encode_raw(data)


@pytest.fixture
def tokenizers(toy_host):
    return {
        "pieces": named(ToyTokenizer([b"the ", b"quick ", b"\xb8\x96\xe7"]), "pieces"),
        "<b>lossy": named(LossyToy(), "<b>lossy"),
        "bytes": named(ToyTokenizer(), "bytes"),
    }


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "a<i>.txt").write_text("the quick the quick brown fox\n" * 40 + NASTY, encoding="utf-8", newline="")
    (tmp_path / "$cost$ 世界.txt").write_text(NASTY * 30, encoding="utf-8", newline="")
    return Corpus.open([tmp_path / "a<i>.txt", tmp_path / "$cost$ 世界.txt"])


@pytest.fixture
def page(given_footprint, tokenizers, corpus):
    comparison = compare(tokenizers, corpus, load=tokenizers.__getitem__, rounds=1)
    return comparison_page(comparison, tokenizers, corpus).decode()


# -- the page -----------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else_and_runs_nothing(page):
    found = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "form"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in page and "@import" not in page and "http://" not in page
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes


def test_text_names_and_files_are_escaped(page):
    found = Page(page)
    assert "b" not in found.tags and "i" not in found.tags
    assert "<b>lossy" in found.text and "a<i>.txt" in found.text
    assert "\\x00" in found.text and "\\u202e" in found.text and "\\ufeff" in found.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ufeff]", page)
    assert "$cost$ 世界.txt" in found.text


def test_the_page_shows_every_part(page):
    found = Page(page)
    titles = ("Charts", "The same text, segmented", "Where they differ most")
    assert all(words in found.text for words in (*titles, "bytes per token", "encode MB/s", "python"))
    for drawing in ("Bytes per token", "Encoding speed", "Decoding speed", "Length of tokens", "Vocabulary used"):
        assert ("aria-label", drawing) in found.attributes
    assert "prefers-color-scheme: dark" in page and "@media print" in page and "width=device-width" in page


def test_the_page_is_the_same_for_the_same_comparison(given_footprint, tokenizers, corpus):
    comparison = compare(tokenizers, corpus, load=tokenizers.__getitem__, rounds=1)
    assert comparison_page(comparison, tokenizers, corpus) == comparison_page(comparison, tokenizers, corpus)


def test_one_tokenizer_alone_makes_a_page_without_differences(given_footprint, tokenizers, corpus):
    alone = {"bytes": tokenizers["bytes"]}
    comparison = compare(alone, corpus, load=alone.__getitem__, rounds=1)
    text = Page(comparison_page(comparison, alone, corpus).decode()).text
    assert "The same text" in text and "differ most" not in text and "ratio" not in text


def test_what_a_tokenizer_refuses_is_said_where_it_would_stand(given_footprint, tokenizers, tmp_path):
    (tmp_path / "t.txt").write_text("plain text\n" * 50)
    corpus = Corpus.open([tmp_path / "t.txt"])
    both = {"bytes": tokenizers["bytes"], "refusing": named(RefusingTokenizer(), "refusing")}
    comparison = compare(both, corpus, load=both.__getitem__, rounds=1)
    (tmp_path / "t.txt").write_text("zz\n" * 50)
    both["refusing"].count = lambda text: 1
    refused = Corpus.open([tmp_path / "t.txt"])
    assert "not segmented: no <zz> here" in Page(comparison_page(comparison, both, refused).decode()).text


def test_every_column_is_in_the_json_the_table_the_page_and_the_help(given_footprint, tokenizers, corpus, page, capsys):
    comparison = compare(tokenizers, corpus, load=tokenizers.__getitem__, rounds=1)
    row = comparison.to_json()["tokenizers"]["bytes"]
    stream = io.StringIO()
    Console(file=stream, width=100).print(comparison_table(comparison))
    assert main(["compare", "--help"]) == 0
    help_text = capsys.readouterr().out
    for column in COLUMNS:
        assert column.key in row and f'"{column.key}"' in help_text
        assert column.title in stream.getvalue() and column.title in Page(page).text
        assert (column.key in row["files"]["a<i>.txt"]) is not column.of_row


# -- pieces and passages ------------------------------------------------------------------------------------


def test_tokens_that_share_a_character_are_one_piece(tokenizers):
    # 世 is e4 b8 96 and 界 begins with e7: the piece b8 96 e7 spans the border between them
    found = tokenizers["pieces"].show("the 世界!").segments
    assert [(piece.text, len(piece.ids)) for piece in found] == [("the ", 1), ("世界", 4), ("!", 1)]
    assert "".join(piece.text for piece in tokenizers["bytes"].show(NASTY).segments) == NASTY


def test_ids_that_do_not_spell_the_text_are_shown_for_what_they_stand_for(tokenizers):
    found = tokenizers["<b>lossy"].show("né").segments
    assert [(piece.text, piece.exact) for piece in found] == [("n", False), ("<unk>", False), ("<unk>", False)]
    assert tokenizers["bytes"].show("").segments == ()


def test_passages_come_from_evenly_chosen_sources_at_a_line_s_start(tmp_path):
    for number in range(20):
        (tmp_path / f"s{number:02}.txt").write_text(f"line of source {number}\n" * 500)
    (tmp_path / "blank.txt").write_text("\n" * 2000)
    corpus = Corpus.open(sorted(tmp_path.glob("*.txt")))
    found = passages(corpus, count=5, size=200)
    assert 4 <= len(found) <= 5 and len({passage.text for passage in found}) == len(found)
    assert all(passage.text.startswith("line of source") and len(passage.text) <= 200 for passage in found)


def test_differences_are_the_passages_with_the_most_unequal_counts(tokenizers, tmp_path):
    (tmp_path / "same.txt").write_text("brown foxes jump high over dogs\n" * 20)
    (tmp_path / "other.txt").write_text("the quick the quick the quick\n" * 20)
    corpus = Corpus.open([tmp_path / "same.txt", tmp_path / "other.txt"])
    better, worse = differences(tokenizers["pieces"], tokenizers["bytes"], corpus)
    assert better and not worse
    assert all("the quick" in each.passage.text and each.first < each.second for each in better)
    swapped, none = reversed(differences(tokenizers["bytes"], tokenizers["pieces"], corpus))
    assert [each.passage for each in swapped] == [each.passage for each in better] and not none


# -- charts -------------------------------------------------------------------------------------------------


def test_charts_are_sound_svg_without_ids_links_or_fixed_colors():
    drawings = [
        dots("d", "", [("a", [1.0, None]), ("b" * 99, [2.5, 7.0]), ("c", [None, None])]),
        bars("b", "", ["a", "b", "c"], [3.0, 0.0, 5.0], ["3", "0", "5"]),
        bars("b", "", ["a"], [0.25], ["25%"], top=1.0),
        curves("c", "", [[(1, 5), (2, 10)], []], "x", "y"),
        curves("l", "", [[(1, 1e6), (30_000, 1)]], "x", "y", log=True),
        dots("none", "", []),
        bars("none", "", [], [], []),
        curves("none", "", [], "x", "y"),
    ]
    for drawing in (chart.svg for chart in drawings):
        root = ElementTree.fromstring(drawing)
        width, height = map(float, root.get("viewBox").split()[2:])
        assert width == 360 and root.find("title").text == root.get("aria-label")
        assert "nan" not in drawing and "inf" not in drawing and "#" not in drawing
        for part in root.iter():
            assert not {"id", "href", "clip-path"} & set(part.attrib)
            assert -0.1 <= float(part.get("x", 0)) <= width + 0.1 and -0.1 <= float(part.get("y", 0)) <= height + 0.1
    assert "\u2026bbb" in drawings[0].svg, "a long label keeps its end"


def test_each_marker_says_whose_figure_it_is_and_labels_are_text():
    drawing = dots("d", "", [("<b>$x$ 世", [1.0, 2.25]), ("b\n\x00\udcff", [None, 7.0])]).svg
    titles = [title.text for title in ElementTree.fromstring(drawing).iter("title")]
    assert titles == ["d", "<b>$x$ 世: 1.00", "<b>$x$ 世: 2.25", "b\\n\\x00\\udcff: 7.00"]
    assert ">&lt;b&gt;$x$ 世<" in drawing and "var(--c1)" in drawing and "var(--c2)" not in drawing


# -- the command --------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tokenizers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy([b"the "]).save(tmp_path / "mine")
    (tmp_path / "t.txt").write_text("the text\n" * 30)
    return tmp_path


def test_compare_writes_the_page_and_says_so(given_footprint, saved, capsys):
    assert main(["compare", "./mine", "--corpus", "t.txt", "--rounds", "1", "--html", "report.html"]) == 0
    out, err = capsys.readouterr()
    assert "wrote report.html" in err and "bytes per token" in out
    assert (saved / "report.html").read_bytes().startswith(b"<!doctype html>")
    assert [path.name for path in saved.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(("target", "said"), [("nowhere/r.html", "no folder nowhere"), (".", "is a folder")])
def test_a_place_that_cannot_be_written_is_refused_before_measuring(saved, capsys, monkeypatch, target, said):
    monkeypatch.setattr("tokframe.evaluate.comparison.compare", lambda *_, **__: pytest.fail("measured first"))
    assert main(["compare", "./mine", "--corpus", "t.txt", "--html", target]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["compare", "--html", "r.html", "./mine"], ["analyze", "./mine", "--plots", "out"]])
def test_what_drawing_needs_is_asked_for_before_measuring(saved, capsys, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("tokframe.evaluate.comparison.compare", lambda *_, **__: pytest.fail("measured first"))
    monkeypatch.setattr("tokframe.evaluate.analysis.analyze", lambda *_, **__: pytest.fail("measured first"))
    assert main([*words, "--corpus", "t.txt"]) == 1
    err = capsys.readouterr().err
    assert "needs matplotlib: pip install " in err and "[report]'" in err


def test_plots_that_would_replace_a_file_are_refused_before_measuring(saved, capsys):
    assert main(["analyze", "./mine", "--corpus", "t.txt", "--plots", "t.txt"]) == 2
    assert "t.txt is not a folder" in capsys.readouterr().err
