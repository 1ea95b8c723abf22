"""TokframeTokenizer answers as the exported fast tokenizer does, whatever it is asked."""

from __future__ import annotations

import json
import pickle
import warnings

import pytest
from tokframe_huggingface.export import write

import tokframe
from tokframe.errors import ArtifactCorruptError, ArtifactNotFoundError, UnsupportedError

pytestmark = pytest.mark.slow

with warnings.catch_warnings():  # what transformers and its dependencies warn of on import is theirs
    warnings.simplefilter("ignore")
    pytest.importorskip("transformers", minversion="5")
    from tokframe_huggingface import TokframeTokenizer

TEXTS = [
    "the cat sat on the mat\n",
    "",
    "naïve café 漢字かな हिन्दी 🙂👩‍👩‍👧‍👦 e\u0301\x00",
    "a </s> in <s>text</s> <unk><pad>",
    " two  spaces\t\n\n\r\nend \n",
    "x" * 5000 + "\n" * 9 + "é" * 2500,
]


@pytest.fixture(scope="module", params=["autoencoder-fsq", "bpe"])
def both(request, auto_tokenizer, tmp_path_factory):
    """The class and the export that it wrote."""
    made = TokframeTokenizer.from_tokframe(request.param)
    folder = tmp_path_factory.mktemp("pretrained")
    made.save_pretrained(folder)
    return made, auto_tokenizer.from_pretrained(folder)


@pytest.fixture
def fails_by_export(monkeypatch):
    """The export encodes nothing: what is asked has to come from tokframe."""

    def fail(*args, **kwargs):
        raise AssertionError("the export was asked")

    monkeypatch.setattr("transformers.PreTrainedTokenizerFast._encode_plus", fail)


def same(both, *args, **kwargs):
    ours, theirs = (one(*args, **kwargs) for one in both)
    assert list(ours) == list(theirs)
    for key in theirs:
        found, expected = ours[key], theirs[key]
        assert type(found) is type(expected), key
        if not isinstance(found, list):
            assert found.dtype == expected.dtype
            found, expected = found.tolist(), expected.tolist()
        assert found == expected, key
    return ours, theirs


ASKED = [
    {},
    {"add_special_tokens": False, "return_token_type_ids": True, "return_attention_mask": False},
    {"padding": True, "return_offsets_mapping": True, "return_special_tokens_mask": True, "return_length": True},
    {"padding": "max_length", "max_length": 40, "truncation": True, "return_tensors": "np"},
    {"padding": True, "max_length": 8, "truncation": True, "padding_side": "left", "pad_to_multiple_of": 4},
    {"padding": True, "max_length": 7, "truncation": "only_first", "return_tensors": "pt", "return_length": True},
    {"max_length": 5, "truncation": True, "return_offsets_mapping": True},
    {"max_length": 0, "truncation": True, "padding": True},
    {"split_special_tokens": True, "return_offsets_mapping": True},
    {"split_special_tokens": False, "return_offsets_mapping": True},
]


@pytest.mark.parametrize("kwargs", ASKED, ids=range(len(ASKED)))
def test_batches_and_single_texts_are_the_same(both, kwargs):
    same(both, TEXTS, **kwargs)
    for text in TEXTS[:4]:
        same(both, text, **kwargs)


def test_plain_batches_do_not_use_the_export(both, request):
    rows = both[1](TEXTS, padding=True, return_offsets_mapping=True)
    request.getfixturevalue("fails_by_export")
    found = both[0](TEXTS, padding=True, return_offsets_mapping=True)
    assert {key: found[key] for key in found} == {key: rows[key] for key in rows}


def test_sides_and_settings_of_the_tokenizer_are_followed(both):
    for tokenizer in both:
        tokenizer.padding_side = tokenizer.truncation_side = "left"
        tokenizer.model_max_length = 6
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    try:
        same(both, TEXTS, padding=True, truncation=True, return_offsets_mapping=True)
    finally:
        for tokenizer in both:
            tokenizer.padding_side = tokenizer.truncation_side = "right"
            tokenizer.model_max_length = int(1e30)
            tokenizer.model_input_names = ["input_ids", "attention_mask"]


def test_what_only_the_export_does_is_the_same(both):
    same(both, TEXTS[:3], TEXTS[2:5], padding=True, return_token_type_ids=True, return_offsets_mapping=True)
    same(both, TEXTS, max_length=6, stride=2, truncation=True, return_overflowing_tokens=True, padding=True)
    same(both, [["the", "cat"], ["naïve"]], is_split_into_words=True)
    same(both, text="a b", text_target="c d")
    for wrong in ([], [1], None, [["a", 1]]):
        errors = []
        for one in both:
            with pytest.raises((TypeError, ValueError, IndexError)) as caught:
                one(wrong)
            errors.append(caught.type)
        assert errors[0] is errors[1]


def test_ragged_tensors_are_refused_as_there(both):
    for one in both:
        with pytest.raises(ValueError, match="Unable to create tensor"):
            one(TEXTS, return_tensors="pt")


def test_words_tokens_and_characters_of_a_batch_are_those_of_the_export(both):
    ours, theirs = same(both, TEXTS[:3], padding=True)
    assert ours.is_fast and ours.n_sequences == theirs.n_sequences == 1
    for place in range(3):
        assert ours.word_ids(place) == theirs.word_ids(place)
        assert ours.tokens(place) == theirs.tokens(place)
        assert ours.sequence_ids(place) == theirs.sequence_ids(place)
    assert ours.char_to_token(0, 5) == theirs.char_to_token(0, 5)
    assert both[0].tokenize("the cat") == both[1].tokenize("the cat")
    assert pickle.loads(pickle.dumps(ours))["input_ids"] == theirs["input_ids"]


def test_decoding_vocabulary_and_special_tokens_are_the_same(both):
    ours, theirs = both
    ids = theirs(TEXTS)["input_ids"]
    for skip in (True, False):
        assert ours.batch_decode(ids, skip_special_tokens=skip) == theirs.batch_decode(ids, skip_special_tokens=skip)
    assert ours.get_vocab() == theirs.get_vocab() and len(ours) == len(theirs)
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.all_special_ids == theirs.all_special_ids
    assert ours.encode("the cat") == theirs.encode("the cat")


def test_tokens_added_later_and_chat_templates_are_the_same(both):
    ours, theirs = (pickle.loads(pickle.dumps(one)) for one in both)
    from tokenizers import AddedToken

    for one in (ours, theirs):
        one.add_special_tokens({"additional_special_tokens": ["<|turn|>", "<|turn|>s"]})
        one.add_tokens(["zzz", AddedToken(" qq", rstrip=True, normalized=False), AddedToken("w1", normalized=False)])
        one.chat_template = "{% for m in messages %}<|turn|>{{ m['content'] }}{{ eos_token }}{% endfor %}"
    chat = [{"role": "user", "content": "hi zzz </s>"}]
    assert ours.apply_chat_template(chat)["input_ids"] == theirs.apply_chat_template(chat)["input_ids"]
    texts = [*TEXTS, "a<|turn|>sb w1<|turn|> zzz", "an qq  b <s>", "zz", "w1"]
    for split in (True, False):
        same((ours, theirs), texts, split_special_tokens=split, return_offsets_mapping=True)
        same((ours, theirs), texts, split_special_tokens=split)


def test_a_template_of_borders_is_followed(both):
    ours, theirs = (pickle.loads(pickle.dumps(one)) for one in both)
    for one in (ours, theirs):
        one.add_bos_token = one.add_eos_token = True
    for kwargs in ({}, {"max_length": 4, "truncation": True, "padding": True}, {"add_special_tokens": False}):
        same((ours, theirs), TEXTS, return_special_tokens_mask=True, return_offsets_mapping=True, **kwargs)


def test_a_folder_is_read_by_auto_tokenizer_and_by_the_class(both, tmp_path):
    ours, theirs = both
    assert isinstance(ours, TokframeTokenizer) and not isinstance(theirs, TokframeTokenizer)
    ours.chat_template = "{{ messages[0]['content'] }}"
    try:
        names = ours.save_pretrained(tmp_path / "again")
    finally:
        ours.chat_template = None
    assert str(tmp_path / "again" / "tokframe" / "manifest.json") in names
    again = TokframeTokenizer.from_pretrained(str(tmp_path / "again"), model_max_length=9)
    assert again.model_max_length == 9 and again.chat_template == "{{ messages[0]['content'] }}"
    assert again(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]
    config = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_a_folder_of_a_hub_is_fetched_with_the_artifact(both, tmp_path, monkeypatch):
    asked = {}

    def snapshot(name, **kwargs):
        asked.update(kwargs, name=name)
        return str(tmp_path)

    both[0].save_pretrained(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    found = TokframeTokenizer.from_pretrained("someone/model", revision="v1")
    assert asked["name"] == "someone/model" and asked["revision"] == "v1"
    assert found("the cat")["input_ids"] == both[1]("the cat")["input_ids"]


def test_an_export_alone_and_another_tokenizer_beside_it_are_refused(tmp_path):
    bpe = tokframe.load("bpe")
    write(bpe, tmp_path)
    with pytest.raises(ArtifactNotFoundError, match="AutoTokenizer reads"):
        TokframeTokenizer.from_pretrained(tmp_path)
    tokframe.load("autoencoder-fsq").save(tmp_path / "tokframe")
    with pytest.raises(ArtifactCorruptError, match="different ids"):
        TokframeTokenizer.from_pretrained(tmp_path)
    with pytest.raises(UnsupportedError, match=r"tokframe\.train"):
        TokframeTokenizer.from_tokframe(bpe).train_new_from_iterator(["a"], 300)
