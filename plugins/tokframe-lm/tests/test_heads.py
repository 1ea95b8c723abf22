"""Heads in models: the trie, saving and loading, moving, inputs, steps in numpy, and what is refused."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from support.stopping import stop_after
from tokframe_lm import generation, storage
from tokframe_lm.comparison.comparison import compare
from tokframe_lm.comparison.config import Settings
from tokframe_lm.migration.migration import migrate
from tokframe_lm.model import decoder, stepping
from tokframe_lm.model.config import LMConfig, config_for
from tokframe_lm.model.embeddings import embedding_class, suited
from tokframe_lm.model.model import build
from tokframe_lm.model.trie import Trie, paths_of

import tokframe
from tokframe.errors import ArtifactCorruptError, ConfigError, TrainingInterrupted, UnknownNameError, UnsupportedError

pytestmark = pytest.mark.trains

DECODER = {"head": "decoder", "embedding": "spelled", "canonical": True, "min_count": 4}
SHAPE = {"d_model": 16, "layers": 2, "heads": 2, "context": 16}


class Few:
    """A tokenizer of a few ids, as far as a model needs one."""

    name = "few"
    special_tokens: ClassVar = {"<s>": 0}
    special_roles: ClassVar = {}
    unknown_id = None
    textless_ids = frozenset([0])

    def __init__(self, *texts):
        self._texts = (b"", *texts)
        self.vocab_size = len(self._texts)

    def token_bytes(self, token):
        return self._texts[token]

    def template(self):
        return (0,), ()

    def impossible_pairs(self):
        return None


class Vectors(Few):
    """One that ships vectors and classes."""

    def embed(self, items):
        return np.eye(self.vocab_size, 3, dtype=np.float32)[list(items)]

    def nearest(self, item, k=5, by="use"):
        return []

    def classes(self):
        return np.arange(self.vocab_size) % 2


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory):
    """The folder of a model with a decoder head."""
    out = tmp_path_factory.mktemp("heads") / "model"
    small.train("bpe", out, config=DECODER)
    return out


def written(saved, prompt="The", **sampling):
    choice = generation.Sampling(**sampling)
    return "".join(piece.text for piece in generation.generate(saved, prompt, max_bytes=60, sampling=choice))


# -- the trie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [None, [-1, 0, 0, 1, 1, -1, 0]])
def test_every_id_is_reached_by_its_choices_and_only_real_ones_are_kept(classes):
    tokenizer = Few(b"a", b"ab", b"abcde", b"abcdf", b"x", b"a")
    paths = paths_of(tokenizer, None if classes is None else np.asarray(classes))
    assert len({tuple(path) for path in paths}) == tokenizer.vocab_size
    trie = Trie.of(paths)
    assert (np.diff(trie.edge_starts) > 1).all()
    for token in range(tokenizer.vocab_size):
        node, symbols = 0, []
        for place in range(trie.starts[token], trie.starts[token + 1]):
            assert trie.nodes[place] == node
            edge = trie.edges[place]
            assert trie.edge_starts[node] <= edge < trie.edge_starts[node + 1]
            assert trie.lows[edge] <= trie.ranks[token] < trie.highs[edge]
            symbols.append(int(trie.symbols[edge]))
            node = trie.children[edge]
        assert node == -1 - token
        rest = iter(paths[token])
        assert all(symbol in rest for symbol in symbols)  # in the order of the path


@pytest.mark.parametrize("fault", ["empty", "refuses"])
def test_an_id_without_bytes_is_refused_with_advice(fault):
    tokenizer = Few(b"a", b"b", b"c")
    if fault == "empty":
        tokenizer._texts = (b"", b"a", b"", b"c")
    else:

        def refuse(token):
            raise UnsupportedError("no bytes", capability="token_bytes")

        tokenizer.token_bytes = refuse
    with pytest.raises(UnsupportedError, match=r'"head": "softmax"'):
        build(LMConfig(**SHAPE, head="decoder"), tokenizer)


# -- training and saving ----------------------------------------------------------------------------------------


def test_a_decoder_learns_and_comes_back_whole(small, trained, same):
    loaded = storage.load(trained)
    assert loaded.training["loss"][-1][1] < loaded.training["loss"][0][1]
    assert loaded.training["flops"] > 0 and loaded.training["parameters"]["head"] > 0
    again = small.train("bpe", trained.parent / "again", config=DECODER)
    assert same(again.model, loaded.model)
    for sampling in ({"seed": 3}, {"seed": 3, "top_k": 0, "temperature": 1.0}, {"temperature": 0.0}):
        assert written(loaded, **sampling) == written(again, **sampling)
    assert written(loaded, seed=3) != written(loaded, seed=4)


def test_a_stopped_training_goes_on_to_the_same_weights(small, trained, tmp_path, same):
    with pytest.raises(TrainingInterrupted):
        small.train("bpe", tmp_path / "out", config=DECODER, should_stop=stop_after(6))
    resumed = small.train("bpe", tmp_path / "out", config=DECODER, resume=True)
    assert same(resumed.model, storage.load(trained).model)


def test_training_that_starts_from_a_model_keeps_its_head_and_its_rows(small, trained, tmp_path):
    further = small.train("bpe", tmp_path / "further", start=trained).model
    before = storage.load(trained).model
    assert further.config.head == "decoder" and torch.equal(further.counts, before.counts)
    assert further.head.hashed.shape == before.head.hashed.shape
    assert not torch.equal(further.head.hashed, before.head.hashed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("counts"), "no counts of ids"),
        (lambda w: w.update(counts=w["counts"][:-1]), r"counts of \d+ ids, but the tokenizer has \d+"),
        (lambda w: w["counts"].fill_(torch.nan), "not finite"),
        (lambda w: w["counts"].neg_(), "from 0 on"),
        (lambda w: w.update({"head.hashed": w["head.hashed"][:-1]}), r"head\.hashed"),
        (lambda w: w["head.out.bias"].fill_(torch.inf), r"head\.out\.bias"),
    ],
)
def test_weights_that_do_not_fit_the_vocabulary_are_refused(trained, change, said):
    saved = storage.load(trained)
    weights = {name: tensor.clone() for name, tensor in saved.model.state_dict().items()}
    change(weights)
    with pytest.raises(ArtifactCorruptError, match=said):
        storage.fit(build(saved.model.config, saved.tokenizer), weights, "weights")


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({"head": "decodr"}, UnknownNameError, "decoder"),
        ({"head": "decoder", "head_settings": {"cor": "gru"}}, ConfigError, r"\$\.head_settings\.cor"),
        ({"head": "decoder", "head_settings": {"core": "lstm"}}, ConfigError, r"\$\.head_settings\.core"),
        ({"head_settings": {"core": "gru"}}, ConfigError, "has no settings"),
        ({"embedding": "spelled+vectors"}, UnsupportedError, "ships no vectors"),
        ({"embedding": "encoder", "head": "decoder"}, UnsupportedError, "no network"),
    ],
)
def test_what_a_model_cannot_be_built_with_is_told(small, config, error, said):
    with pytest.raises(error, match=said):
        build(LMConfig(**SHAPE, **config), tokframe.load(small.tokenizers["bpe"]))


def test_a_large_batch_is_computed_in_parts_with_the_same_gradient(trained, monkeypatch):
    model = storage.load(trained).model
    ids = torch.randint(4, 300, (4, 17), generator=torch.Generator().manual_seed(0))
    whole = model.loss(ids[:, :-1], ids[:, 1:])
    wanted = torch.autograd.grad(whole, list(model.parameters()))
    monkeypatch.setattr(decoder, "_PART_TOKENS", 10)
    parts = model.loss(ids[:, :-1], ids[:, 1:])
    torch.testing.assert_close(parts, whole)
    for found, right in zip(torch.autograd.grad(parts, list(model.parameters())), wanted, strict=True):
        torch.testing.assert_close(found, right, atol=1e-6, rtol=1e-4)


# -- other vocabularies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_corpus", [False, True])
def test_a_model_moves_to_another_vocabulary_with_its_head(small, trained, tmp_path, with_corpus):
    corpus = small.corpus if with_corpus else None
    done = migrate(trained, new=small.tokenizers["word"], out=tmp_path / "moved", embedding="spelled", corpus=corpus)
    assert done.scale == 1.0 and 0 < done.kept <= 1
    before, after = storage.load(trained).model, storage.load(tmp_path / "moved").model
    assert torch.equal(after.head.gru.weight_hh_l0, before.head.gru.weight_hh_l0)
    shared, mine, theirs = np.intersect1d(after.head._kept, before.head._kept, return_indices=True)
    assert len(shared) > 0
    assert torch.equal(after.head.hashed[1 + mine], before.head.hashed[1 + theirs])
    assert float(after.counts.sum()) > 0
    assert written(storage.load(tmp_path / "moved"))


# -- inputs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spelled", "lookup", "spelled+vectors", "vectors"])
def test_vectors_of_some_ids_are_those_of_the_whole_table(name):
    tokenizer = Vectors(b"the", b" the", b"cat", b" cat", b"s")
    model = build(LMConfig(**SHAPE, embedding=name, head="decoder", min_count=3), tokenizer)
    model.prepare(torch.tensor([1, 5, 4, 0, 2, 9]))
    with torch.no_grad():
        for parameter in model.embedding.parameters():
            parameter.add_(torch.randn_like(parameter))
    ids = torch.tensor([[0, 3, 5], [5, 5, 1]])
    table = model.embedding.table()
    torch.testing.assert_close(model.embedding(ids), table[ids])
    wanted = torch.randn_like(table)
    wanted[[0, 1, 2, 5]] += 1
    model.embedding.fit(wanted)
    if "spelled" in name or name == "lookup":  # ids with a row of their own
        torch.testing.assert_close(model.embedding.table()[[0, 1, 2, 5]], wanted[[0, 1, 2, 5]], atol=1e-4, rtol=1e-4)


def test_a_class_is_written_first_where_the_tokenizer_has_classes():
    tokenizer = Vectors(b"a", b"b", b"c")
    plain, classed = (
        build(LMConfig(**SHAPE, head="decoder", head_settings={"classes": classes}), tokenizer)
        for classes in (False, True)
    )
    assert classed.head.trie.alphabet == plain.head.trie.alphabet + 2
    states = torch.randn(2, 16)
    context = classed._context(torch.tensor([0, 1]), None)
    for model in (plain, classed):
        torch.testing.assert_close(model.head.logits(states, context).exp().sum(1), torch.ones(2))


def test_what_a_tokenizer_lacks_is_left_out_of_a_sum(small):
    bpe = tokframe.load(small.tokenizers["bpe"])
    assert suited("factored-spelled+vectors", bpe) == "spelled"
    assert suited("spelled+vectors", Vectors(b"a")) == "spelled+vectors"
    assert suited("vectors", bpe) == ""
    assert embedding_class("spelled+vectors").features == ("spelling", "own", "vectors")
    assert embedding_class("lookup+spelled").features == ("own", "spelling")


# -- steps in numpy ---------------------------------------------------------------------------------------------


def test_a_few_tokens_at_a_time_give_what_the_whole_text_gives(trained, monkeypatch):
    saved = storage.load(trained)
    ids = torch.tensor([saved.tokenizer.encode("The cat sat on the mat, and it was dark; " * 2, False)])[:, :16]
    table = saved.model.embedding.table().detach()
    with torch.no_grad():
        whole = saved.model.hidden_states(ids, table)[0]
        for parts in ((16,), (5, 1, 1, 9), (1,) * 16):
            cache, reached = None, 0
            for size in parts:
                state, cache = saved.model.next_state(ids[:, reached : reached + size], cache, table)
                reached += size
                torch.testing.assert_close(state, whole[reached - 1], atol=1e-5, rtol=1e-4)
        monkeypatch.setattr(stepping, "suits", lambda body: False)
        state, _ = saved.model.next_state(ids, None, table)
        torch.testing.assert_close(state, whole[-1], atol=1e-5, rtol=1e-4)


def test_a_changed_weight_changes_what_is_written(trained):
    model = storage.load(trained).model
    state, context = torch.randn(16), model._context(torch.tensor([[5]]), None)
    before = model.head.logits(state[None], context)
    with torch.no_grad():
        model.head.out.bias.add_(torch.randn_like(model.head.out.bias))
    assert not torch.allclose(model.head.logits(state[None], context), before)
    other = copy.deepcopy(model)
    torch.testing.assert_close(other.head.logits(state[None], context), model.head.logits(state[None], context))


# -- comparison -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_heads_are_compared_with_settings_of_each_tokenizer_at_equal_time(small, tmp_path):
    config = {
        **SHAPE,
        "layers": 1,
        "batch_bytes": 256,
        "embedding": "spelled",
        "tokenizers": {"bpe": {"learning_rate": 0.002}},
    }
    given = {
        "corpus": small.corpus,
        "evals": {"held": small.corpus},
        "config": config,
        "heads": ["softmax", "decoder"],
        "settings": Settings(seeds=1, equal="all", max_bytes=1500, eval_bytes=300, prompts=0),
        "out": tmp_path / "out",
        "device": "cpu",
    }
    report = compare([small.tokenizers["bpe"]], **given)
    assert {label: entry["head"] for label, entry in report["models"].items()} == {
        "tokenizer-bpe+softmax": "softmax",
        "tokenizer-bpe+decoder": "decoder",
    }
    for label, entry in report["models"].items():
        assert {"equal_bytes", "equal_flops", "equal_time"} <= entry.keys()
        run = storage.load(tmp_path / "out" / "runs" / f"{label}-0")
        assert run.model.config.learning_rate == 0.002
    assert compare([small.tokenizers["bpe"]], **given)["models"].keys() == report["models"].keys()
    with pytest.raises(ConfigError, match="learning_rate of tokenizer-bpe"):
        compare([small.tokenizers["bpe"]], **{**given, "config": {**config, "tokenizers": {}}})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"tokenizers": 5}, r"\$\.tokenizers"),
        ({"tokenizers": {"bpe": 5}}, r"\$\.tokenizers"),
        ({"tokenizers": {"bpe": {"hed": "decoder"}}}, "head"),
    ],
)
def test_settings_of_a_tokenizer_are_checked_whichever_is_used(config, said):
    with pytest.raises(ConfigError, match=said):
        config_for(config, "word")


def test_what_is_written_follows_weights_that_a_fused_optimizer_changed(trained):
    model = storage.load(trained).model
    ids = torch.tensor([[2, 70, 80]])
    with torch.no_grad():
        before = model(ids)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, fused=True)
    model.loss(ids[:, :-1], ids[:, 1:]).backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        after = model(ids)
        assert float(-after[0, 0, 70]) == pytest.approx(float(model.token_nll(ids[:, :-1], ids[:, 1:])[0, 0]), abs=1e-4)
    assert not torch.allclose(before, after, atol=1e-3)
