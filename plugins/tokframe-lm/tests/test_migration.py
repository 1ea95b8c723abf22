"""Migration: mixtures of old ids, calibration, fits, the command."""

from __future__ import annotations

import json
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokframe_lm import storage, tokframe_components
from tokframe_lm.data.tokens import TokenFile
from tokframe_lm.migration.calibration import calibrate
from tokframe_lm.migration.migration import migrate
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.model import build, start_id

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactError, ConfigError, TrainingError, UnknownNameError, UnsupportedError
from tokframe.tokenizer.results import Encoding
from tokframe.tokenizer.roles import roles_of
from tokframe.tokenizer.transfer.mixture import mix
from tokframe.tokenizer.transfer.neighbors import Neighbors

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def pair(small):
    """Return the old tokenizer, the new one, and the unknown id of the old."""
    old, new = tokframe.load(small.tokenizers["word"]), tokframe.load(small.tokenizers["bpe"])
    return old, new, old.special_tokens["<unk>"]


def spelt(pair):
    """Return `{new id: old ids}` of the ids of ASCII text."""
    old, new, _ = pair
    texts = {token: new.token_bytes(token) for token in range(260, new.vocab_size)}
    return {token: old.encode_bytes(text) for token, text in texts.items() if text.isascii()}


# -- mixtures -----------------------------------------------------------------------------------------------


def test_the_plain_mean_is_that_of_the_old_vectors_that_spell_an_id(pair):
    old, new, unknown = pair
    rows = torch.randn(old.vocab_size, 8)
    made = torch.from_numpy(mix(old, new, "mean").of(rows.numpy()))
    found = {token: [part for part in ids if part != unknown] for token, ids in spelt(pair).items()}
    assert sum(len(ids) > 1 for ids in found.values()) > 5
    for token, ids in found.items():
        torch.testing.assert_close(made[token], rows[ids].mean(0) if ids else torch.zeros(8))


def test_a_part_weighs_by_its_bytes(pair):
    old, new, unknown = pair
    rows = torch.randn(old.vocab_size, 8)
    made = torch.from_numpy(mix(old, new).of(rows.numpy()))
    known = {token: ids for token, ids in spelt(pair).items() if unknown not in ids}
    assert any(len({len(old.token_bytes(part)) for part in ids}) > 1 for ids in known.values())
    for token, ids in known.items():
        weights = torch.tensor([float(len(old.token_bytes(part))) for part in ids])
        torch.testing.assert_close(made[token], (weights / weights.sum()) @ rows[ids])


@pytest.mark.parametrize("method", ["weighted", "mean"])
def test_shares_of_an_id_add_up_to_one_and_every_id_has_a_kind(pair, method):
    old, new, _ = pair
    mixture = mix(old, new, method)
    total = mixture.of(np.ones((old.vocab_size, 1))).flatten()
    for token, kind in enumerate(mixture.kind):
        assert float(total[token]) == pytest.approx(0.0 if kind == "unknown" else 1.0)
    assert len(mixture.kind) == new.vocab_size
    assert set(mixture.unknown.tolist()) == {t for t, kind in enumerate(mixture.kind) if kind == "unknown"}


def test_special_tokens_of_other_names_begin_from_those_of_their_role(pair):
    old, new, _ = pair
    named = {"<pad>": "[PAD]", "<unk>": "[UNK]", "<s>": "<|im_start|>", "</s>": "<|endoftext|>"}

    class Theirs(type(new)):
        @property
        def special_tokens(self):
            return {named[text]: token for text, token in super().special_tokens.items()}

        def template(self):
            return (2,), ()

    mixture = mix(old, Theirs.from_state(new.state()))
    assert mixture.kind[:4] == ("special",) * 4
    assert [mixture.old[mixture.new == token].tolist() for token in range(4)] == [[0], [1], [2], [3]]


def test_a_tokenizer_without_a_token_that_begins_a_text_is_refused_before_anything_is_written(
    small, tmp_path, monkeypatch
):
    kind = type(tokframe.load(small.tokenizers["word"]))
    before = small.model("bpe")
    monkeypatch.setattr(kind, "special_tokens", {"<unk>": 1})
    with pytest.raises(UnsupportedError, match=r"no special token .*\(its special tokens: <unk>\).*--special"):
        migrate(before, new=small.tokenizers["word"], out=tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_that_leaves_out_text_is_refused_before_anything_is_written(small, tmp_path, monkeypatch):
    kind = type(tokframe.load(small.tokenizers["word"]))
    before, offsets = small.model("bpe"), kind.offsets

    def without_spaces(self, text):
        found = offsets(self, text)
        kept = [n for n, (start, end) in enumerate(found.char_spans.tolist()) if text[start:end] != " "]
        return Encoding(ids=found.ids[kept], byte_spans=found.byte_spans[kept], char_spans=found.char_spans[kept])

    monkeypatch.setattr(kind, "offsets", without_spaces)
    with pytest.raises(UnsupportedError, match=r"leaves out byte 1 .*white space included"):
        migrate(before, new=small.tokenizers["word"], out=tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("special", "template", "start"),
    [
        ({"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}, (), 2),
        ({"<unk>": 0, "<|endoftext|>": 7}, (), 7),
        ({"[PAD]": 0, "[UNK]": 1, "[CLS]": 5, "[SEP]": 6, "[MASK]": 7}, (), 5),
        ({"[PAD]": 0, "[UNK]": 1, "[CLS]": 5, "[SEP]": 6, "[MASK]": 7}, (6,), 6),
        ({"<pad>": 0, "<eos>": 1, "<bos>": 2}, (), 2),
        ({"[BOS]": 3, "[UNK]": 0}, (), 3),
        ({"<|im_end|>": 9, "<|im_start|>": 8, "<unk>": 0}, (), 8),
    ],
)
def test_a_text_begins_with_what_the_tokenizer_has_for_it(special, template, start):
    theirs = SimpleNamespace(
        special_tokens=special,
        special_roles=roles_of(special),
        template=lambda: (template, ()),
        name="theirs",
        unknown_id=None,
    )
    assert start_id(theirs) == start


def test_special_tokens_keep_the_vector_of_the_same_text(pair):
    old, new, _ = pair
    rows = torch.randn(old.vocab_size, 8)
    made = torch.from_numpy(mix(old, new).of(rows.numpy()))
    for text, token in new.special_tokens.items():
        assert torch.equal(made[token], rows[old.special_tokens[text]])


def words_with(unknown, *more):
    """Return a tokenizer of another library whose unknown token is no special token."""
    read = pytest.importorskip("tokframe_huggingface.imported.huggingface").HuggingFaceTokenizer
    vocab = {text: number for number, text in enumerate(["the", "cat", unknown, "<s>", "dog", *more])}
    special = {"id": 3, "content": "<s>", "special": True, "single_word": False, "lstrip": False, "rstrip": False}
    data = {
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": unknown},
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "added_tokens": [{**special, "normalized": False}],
    }
    return read(json.dumps(data).encode())


def test_the_unknown_id_moves_to_the_unknown_id_whatever_its_text_and_spells_nothing(pair):
    old, _, unknown = pair
    there = words_with("(what)")
    assert there.unknown_id == 2 and there.textless_ids == {2, 3}
    for first, second, source in ((old, there, unknown), (there, old, 2)):
        mixture = mix(first, second)
        assert mixture.kind[second.unknown_id] == "special"
        assert mixture.old[mixture.new == second.unknown_id].tolist() == [source]
    mixture = mix(there, words_with("[UNK]", "(what)"))  # for which the new one has a word
    assert mixture.kind[2] == "special" and 2 not in mixture.old[mixture.new == 5]


def test_a_piece_without_an_old_id_is_made_of_its_neighbors(pair):
    old, new, _ = pair
    plain, better = mix(old, new, "mean"), mix(old, new)
    gained = [t for t, kind in enumerate(better.kind) if kind == "neighbours"]
    assert gained and all(plain.kind[token] == "unknown" for token in gained)


def test_neighbors_share_n_grams_and_the_nearest_comes_first():
    known = [b"irresistible", b"resist", b"table", b"zebra", b"irregular"]
    found = Neighbors(known).nearest(b"irresistibl", 3)
    assert known[found[0][0]] == b"irresistible"
    assert sum(share for _, share in found) == pytest.approx(1)
    assert b"zebra" not in [known[place] for place, _ in found]
    assert Neighbors(known).nearest(b"\xff\xfe") == []


def test_bytes_that_are_no_text_do_not_stop_a_tokenizer_that_takes_only_text(pair):
    old, new, _ = pair
    mixture = mix(old, new)
    assert {mixture.kind[4 + byte] for byte in (0xC3, 0xFF)} <= {"unknown", "neighbours"}


def test_between_tokenizers_that_lose_nothing_every_id_is_known(small):
    old = tokframe.load(small.tokenizers["bpe"])
    new = tokframe.load("autoencoder-fsq")
    kinds = mix(old, new).kind
    assert set(kinds) == {"copied", "averaged", "special"}


# -- calibration --------------------------------------------------------------------------------------------


def test_a_calibrated_model_expects_each_id_as_often_as_the_text_has_it(small):
    model = storage.load(small.model("bpe"))
    ids = model.tokenizer.encode_array(small.text.read_text(encoding="utf-8"), False)
    with torch.no_grad():
        model.model.embedding.bias.copy_(torch.randn(model.tokenizer.vocab_size))
    counts = np.bincount(ids, minlength=model.tokenizer.vocab_size) + 1.0  # as the embedding's biases begin
    counts /= counts.sum()

    def distance():
        window = torch.from_numpy(ids[: len(ids) // 16 * 16].astype(np.int64)).view(-1, 16)
        with torch.no_grad():
            expected = model.model(window).softmax(-1).flatten(0, 1).mean(0)
        return float((expected - torch.from_numpy(counts)).abs().sum())

    before = distance()
    scale = calibrate(model.model, TokenFile(ids=ids, documents=1, unknown_surfaces={}, bytes=1))
    assert distance() < before / 5 and 0 < scale <= 1


# -- embeddings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lookup", "factored", "factored-lookup", "spelled", "factored-spelled"])
def test_an_embedding_fits_a_table_that_it_can_express(name):
    tokenizer = tokframe.load("autoencoder-fsq")
    config = LMConfig(d_model=8, layers=1, heads=2, context=8, embedding=name)
    table = build(config, tokenizer).embedding.table().detach()
    other = build(LMConfig(d_model=8, layers=1, heads=2, context=8, embedding=name, seed=1), tokenizer)
    other.embedding.fit(table)
    torch.testing.assert_close(other.embedding.table().detach(), table, atol=1e-5, rtol=1e-4)


def test_no_change_of_the_digits_rows_brings_a_factored_table_nearer():
    tokenizer = tokframe.load("autoencoder-fsq")
    model = build(LMConfig(d_model=2, layers=1, heads=1, context=8, embedding="factored"), tokenizer)
    table = torch.randn(tokenizer.vocab_size, 2, generator=torch.Generator().manual_seed(0))
    model.embedding.fit(table)
    missing = (model.embedding.table() - table).square().sum()
    (slope,) = torch.autograd.grad(missing, [model.embedding.factors])
    assert float(slope.abs().max()) < 0.05  # of sums over thousands of ids


def test_a_fit_by_digits_and_spelling_comes_near_what_it_can_express_and_nearer_than_digits_alone():
    tokenizer = tokframe.load("autoencoder-fsq")

    def missing(name: str, table: torch.Tensor, seed: int) -> float:
        config = LMConfig(d_model=2, layers=1, heads=1, context=8, embedding=name, seed=seed)
        embedding = build(config, tokenizer).embedding
        embedding.fit(table)
        assert embedding.table().dtype == table.dtype
        own = embedding.rows.detach() if name == "factored-spelled" else 0.0  # rows of an id's own hold what is left
        return float((embedding.table().detach() - own - table).square().sum() / table.square().sum())

    config = LMConfig(d_model=2, layers=1, heads=1, context=8, embedding="factored-spelled")
    own = build(config, tokenizer).embedding.table().detach()
    assert missing("factored-spelled", own, 1) < 0.01
    other = torch.randn(tokenizer.vocab_size, 2, generator=torch.Generator().manual_seed(0))
    assert missing("factored-spelled", other, 0) < missing("factored", other, 0) < 1


# -- the model ----------------------------------------------------------------------------------------------


def test_a_moved_model_keeps_the_body_and_counts_every_id(small, tmp_path):
    done = migrate(small.model("word"), new=small.tokenizers["bpe"], out=tmp_path / "warm")
    before, after = storage.load(small.model("word")), storage.load(tmp_path / "warm")
    counted = done.copied + done.averaged + done.special + done.neighbours + done.unknown
    assert after.model.embedding.vocab_size == after.tokenizer.vocab_size == counted
    assert (after.tokenizer.name, done.kept) == ("bpe", 1.0)
    first, second = before.model.body.state_dict(), after.model.body.state_dict()
    assert done.scale == 1 and all(torch.equal(first[key], second[key]) for key in first)


def test_without_a_corpus_an_id_is_as_likely_as_its_parts_and_with_one_as_it_is_there(small, pair, tmp_path):
    _, new, unknown = pair
    migrate(small.model("word"), new=small.tokenizers["bpe"], out=tmp_path / "without", method="mean")
    bias = storage.load(small.model("word")).model.embedding.bias.detach()
    moved = storage.load(tmp_path / "without").model.embedding.bias.detach()
    several = {token: ids for token, ids in spelt(pair).items() if unknown not in ids and len(ids) > 1}
    for token, ids in several.items():
        torch.testing.assert_close(moved[token], bias[ids].mean())
    migrate(small.model("word"), new=small.tokenizers["bpe"], out=tmp_path / "with", corpus=small.corpus)
    model = storage.load(tmp_path / "with").model
    ids = new.encode_array(small.text.read_text(encoding="utf-8"), False)
    often, never = np.bincount(ids, minlength=new.vocab_size).argmax(), new.special_tokens["<pad>"]
    with torch.no_grad():
        scores = model(torch.from_numpy(ids[:16].astype(np.int64))[None])[0].mean(0)
    assert scores[often] > scores[never] + 3


@pytest.mark.parametrize("name", [s.name for s in tokframe_components() if s.kind == "embedding"])
def test_a_moved_model_can_have_any_embedding(small, tmp_path, name):
    done = migrate(
        small.model("word"), new="autoencoder-fsq", out=tmp_path / "warm", embedding=name, corpus=small.corpus
    )
    assert 0 < done.kept < 1 if name in ("factored", "vectors", "encoder") else done.kept == 1
    assert 0 < done.scale <= 1
    after = storage.load(tmp_path / "warm").model
    assert after.config.embedding == name


def test_an_embedding_of_digits_needs_codes_and_without_them_nothing_is_written(small, tmp_path):
    with pytest.raises(UnsupportedError, match="no codes made of digits"):
        migrate(small.model("word"), new=small.tokenizers["bpe"], out=tmp_path / "no", embedding="factored")
    assert not (tmp_path / "no").exists()


def test_a_moved_model_can_be_trained_on_and_only_with_its_tokenizer(small, tmp_path):
    migrate(small.model("word"), old=small.tokenizers["word"], new=small.tokenizers["bpe"], out=tmp_path / "warm")
    done = small.train("bpe", tmp_path / "on", start=tmp_path / "warm")
    assert done.training["steps"] == 12
    with pytest.raises(TrainingError, match="lm migrate"):
        small.train("word", tmp_path / "off", start=tmp_path / "warm")


def test_a_tokenizer_of_the_same_name_and_other_files_is_not_the_models(small, tmp_path):
    with pytest.raises(ArtifactError, match=r"'word' of hash .* is 'word' of hash .*/tokenizer"):
        migrate(small.model("word"), old="word", new=small.tokenizers["bpe"], out=tmp_path / "warm")
    assert not (tmp_path / "warm").exists()
    own = small.model("word") / "tokenizer"
    migrate(small.model("word"), old=own, new=small.tokenizers["bpe"], out=tmp_path / "warm")


def test_a_tokenizer_of_another_name_is_an_error_too(small, tmp_path):
    with pytest.raises(ArtifactError, match="has tokenizer 'bpe'"):
        migrate(small.model("bpe"), old="word", new="autoencoder-fsq", out=tmp_path / "warm")
    with pytest.raises(UnknownNameError, match="wrod"):
        migrate(small.model("bpe"), old="wrod", new="autoencoder-fsq", out=tmp_path / "warm")


def test_no_temporary_folder_is_made_beside_the_model(small, tmp_path, monkeypatch):
    places, real = [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *given: places.append(given[2]) or real(*given))
    old, new = small.tokenizers["word"], small.tokenizers["bpe"]
    migrate(small.model("word"), old=old, new=new, corpus=small.corpus, out=tmp_path / "warm")
    assert places and small.model("word").parent not in places


def test_an_unknown_method_is_told_which_there_are(small, tmp_path):
    with pytest.raises(ConfigError, match="'magic' is not one of weighted, mean, omp"):
        migrate(small.model("word"), new=small.tokenizers["bpe"], out=tmp_path / "warm", method="magic")


# -- the commands -------------------------------------------------------------------------------------------


def test_the_command_moves_a_model(small, tmp_path, capsys):
    out = str(tmp_path / "warm")
    words = ["lm", "migrate", str(small.model("word")), "--from", small.tokenizers["word"], "--to", "autoencoder-fsq"]
    words += ["--corpus", str(small.text), "--out", out]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "special tokens copied" in shown and "lm train" in shown
    assert main(words) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    keys = {
        "out",
        "method",
        "corpus",
        "embedding",
        "copied",
        "averaged",
        "special",
        "neighbours",
        "unknown",
        "kept",
        "scale",
    }
    assert set(record) == keys
