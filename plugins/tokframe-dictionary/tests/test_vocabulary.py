"""Mining and pruning: what counts as a candidate, which segments survive, and that weights move ids between sources."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_dictionary import extensions
from tokframe_dictionary.extensions import SlowSearchWarning
from tokframe_dictionary.mining import reference
from tokframe_dictionary.mining.candidates import mine
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.mining.pruning import Pruning
from tokframe_dictionary.mining.sources import Gathered, Source, balance
from tokframe_dictionary.segmenter.segmenter import Segmenter

PLAIN = MiningConfig(words=False)
SELECTION = SelectionConfig()
BYTES = [bytes([value]) for value in range(256)]
TEXT = st.lists(st.sampled_from([*"ab7,_\n \t\0é中🙂“—", "ab"]), max_size=300).map("".join)


def gathered(text: str | bytes, budget: int = PLAIN.budget) -> Gathered:
    data = text.encode() if isinstance(text, str) else text
    made = Gathered(budget, lambda: [data])
    if data:
        made.add(data)
    return made


def words(*vocabulary: str, count: int, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    return b"".join(chance.choice(vocabulary).encode() + chance.choice([b" ", b".\n"]) for _ in range(count))


def as_counts(found: tuple[bytes, bytes, bytes]) -> dict[bytes, int]:
    keys, lengths, counts = found
    number = np.frombuffer(counts, np.uint32)
    assert len(lengths) == len(number) == len(keys) // 16
    return {bytes(keys[16 * i : 16 * i + length]): int(number[i]) for i, length in enumerate(lengths)}


@settings(deadline=None, max_examples=200)
@given(TEXT, st.integers(1, 5), st.integers(2, 16), st.sampled_from([0, 1, 2]))
def test_compiled_counts_equal_plain_ones(text: str, least: int, longest: int, words: int) -> None:
    count_substrings = pytest.importorskip("tokframe_dictionary.mining._mine").count_substrings
    given = (text.encode(), longest, least, words)
    assert as_counts(count_substrings(*given)) == as_counts(reference.count_substrings(*given))


@pytest.mark.parametrize("words", [0, 1, 2])
@pytest.mark.parametrize("data", [b"", b"a", b"\xff\x80\xff" * 50, b"a" * 5_000, b"\xe2" * 40, b"a\xe2\x80 " * 40])
def test_odd_bytes_are_counted_alike(data: bytes, words: int) -> None:
    count_substrings = pytest.importorskip("tokframe_dictionary.mining._mine").count_substrings
    assert as_counts(count_substrings(data, 16, 2, words)) == as_counts(reference.count_substrings(data, 16, 2, words))


def test_candidates_are_whole_characters_with_newlines_only_at_the_end() -> None:
    data = ("été 中文🙂\n\nab" * 30).encode() + b"\xff\xfe" * 30
    pieces = mine([Source(name="x", data=data)], PLAIN).segments
    assert "é".encode() in pieces
    assert "🙂\n\n".encode() in pieces
    for piece in pieces:
        assert piece.decode()
        assert 2 <= len(piece) <= 16
        assert b"\n" not in piece.rstrip(b"\n")


def test_a_candidate_counts_in_every_source_with_its_weight() -> None:
    sources = [Source(name="a", data=b"xy " * 10), Source(name="b", data=b"xy." * 20, weight=0.5)]
    found = mine(sources, PLAIN)
    assert found.counts[found.segments.index(b"xy")] == 20
    assert found.segments == mine(sources[::-1], PLAIN).segments
    assert len(mine(sources, MiningConfig(words=False, limit=3))) == 3


def test_pruning_saves_more_than_keeping_the_most_promising_candidates() -> None:
    source = Source(name="x", data=words("tokenizer", "segment", "of", "the", "learned", count=3_000))
    candidates = mine([source], PLAIN).segments
    pool = Pruning(sources=[source], config=SELECTION).prune(candidates, 40)
    tokens = {
        kind: Segmenter([*BYTES, *pieces], range(256 + len(pieces))).count(source.data)
        for kind, pieces in (("pruned", pool.segments), ("frequent", candidates[:40]))
    }
    assert pool.tokens == {"x": tokens["pruned"]}
    assert tokens["pruned"] < 0.7 * tokens["frequent"]


def test_a_segment_that_others_replace_at_no_cost_is_dropped_first() -> None:
    source = Source(name="x", data=b"abcd" * 100 + b"\n" + b"ab\ncd\n" * 50)
    pool = Pruning(sources=[source], config=SelectionConfig(folds=1)).prune(
        [b"ab", b"cd", b"bc", b"abc", b"bcd", b"abcd"], 3
    )
    assert set(pool.segments) == {b"ab", b"cd", b"abcd"}


def test_pruning_is_deterministic_and_ignores_repeats_and_single_bytes() -> None:
    source = Source(name="x", data=words("alpha", "beta", "gamma", count=500))
    pieces = mine([source], PLAIN).segments
    first, again = (
        Pruning(sources=[source], config=SELECTION).prune(pieces, 20),
        Pruning(sources=[source], config=SELECTION).prune([*pieces, *pieces, b"a"], 20),
    )
    assert first.segments == again.segments
    assert first.value.tolist() == again.value.tolist()


def test_fewer_candidates_than_ids_are_all_kept() -> None:
    source = Source(name="x", data=b"abab ab")
    pool = Pruning(sources=[source], config=SELECTION).prune([b"ab", b"zz"], 10)
    assert sorted(pool.segments) == [b"ab", b"zz"]
    assert len(Pruning(sources=[source], config=SELECTION).prune([], 10)) == 0


def test_use_counts_add_up_to_the_tokens() -> None:
    sources = [Source(name="a", data=words("one", "two", count=300)), Source(name="b", data=words("drei", count=200))]
    pool = Pruning(sources=sources, config=SELECTION).prune(mine(sources, PLAIN).segments, 12)
    assert pool.counts.sum() + pool.byte_counts.sum() == sum(pool.tokens.values())
    ordered = pool.by_use()
    assert sorted(ordered.segments) == sorted(pool.segments)
    assert ordered.counts.tolist() == sorted(pool.counts.tolist(), reverse=True)
    assert dict(zip(ordered.segments, ordered.value, strict=True)) == dict(zip(pool.segments, pool.value, strict=True))


def test_a_heavier_source_gets_more_of_the_ids() -> None:
    texts = {"en": words("river", "mountain", "valley", count=800), "fi": words("joki", "vuori", "laakso", count=800)}

    def tokens(weight: float) -> int:
        sources = balance({name: gathered(text) for name, text in texts.items()}, MiningConfig(weights={"fi": weight}))
        return Pruning(sources=sources, config=SELECTION).prune(mine(sources, PLAIN).segments, 8).tokens["fi"]

    assert tokens(10.0) < tokens(0.1)


def test_segments_of_several_sources_come_before_those_of_one() -> None:
    sources = [Source(name="a", data=b"shared\nonly-a\n" * 100), Source(name="b", data=b"shared\nonly-b\n" * 100)]
    pool = Pruning(sources=sources, config=SelectionConfig(breadth=0.5)).prune(
        [b"shared\n", b"only-a\n", b"only-b\n"], 3
    )
    assert pool.segments[0] == b"shared\n"
    assert pool.value[0] > 2 * pool.value[1]


def test_what_one_place_alone_repeats_comes_after_what_is_used_everywhere() -> None:
    narrow, everywhere = b"narrow\n" * 60, b"wider\n" * 10
    source = Source(name="x", data=(narrow + everywhere) + (b"filler\n" * 60 + everywhere) * 3)
    given = [b"narrow\n", b"wider\n"]
    assert Pruning(sources=[source], config=SelectionConfig(folds=1)).prune(given, 1).segments == (b"narrow\n",)
    assert Pruning(sources=[source], config=SelectionConfig(folds=4)).prune(given, 1).segments == (b"wider\n",)


def test_what_one_place_alone_uses_comes_before_what_nothing_uses() -> None:
    source = Source(name="x", data=b"narrow\n" * 60 + b"filler\n" * 180)
    given = [b"unused", b"narrow\n", b"filler\n"]
    assert Pruning(sources=[source], config=SELECTION).prune(given, 2).segments == (b"filler\n", b"narrow\n")


@pytest.mark.parametrize(("support", "share"), [(1, 1.0), (15, 1.0), (20, 0.75), (30, 0.5)])
def test_what_a_fold_saves_counts_as_far_as_the_others_use_it(support: float, share: float) -> None:
    source = Source(name="x", data=b"ab\n" * 20)  # four folds of five: each has fifteen uses in the others
    whole, folded = (
        Pruning(sources=[source], config=SelectionConfig(folds=folds, support=support)).prune([b"ab"], 1)
        for folds in (1, 4)
    )
    assert folded.counts.tolist() == whole.counts.tolist() == [20]
    assert folded.value[0] == pytest.approx((0.02 + 0.98 * share) * whole.value[0])


def test_balance_weighs_size_script_and_names() -> None:
    texts = {"big": "a" * 1_000_000, "small": "a" * 10_000, "zh": "中" * 100_000, "lang-de": "a", "none": ""}

    def balanced(**settings: Any) -> tuple[Source, ...]:
        return balance({name: gathered(text) for name, text in texts.items()}, MiningConfig(**settings))

    even = {s.name: s.weight for s in balanced(flatness=0, script=0, weights={"lang-*": 3, "big": 2})}
    assert even == {"big": 2, "small": 1, "zh": 1, "lang-de": 3}
    flat = {s.name: s.weight * len(s.data) for s in balanced(flatness=1, script=0)}
    assert flat["big"] == pytest.approx(flat["small"])
    wide = {s.name: s.weight for s in balanced(flatness=0, script=1)}
    assert wide["zh"] == pytest.approx(3, rel=1e-4)


def test_documents_never_run_into_each_other() -> None:
    text = Gathered(PLAIN.budget, list)
    text.add(b"one")
    text.add(b"two\n")
    (source,) = balance({"x": text}, PLAIN)
    assert source.data == b"one\ntwo\n"


def test_a_source_over_its_budget_is_thinned_to_whole_lines_and_keeps_its_say() -> None:
    lines = [b"%07d\n" % number for number in range(1_000_000)]
    whole, thin = (
        balance({"x": gathered(b"".join(lines), config.budget)}, config)
        for config in (PLAIN, MiningConfig(budget=2_000_000))
    )
    assert 1_900_000 < len(thin[0].data) < 2_100_000
    assert set(thin[0].data.splitlines(keepends=True)) <= set(lines)
    assert thin[0].weight == pytest.approx(4 * whole[0].weight)
    assert thin[0].data.startswith(lines[0])


def test_without_the_extension_mining_says_so_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(name="x", data=words("alpha", "beta", count=100))
    expected = mine([source], PLAIN)
    monkeypatch.setattr(extensions, "_warned", set())
    monkeypatch.setitem(sys.modules, "tokframe_dictionary.mining._mine", None)
    with pytest.warns(SlowSearchWarning, match="C compiler"):
        found = mine([source], PLAIN)
    assert found.segments == expected.segments
    assert found.counts.tolist() == expected.counts.tolist()
