"""Probabilities of text: against all texts of a distribution, at every border; windows; input that is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.likelihoods import TextModel, check_against_texts, cuts_of
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.errors import EncodingError
from tokframe.tokenizer.likelihood import OpenEnd, conditional, loglikelihoods
from tokframe.tokenizer.results import Capabilities

toy = ToyTokenizer([b"ab", b"ab a", b"ba"])
model = TextModel(toy, "ab ", 5)


class Lossy(ToyTokenizer):
    capabilities = Capabilities(lossless=False, bytes_input=True)


def random_logits(ids, rows, places):
    """A model of the last four ids and nothing else."""
    found = []
    for row, place in zip(rows, places, strict=True):
        seed = ids[row, max(0, place - 3) : place + 1].tolist()
        found.append(np.random.default_rng(seed).normal(size=toy.vocab_size))
    return np.asarray(found)


def score(pairs, context=64, tokenizer=toy, logits=random_logits):
    return loglikelihoods(tokenizer, pairs, logits, start=2, context=context)


def test_scores_and_what_comes_next_are_those_of_all_texts():
    check_against_texts(model, cuts_of(model, 200))


def test_the_most_likely_text_is_greedy_and_no_other_is():
    beginning = "ab"
    end = OpenEnd(toy.prompt(beginning))
    weighed = end.weigh(toy, model.logits, head=[2], context=64, without=(3,))
    best = max(weighed, key=lambda path: weighed[path][0] + weighed[path][1].max())
    ids = [*toy.prompt(beginning).ids, *best, int(weighed[best][1].argmax())]
    written = toy.decode(ids)
    assert written.startswith(beginning)
    after = written[len(beginning) :]
    others = {text[:-1] + letter for text in [after] for letter in "ab "} - {after}
    pairs = [(beginning, after), *[(beginning, other) for other in others]]
    assert [one.greedy for one in score(pairs, logits=model.logits)] == [True] + [False] * len(others)


@given(st.text(alphabet="ab cé", max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_scores_add_up_at_every_cut_in_windows_too(text, data):
    cut = data.draw(st.integers(0, len(text)))
    context = data.draw(st.integers(2, 20))
    whole, before, after = score([("", text), ("", text[:cut]), (text[:cut], text[cut:])], context)
    assert before.value + after.value == pytest.approx(whole.value, abs=1e-9)


def test_an_id_past_the_context_is_predicted_from_half_of_it_at_least():
    seen = []

    def logits(ids, rows, places):
        seen.extend((ids.shape[1], place) for place in places.tolist())
        return random_logits(ids, rows, places)

    text = "c" * 50
    wanted = sum(
        float(values[ids] - np.log(np.exp(values).sum()))
        for values, ids in (
            (random_logits(np.asarray([[2, *toy.encode(text)]]), [0], [place])[0], toy.encode(text)[place])
            for place in range(50)
        )
    )
    assert score([("", text)], 16, logits=logits)[0].value == pytest.approx(wanted)  # this model sees no further
    assert max(width for width, _ in seen) == 16 and max(place for _, place in seen) == 15
    assert sorted(place for _, place in seen)[0] == 0 and all(place >= 8 or width <= 16 for width, place in seen)


def test_ids_after_ids_cost_the_sum_of_each():
    rows = [([2], toy.encode("ab a")), ([2, 5, 6], [7, 8]), ([2], [])]
    wanted = []
    for before, after in rows:
        row, value = np.asarray([[*before, *after]]), 0.0
        for number, token in enumerate(after):
            values = random_logits(row, [0], [len(before) - 1 + number])[0]
            value += float(values[token] - math.log(np.exp(values).sum()))
        wanted.append(value)
    assert conditional(rows, random_logits, size=toy.vocab_size) == pytest.approx(wanted)
    assert conditional([], random_logits, size=toy.vocab_size) == []


def test_nothing_costs_nothing():
    for text in ("", "ab", "ab a"):
        assert score([(text, "")])[0].value == 0.0
    assert score([]) == []


def test_where_ids_do_not_spell_the_text_its_own_ids_count():
    lossy = Lossy(toy.pieces[260:])
    ids = lossy.encode("ba b")
    row = np.asarray([[2, *ids]])
    values = [random_logits(row, [0], [place])[0] for place in range(len(ids))]
    wanted = sum(float(v[i] - math.log(np.exp(v).sum())) for v, i in zip(values, ids, strict=True))
    assert score([("", "ba b")], tokenizer=lossy)[0].value == pytest.approx(wanted)


def test_what_no_model_expects_has_probability_0():
    assert score([("abz", "a")], logits=model.logits)[0].value == -math.inf


@pytest.mark.parametrize("wrong", [[("a",)], ["ab"], [("a", 1)], [(b"a", "b")], 5, "ab"])
def test_what_are_no_pairs_is_refused(wrong):
    with pytest.raises(EncodingError, match="pair"):
        score(wrong)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(EncodingError, match="surrogate"):
        score([("a", "\ud800")])


def test_covers_are_the_ways_in_which_ids_may_go_on():
    prompt = toy.prompt("x ab")
    names = [([toy.token_bytes(token) for token in ids], rest) for ids, rest in prompt.covers()]
    assert prompt.ids == toy.encode("x")
    assert names == [([b" "], b"ab"), ([b" ", b"a"], b"b"), ([b" ", b"ab"], b"")]
    assert {toy.token_bytes(token) for token in prompt.beyond(b"ab").tolist()} == {b"ab a"}
    assert toy.prompt("").covers() == [([], b"")]
