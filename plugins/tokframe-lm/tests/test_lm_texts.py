"""Text of a comparison: equal shares and prompts."""

from __future__ import annotations

import pytest
from tokframe_lm.data.texts import mix, prompts, shares

from tokframe.corpus.files import Corpus
from tokframe.errors import CorpusError


@pytest.fixture
def two(tmp_path):
    (tmp_path / "first.txt").write_text("a" * 50 + "\n" + "a" * 200, encoding="utf-8")
    (tmp_path / "second.txt").write_text("é" * 200, encoding="utf-8")
    return Corpus.open([tmp_path / "first.txt", tmp_path / "second.txt"])


def test_each_source_gives_an_equal_share_of_whole_characters(two):
    text = "".join(shares(two, 121))
    assert text == "a" * 50 + "\n" + "a" * 9 + "\n" + "é" * 30 + "\n"


def test_a_mixture_is_written_once_and_known_by_its_text(two, tmp_path):
    first = mix(two, 100, tmp_path / "text")
    before = first.path.stat().st_mtime_ns
    again = mix(two, 100, tmp_path / "text")
    assert (again, again.path.stat().st_mtime_ns) == (first, before)
    assert first.bytes == first.path.stat().st_size
    first.path.write_text("altered")
    assert mix(two, 100, tmp_path / "text").sha256 == first.sha256
    assert first.path.stat().st_size == first.bytes


def test_prompts_go_on_where_held_out_text_does(tmp_path):
    line = "It was a dark night and the wind went over the hill where the old house stood as it had before.\n"
    (tmp_path / "a.txt").write_text(f"Title\n\n{line * 9}", encoding="utf-8")
    found = prompts(Corpus.open([tmp_path / "a.txt"]), count=3, size=50, max_bytes=10_000)
    assert len(found) == 3
    for prompt in found:
        assert 60 <= len(prompt.text) < 80
        assert (line * 3).startswith(prompt.text + prompt.continuation)
        assert len(prompt.continuation.encode()) == 50


@pytest.mark.parametrize(
    "line", [" Lobsters , which are known to all , live {} years in the sea and hide under rocks .\n", "{} "]
)
def test_no_prompt_comes_twice(tmp_path, line):
    text = " = Title = \n" + "".join(line.format(number) for number in range(1000, 1200))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    found = prompts(Corpus.open([tmp_path / "a.txt"]), count=4, size=50, max_bytes=10_000)
    assert len({prompt.text for prompt in found}) == len(found) >= 3


def test_text_too_short_for_a_prompt_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("short", encoding="utf-8")
    with pytest.raises(CorpusError, match="too short"):
        prompts(Corpus.open([tmp_path / "a.txt"]), count=3, size=50, max_bytes=10_000)
