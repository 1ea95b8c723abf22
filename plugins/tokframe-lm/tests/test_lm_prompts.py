"""Prompts and scores of models: what is generated begins with the prompt in ids of a text; scores add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from attrs import evolve
from support.likelihoods import exact_next
from tokframe_dictionary.tokenizer import DictionaryTokenizer
from tokframe_dictionary.vocabulary.table import Vocabulary
from tokframe_lm import loglikelihood
from tokframe_lm.evaluation.bits_per_byte import token_nll
from tokframe_lm.evaluation.loglikelihood import logits_of, score_pairs
from tokframe_lm.generation import Sampling, generate
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import build, start_id
from tokframe_lm.storage import SavedModel, load

from tokframe.errors import EncodingError
from tokframe.tokenizer.likelihood import OpenEnd

pytestmark = [pytest.mark.slow, pytest.mark.trains]

TEXT = "The cat sat on the mat, and the dog saw it.\nHe said: don't go over the hill where the old house is, 漢字!\n"
SEGMENTS = [b"the", b" the", b"he ", b"cat", b"the cat", b" cat sat", b"at", b"sat on", b"on the", b"\n\n"]


@pytest.fixture(scope="module")
def untrained():
    """An untrained model of few segments, which finds nothing very unlikely."""
    tokenizer = DictionaryTokenizer(Vocabulary.build(SEGMENTS), config={})
    tokenizer.name = "dictionary"
    config = LMConfig(d_model=8, layers=1, heads=1, context=64, embedding="lookup", canonical=False)
    return SavedModel(model=build(config, tokenizer).eval(), tokenizer=tokenizer, sha256="")


@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_scores_add_up_at_every_cut(small, name):
    saved = load(small.model(name))
    whole = loglikelihood(saved, "", TEXT)
    cuts = [*range(0, len(TEXT), 5), len(TEXT)]
    pairs = [pair for cut in cuts for pair in (("", TEXT[:cut]), (TEXT[:cut], TEXT[cut:]))]
    scores = [score.value for score in score_pairs(saved, pairs)]
    for first, second in zip(scores[::2], scores[1::2], strict=True):
        assert first + second == pytest.approx(whole, abs=1e-5 * max(1.0, abs(whole)))


@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe"])
def test_a_text_is_a_little_likelier_than_its_own_ids(small, name):
    saved = load(small.model(name))
    for text in (TEXT, TEXT[:40], "The"):
        ids = np.asarray([start_id(saved.tokenizer), *saved.tokenizer.encode(text, False)])
        of_ids = -float(token_nll(saved.model, ids).sum())
        assert loglikelihood(saved, "", text) >= of_ids - 1e-4
    assert loglikelihood(saved, TEXT, "") == 0.0


def test_a_choice_that_an_id_joins_to_the_prompt_has_no_advantage(small):
    """ ": A" is one id: a score by ids alone leaves nothing of the choice to be paid for."""
    saved = load(small.model("autoencoder-fsq"))
    whole = saved.tokenizer.encode("Answer: A", False)
    assert len(saved.tokenizer.encode("Answer:", False)) >= len(whole)  # what the harness takes off
    scores = [loglikelihood(saved, "Answer:", choice) for choice in (" A", " B", " C", " D")]
    assert all(-40 < score < -0.1 for score in scores)


@pytest.mark.parametrize("prompt", ["the cat", "the c", "on the ca", "x\n", "sa", "the"])
def test_what_comes_next_is_sampled_as_all_texts_have_it_that_begin_so(untrained, prompt):
    wanted = exact_next(untrained.tokenizer, logits_of(untrained.model), prompt)
    start = untrained.tokenizer.prompt(prompt)
    weighed = OpenEnd(start).weigh(
        untrained.tokenizer,
        logits_of(untrained.model),
        head=[2],
        context=64,
        without=untrained.tokenizer.textless_ids,
    )
    joint = {
        (*start.ids, *path, token): math.exp(before + log_probs[token])
        for path, (before, log_probs) in weighed.items()
        for token in np.flatnonzero(log_probs > -np.inf).tolist()
    }
    total = sum(joint.values())
    assert joint.keys() == wanted.keys()
    for ids, probability in wanted.items():
        assert joint[ids] / total == pytest.approx(probability, abs=1e-6)


def test_first_ids_are_drawn_by_these_probabilities(untrained):
    prompt, draws = "the cat", 400
    wanted = exact_next(untrained.tokenizer, logits_of(untrained.model), prompt)
    letters = {}
    for ids, probability in wanted.items():
        letter = untrained.tokenizer.decode_bytes(list(ids))[len(prompt)]
        letters[letter] = letters.get(letter, 0.0) + probability
    likeliest = max(letters, key=letters.__getitem__)
    seen = 0
    for seed in range(draws):
        sampling = Sampling(temperature=1, top_k=0, seed=seed)
        text = "".join(piece.text for piece in generate(untrained, prompt, max_bytes=1, sampling=sampling))
        seen += text.encode()[0] == likeliest
    expected = letters[likeliest] * draws
    assert abs(seen - expected) < 5 * math.sqrt(expected)


def noted(tokenizer, monkeypatch):
    """Return a list that the ids go into which are generated."""
    seen = []
    decoder = type(tokenizer.stream_decoder())
    feed = decoder.feed
    monkeypatch.setattr(
        decoder, "feed", lambda self, ids: (seen.extend(np.atleast_1d(ids).tolist()), feed(self, ids))[1]
    )
    return seen


def test_bpe_writes_the_ids_of_its_text_too(small, monkeypatch):
    saved = load(small.model("bpe"))
    seen = noted(saved.tokenizer, monkeypatch)
    whole = 0
    for seed in range(60):
        seen.clear()
        list(generate(saved, "the ca", max_bytes=6, sampling=Sampling(temperature=1, top_k=0, seed=seed)))
        written = saved.tokenizer.decode_bytes(seen)
        if not written.decode(errors="replace").count("\ufffd"):  # else characters were left unfinished
            assert saved.tokenizer.is_canonical(seen)
            whole += 1
    assert whole > 2


@pytest.mark.parametrize("top_k", [0, 5])
@pytest.mark.parametrize("head", ["softmax", "decoder"])
def test_an_id_is_drawn_among_those_accepted_in_proportion(untrained, head, top_k):
    model = build(evolve(untrained.model.config, head=head), untrained.tokenizer).eval()
    ids, table = torch.tensor([[2, 5]]), model.embedding.table()
    with torch.no_grad():
        state, _ = model.next_state(ids, None, table)
        chances = model.next_logits(ids, None, table)[0].double().softmax(-1)
        likeliest = chances.argsort(descending=True)[: top_k or None].tolist()
        accepted = [token for token in likeliest if token % 2]
        generator = torch.Generator().manual_seed(0)
        choice = {"top_k": top_k, "generator": generator, "accepts": lambda token: token % 2 == 1}
        drawn = [model.sample_at(state, ids, table, **choice) for _ in range(300)]
        assert set(drawn) <= set(accepted)
        share = float(chances[accepted[0]] / chances[accepted].sum())
        assert abs(drawn.count(accepted[0]) - 300 * share) < 5 * math.sqrt(300 * share) + 1
        assert model.sample_at(state, ids, table, top_k=top_k, accepts=lambda token: False) is None
        greedy = model.sample_at(state, ids, table, temperature=0, accepts=lambda token: token != likeliest[0])
        assert greedy in (likeliest[1], None)


@pytest.mark.parametrize("prompt", ["", "the c", "the cat sat on the ca", "x\n", "漢", "on the mat.\n\nth"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_generated_has_the_ids_of_its_text(untrained, prompt, temperature, monkeypatch):
    """Also where the model finds ids likely that no text has."""
    tokenizer = untrained.tokenizer
    seen = noted(tokenizer, monkeypatch)
    sampling = Sampling(temperature=temperature, top_k=0)
    text = "".join(piece.text for piece in generate(untrained, prompt, max_bytes=120, sampling=sampling))
    assert tokenizer.is_canonical(seen)
    written = tokenizer.decode_bytes(seen)
    assert written.startswith(prompt.encode())
    assert written.decode(errors="replace")[len(prompt) :] == text
    assert len(written) - len(prompt.encode()) >= 120


@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_a_prompt_cut_anywhere_goes_on(small, name):
    saved = load(small.model(name))
    for prompt in ("The cat sat on", "The cat sa", "The cat ", "don'", "x  ", "漢"):
        if len(saved.tokenizer.encode(prompt, False)) < saved.model.config.context:
            text = "".join(piece.text for piece in generate(saved, prompt, max_bytes=20))
            assert len(text.encode()) >= 10


def test_a_prompt_longer_than_the_context_is_refused(small):
    saved = load(small.model("bpe"))
    with pytest.raises(EncodingError, match="context"):
        next(generate(saved, TEXT * 20, max_bytes=5))


def test_what_is_no_text_is_refused(small):
    saved = load(small.model("bpe"))
    for pair in (("a\ud800", "b"), ("a", 5), (None, "b")):
        with pytest.raises(EncodingError):
            loglikelihood(saved, *pair)
    with pytest.raises(EncodingError, match="surrogate"):
        next(generate(saved, "a\ud800", max_bytes=5))


def test_the_same_seed_writes_the_same(untrained):
    sampling = Sampling(seed=7)
    first, second = (
        [piece.text for piece in generate(untrained, "the c", max_bytes=60, sampling=sampling)] for _ in range(2)
    )
    assert first == second
