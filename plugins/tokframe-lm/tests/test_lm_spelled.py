"""Embeddings as sums of shared rows: parameters, initial values, gradients, own rows."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import torch
from support.stopping import stop_after
from tokframe_lm import storage
from tokframe_lm.model.embeddings import FactoredSpelledEmbedding, SpelledEmbedding
from tokframe_lm.model.rowsums import RowSums
from torch.nn import functional

import tokframe
from tokframe.errors import TrainingInterrupted
from tokframe.plugins.registry import load_target

pytestmark = pytest.mark.trains


def test_sums_and_their_gradient_are_those_of_adding_row_by_row():
    parts = [[0, 2], [], [1], [2, 2, 0], [3]]
    sums = RowSums(parts, 5)
    shared = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.arange(20.0).view(5, 4)
    expected = torch.stack([sum((shared[n] for n in row), torch.zeros(4)) for row in parts])
    torch.testing.assert_close(sums(shared), expected)
    found = torch.autograd.grad((sums(shared) * weights).sum(), shared)[0]
    torch.testing.assert_close(found, torch.autograd.grad((expected * weights).sum(), shared)[0])
    assert not found[4].any()


@pytest.mark.parametrize(
    ("name", "shared", "own"),
    [
        ("lookup", {}, 0.02),
        ("factored", {"factors": 0.02 / 8**0.5}, None),
        ("factored-lookup", {"factors": 0.02 / 8**0.5}, 0.0),
        ("spelled", {"shared": 0.02 / 8**0.5}, 0.0),
        ("factored-spelled", {"factors": 0.02 / 8**0.5, "shared": 0.02 / 8**0.5}, 0.0),
    ],
)
def test_saved_models_find_their_parameters_and_new_ones_begin_as_ever(name, shared, own):
    tokenizer = tokframe.load("autoencoder-fsq")
    kind = load_target(tokframe.host().registry.component("embedding", name))
    torch.manual_seed(0)
    embedding = kind(tokenizer, d_model=4)
    assert set(embedding.state_dict()) == {"bias", *shared, *(["rows"] if own is not None else [])}
    torch.manual_seed(0)
    for parameter, spread in shared.items():
        rows = embedding.get_parameter(parameter)
        assert torch.equal(rows, torch.randn_like(rows) * spread)
    if own is not None:
        assert torch.equal(embedding.rows, torch.randn_like(embedding.rows) * own)
    assert not embedding.bias.any()


def test_a_spelled_table_is_the_sum_of_the_rows_of_first_and_last_bytes_words_shape_and_length(small):
    tokenizer = tokframe.load(small.tokenizers["bpe"])
    embedding = SpelledEmbedding(tokenizer, d_model=4)
    special = set(tokenizer.special_tokens.values())
    texts = [b"" if t in special else tokenizer.token_bytes(t) for t in range(tokenizer.vocab_size)]

    def features(text):
        characters = text.decode("utf-8", "replace")
        kinds = ["A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in characters]
        shape = "".join(kind for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1])
        words = {("word", word.encode()) for word in re.findall(r"[^\W\d_]+", characters.lower())}
        ends = [(f"first {n}", text[:n]) for n in (1, 2, 3)] + [(f"last {n}", text[-n:]) for n in (1, 2, 3)]
        return [*ends, *words, ("shape", shape.encode()), ("length", bytes([len(text)]))] if text else []

    counts = Counter(feature for text in texts for feature in features(text))
    order = sorted(feature for feature, count in counts.items() if count > 1)
    assert len(embedding.shared) == len(order)
    for token in (0, 100, tokenizer.vocab_size - 1):
        rows = [embedding.shared[order.index(f)] for f in features(texts[token]) if f in order]
        torch.testing.assert_close(embedding.table()[token], sum(rows, torch.zeros(4)))


@pytest.mark.parametrize("name", ["word", "bpe"])
def test_ids_spelt_alike_begin_alike_and_each_can_go_its_own_way(small, name):
    tokenizer = tokframe.load(small.tokenizers[name])
    embedding = SpelledEmbedding(tokenizer, d_model=64)
    rows = embedding.table().detach()
    special = list(tokenizer.special_tokens.values())
    assert not rows[special].any()
    texts = {token: tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size) if token not in special}
    likeness = functional.cosine_similarity(rows[:, None], rows[None], dim=-1)
    long = [token for token, text in texts.items() if len(text) >= 3]
    ends = {token: {texts[token][:1], texts[token][-1:], len(texts[token])} for token in long}
    pairs = [(a, b, len(ends[a] & ends[b])) for a in long for b in long if a < b]
    mean = {n: sum(float(likeness[a, b]) for a, b, same in pairs if same == n) for n in (0, 1, 2)}
    mean = {n: total / sum(same == n for _, _, same in pairs) for n, total in mean.items()}
    assert mean[0] < mean[1] < mean[2]
    embedding.rows.data[long[0]] += 1
    assert (embedding.table() != rows).any(1).nonzero().flatten().tolist() == [long[0]]


def test_digits_and_spelling_add_up_and_ids_without_a_code_go_their_own_way():
    tokenizer = tokframe.load("autoencoder-fsq")
    embedding = FactoredSpelledEmbedding(tokenizer, d_model=4)
    assert sorted(name for name, _ in embedding.named_parameters()) == ["bias", "factors", "rows", "shared"]
    with torch.no_grad():
        digits, spelling = embedding.sums["digits"](embedding.factors), embedding.sums["spelling"](embedding.shared)
        torch.testing.assert_close(embedding.table(), digits + spelling)
        before = embedding.table()
        embedding.factors[-1] += 1  # the last id without a code
        changed = (embedding.table() != before).any(1).nonzero().flatten().tolist()
    assert changed == [max(tokenizer.special_tokens.values())]


@pytest.mark.parametrize(("name", "embedding"), [("bpe", "spelled"), ("autoencoder-fsq", "factored-spelled")])
def test_ids_that_training_hardly_shows_learn_by_what_they_share_alone(small, tmp_path, name, embedding):
    config = {"embedding": embedding, "min_count": 16}
    trained = small.train(name, tmp_path / "model", config=config)
    assert trained.training["loss"][-1][1] < trained.training["loss"][0][1]
    done = trained.model.embedding
    text = small.text.read_text(encoding="utf-8")
    tokenizer = tokframe.load(small.tokenizers[name])
    ids = torch.tensor([tokenizer.special_tokens["<s>"], *tokenizer.encode(text, False)])
    often = torch.bincount(ids, minlength=tokenizer.vocab_size) >= 16
    assert 0 < int(often.sum()) < tokenizer.vocab_size
    assert torch.equal(done.rows.any(1), often)
    assert torch.equal(storage.load(tmp_path / "model").model.embedding.table(), done.table())
    stopped = tmp_path / "stopped"
    with pytest.raises(TrainingInterrupted):
        small.train(name, stopped, config=config, should_stop=stop_after(6))
    resumed = small.train(name, stopped, config=config, resume=True).model.embedding
    assert torch.equal(resumed.rows, done.rows)


def test_biases_begin_at_the_frequencies_of_the_text(small, tmp_path):
    done = small.train("bpe", tmp_path / "model", config={"bias": "frequencies", "learning_rate": 1e-9})
    tokenizer = done.tokenizer
    text = small.text.read_text(encoding="utf-8")
    ids = torch.tensor([tokenizer.special_tokens["<s>"], *tokenizer.encode(text, False)])
    counts = torch.bincount(ids, minlength=tokenizer.vocab_size) + 1.0
    torch.testing.assert_close(done.model.embedding.bias.detach(), (counts / counts.sum()).log(), rtol=1e-4, atol=1e-4)
