"""The canonical penalty: lowered logits in training, evaluation and generation."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tokframe_lm import generation, storage
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import build

import tokframe
from tokframe.tokenizer.bigrams import ImpossiblePairs

pytestmark = pytest.mark.trains

CONFIG = {"d_model": 8, "layers": 1, "heads": 1, "context": 16, "bias": "frequencies"}


@pytest.fixture
def rows(small):
    """A tokenizer, its impossible pairs and rows of ids of a text, with the ids behind them."""
    tokenizer = tokframe.load(small.tokenizers["bpe"])
    ids = torch.from_numpy(tokenizer.encode_array(small.text.read_text(encoding="utf-8"), False).astype(np.int64))
    return tokenizer, tokenizer.impossible_pairs(), ids[:64].view(4, 16), ids[1:65].view(4, 16)


def test_what_cannot_follow_is_ten_nats_less_likely_and_the_rest_share_its_probability(rows):
    tokenizer, pairs, ids, _ = rows
    plain = build(LMConfig(**CONFIG), tokenizer)
    canonical = build(LMConfig(**CONFIG, canonical=True), tokenizer)
    change = (canonical(ids) - plain(ids)).detach()
    for row, column in np.ndindex(*ids.shape):
        lowered = np.zeros(tokenizer.vocab_size, np.float32)
        lowered[pairs.after(int(ids[row, column]))] = -10
        np.testing.assert_allclose(change[row, column].numpy(), lowered, atol=1e-4)
    assert (change < 0).any()


def test_training_learns_from_the_scores_that_evaluation_judges_by(rows):
    tokenizer, _, ids, targets = rows
    model = build(LMConfig(**CONFIG, canonical=True), tokenizer)
    expected = model.token_nll(ids, targets).mean()
    wanted = torch.autograd.grad(expected, list(model.parameters()))
    loss = model.loss(ids, targets)
    torch.testing.assert_close(loss, expected)
    for found, right in zip(torch.autograd.grad(loss, list(model.parameters())), wanted, strict=True):
        torch.testing.assert_close(found, right)
    assert bool(loss < build(LMConfig(**CONFIG), tokenizer).loss(ids, targets))


def test_a_pair_named_twice_is_lowered_once(rows):
    tokenizer, _, ids, _ = rows
    model = build(LMConfig(**CONFIG, canonical=True), tokenizer)
    twice = ImpossiblePairs.of_lists([["one", "other"]] * tokenizer.vocab_size, {"one": [5, 6], "other": [6, 6, 7]})
    before = model.embedding.logits(model.hidden_states(ids, model.embedding.table()))
    model.impossible = type(model.impossible)(twice)
    change = (model(ids) - before).detach()
    assert change[..., [5, 6, 7]].add(10).abs().max() < 1e-4 and not change[..., :5].any()


def test_a_tokenizer_that_cannot_tell_trains_as_without(small, tmp_path, same):
    done = small.train("word", tmp_path / "model", config={"canonical": True})
    assert same(done.model, storage.load(small.model("word")).model)


def test_a_draw_never_gives_a_pair_that_would_be_read_back_otherwise(rows):
    tokenizer, pairs, ids, _ = rows
    never = [set(pairs.after(token).tolist()) for token in ids.flatten().tolist()]
    broken = {}
    for canonical in (False, True):
        model = build(LMConfig(**CONFIG, canonical=canonical), tokenizer)
        chances = model(ids).detach().softmax(-1).flatten(0, 1)
        drawn = torch.multinomial(chances, 200, generator=torch.Generator().manual_seed(0)).tolist()
        broken[canonical] = sum(token in after for tokens, after in zip(drawn, never, strict=True) for token in tokens)
    assert broken[True] == 0 and broken[False] > 20


def test_it_is_kept_with_the_model_and_where_training_starts_from_it(small, tmp_path, same):
    done = small.train("bpe", tmp_path / "model", config={"canonical": True})
    loaded = storage.load(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "model.json").read_text())["config"]["canonical"] is True
    assert loaded.model.impossible is not None and same(done.model, loaded.model)
    assert "".join(piece.text for piece in generation.generate(loaded, "The", max_bytes=40))
    again = small.train("bpe", tmp_path / "again", start=tmp_path / "model")
    assert again.model.config.canonical and again.model.impossible is not None
