"""Codes and vectors over another tokenizer: its ids stay, what is stored is checked, what cannot be is told."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from attrs import evolve
from support.networks import SMALL_NETWORK
from tokframe_autoencoder.pipeline.overlay import _chosen
from tokframe_autoencoder.tokenizer.overlay import OverlayTokenizer
from tokframe_autoencoder.vectors.table import VectorTable

import tokframe
from tokframe.errors import (
    ArtifactCorruptError,
    ConfigError,
    MissingPluginError,
    TrainingError,
    UnknownNameError,
    UnsupportedError,
)
from tokframe.loading.inspection import verify
from tokframe.plugins.discovery import rebuild
from tokframe.plugins.protocols import Prunable, Recompilable
from tokframe.storage.state import ComponentUse
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.hard_texts import HARD_TEXTS

PARTS = {"encoder": "conv", "quantizer": "fsq", "decoder": "deconv"}
TRAINING = {"batch_size": 64, "max_steps": 600, "code_steps": 300, "eval_interval": 100, "learning_rate": 0.005}


@pytest.fixture(scope="module")
def base() -> ITokenizer:
    return tokframe.load("bpe")


@pytest.fixture
def overlay(base: ITokenizer) -> OverlayTokenizer:
    """Made without training: every seventh id has a code, all but the special tokens a vector."""
    ids = np.arange(base.vocab_size)
    codes = np.where((ids % 7 == 0) & (ids > 3), ids * 3, -1)
    vectors = np.random.default_rng(2).normal(size=(base.vocab_size, 8)) * (ids > 3)[:, None]
    made = OverlayTokenizer(
        base,
        codes,
        config={"fsq": {"levels": [8] * 6, "vocab_size": base.vocab_size}},
        components=tuple(ComponentUse(section=kind, kind=kind, name=name) for kind, name in PARTS.items()),
        groups={"vectors": VectorTable.of(vectors, ids % 64).tensors()},
    )
    made.name = "autoencoder-fsq"
    return made


def test_texts_and_ids_are_those_of_the_base_also_when_saved_and_pickled(base, overlay, tmp_path) -> None:
    saved = tokframe.load(overlay.save(tmp_path / "out"))
    for made in (overlay, saved, pickle.loads(pickle.dumps(saved))):
        for text in HARD_TEXTS:
            assert made.encode(text) == base.encode(text) and made.decode(made.encode(text)) == text
        assert made.encode_batch(HARD_TEXTS) == base.encode_batch(HARD_TEXTS)
        assert np.array_equal(made.offsets(HARD_TEXTS[3]).ids, base.offsets(HARD_TEXTS[3]).ids)
        assert made.special_tokens == base.special_tokens and made.capabilities == base.capabilities
        assert np.array_equal(made.codes(), overlay.codes()) and np.array_equal(made.classes(), overlay.classes())
        assert made.nearest(300) == overlay.nearest(300) and made.embed([300, " the"]).shape == (2, 8)
        assert made.sha256() == overlay.sha256() and made.model() == base.model()


def test_whatever_tokenizers_derive_is_asked_of_the_base(overlay) -> None:
    own = {"save", "sha256", "train", "state", "from_state", "sized_config"}
    derived = {name for name in dir(ITokenizer) if name[0] != "_" and callable(getattr(ITokenizer, name))} - own
    derived -= ITokenizer.__abstractmethods__
    overlay.base = Mock()
    for name in sorted(derived):
        assert getattr(overlay, name)("a", 2, other=3) is getattr(overlay.base, name).return_value
        getattr(overlay.base, name).assert_called_once_with("a", 2, other=3)
    assert overlay.unknown_id is overlay.base.unknown_id and {"encode", "decode", "offsets", "prompt"} <= derived


def test_it_offers_nothing_that_would_change_ids(overlay) -> None:
    assert not isinstance(overlay, Prunable | Recompilable)


def with_base(change):
    def apply(state):
        head = json.loads(state.files["base.json"])
        change(head)
        return evolve(state, files={**state.files, "base.json": canonical_json(head)})

    return apply


def with_codes(codes):
    return lambda state: evolve(state, tensors={**dict(state.tensors), "codes": {"codes": codes}})


HOSTILE = {
    "no codes": lambda s: evolve(s, tensors={k: v for k, v in s.tensors.items() if k != "codes"}),
    "few codes": with_codes(np.zeros(5, np.int64)),
    "one code twice": with_codes(np.zeros(32768, np.int64)),
    "codes below -1": with_codes(np.full(32768, -2, np.int64)),
    "codes of another type": with_codes(np.zeros(32768, np.float32)),
    "no JSON": lambda s: evolve(s, files={**s.files, "base.json": b"{"}),
    "no object": lambda s: evolve(s, files={**s.files, "base.json": b"[]"}),
    "no config": with_base(lambda head: head.pop("config")),
    "a config that is a list": with_base(lambda head: head.update(config=[])),
    "another key": with_base(lambda head: head.update(path="/etc")),
    "a path for a name": with_base(lambda head: head["tokenizer"].update(name="../x")),
    "a base within the base": lambda s: evolve(s, files={**s.files, "base-base.json": s.files["base.json"]}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_base_or_codes_that_make_no_sense_are_refused(overlay, change) -> None:
    with pytest.raises(ArtifactCorruptError):
        rebuild("autoencoder-fsq", change(overlay.state()))


def test_a_base_of_a_plugin_that_is_not_here_is_told(overlay) -> None:
    away = with_base(lambda head: head["tokenizer"].update(name="gone", distribution="tokframe-gone"))
    with pytest.raises(MissingPluginError, match=r"base\.json says that it needs tokenizer 'gone' of tokframe-gone"):
        rebuild("autoencoder-fsq", away(overlay.state()))


def test_the_first_of_ids_with_the_same_bytes_can_have_a_code() -> None:
    assert _chosen([b"", b"a", b"ab", b"a", b"x" * 17, b"x" * 16], 16).tolist() == [1, 2, 5]
    with pytest.raises(TrainingError, match="no id of the vocabulary has 1 to 16 bytes"):
        _chosen([b"", b"x" * 17], 16)


def refused(kind: type[Exception], text: str, name: str = "autoencoder-fsq", **options) -> None:
    with pytest.raises(kind, match=text):
        tokframe.train(name, corpus=["stdlib:heldout"], out="nowhere", **options)
    assert not Path("nowhere").exists() and not Path("nowhere.training").exists()


@pytest.mark.trains
def test_what_cannot_be_trained_over_is_told_before_any_work(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(UnsupportedError, "'bpe' learns a vocabulary of its own.*--vocabulary NAME", "bpe", vocabulary="word")
    refused(ConfigError, "vocab_size: is given beside a vocabulary", vocabulary="bpe", vocab_size=300)
    refused(ConfigError, r"\$\.fsq\.vocab_size: is 32768, but the levels span only 64 codes",
            vocabulary="bpe", config={"fsq": {"levels": [8, 8]}})  # fmt: skip
    refused(UnknownNameError, "no tokenizer named 'bpee'", vocabulary="bpee")
    refused(UnsupportedError, "have codes already", vocabulary="autoencoder-fsq")


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize(("kind", "parts"), [("fsq", {"levels": [8, 8, 6, 5]}), ("vq", {"codebook_size": 512})])
def test_trained_over_an_imported_or_a_lossy_vocabulary_it_passes_every_check(tmp_path, corpus, kind, parts) -> None:
    name, size = ("bpe", 300) if kind == "fsq" else ("word", 200)
    base = tokframe.train(name, corpus=[corpus], out=tmp_path / "base", vocab_size=size)
    config = {**SMALL_NETWORK, kind: parts, "training": TRAINING}
    out = tmp_path / "out"
    made = tokframe.train(f"autoencoder-{kind}", corpus=[corpus], config=config, out=out, vocabulary=tmp_path / "base")
    text = corpus.read_text(encoding="utf-8")
    assert made.encode(text) == base.encode(text) and made.vocab_size == base.vocab_size
    report = verify(out)
    assert report.ok, [check for check in report.checks if not check.ok]
    about = json.loads((out / "training.json").read_bytes())["coded_vocabulary"]
    told = ("coded", "too_long", "without_text", "same_bytes", "not_learned")
    assert about["sha256"] == base.sha256() and sum(about[key] for key in told) == base.vocab_size
    long = [token for token in range(base.vocab_size) if len(base.token_bytes(token)) > 16]
    assert about["coded"] == (made.codes() >= 0).sum() > 20 and (made.codes(long) == -1).all()
    assert (made.codes(list(base.special_tokens.values())) == -1).all() and (made.classes() >= 0).sum() > 100
