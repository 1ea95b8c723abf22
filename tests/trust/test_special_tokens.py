"""Text that spells special tokens stays text: in every tokenizer, registered or imported, by every way of encoding."""

from __future__ import annotations

import functools
import json
import warnings
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.imported import byte_level, sentencepiece_model, tiktoken_file, unigram, word_pieces

import tokframe
from tokframe.errors import ArtifactNotFoundError, ComponentImportError, InvalidTokenError, TokframeError
from tokframe.plugins.discovery import host

pytestmark = pytest.mark.slow


def loadable() -> list[str]:
    """Return every registered tokenizer that ships something to load, third parties' included."""
    found = []
    for name in host().registry.names("tokenizer"):
        try:
            tokframe.load(name)
        except (ArtifactNotFoundError, ComponentImportError):
            continue
        found.append(name)
    return found


NAMES = loadable()
load_once = functools.cache(tokframe.load)
WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "the", "[", "]", "cls", "sep", "pad", "x", "y"]
#: The name of the file, what makes its contents, what it needs told beside it, and a special token it must know.
IMPORTED = {
    "imported byte-level": (
        "tokenizer.json",
        lambda: byte_level(("<", "s"), ["<s>", "</s>", "<|endoftext|>", "[CLS]"]).to_str().encode(),
        {},
        "<|endoftext|>",
    ),
    "imported word pieces": (
        "tokenizer.json",
        lambda: word_pieces(WORDS, ["[CLS]", "[SEP]", "[PAD]"]).to_str().encode(),
        {},
        "[CLS]",
    ),
    "imported unigram": ("tokenizer.json", lambda: unigram(["<s>", "</s>", "<pad>"]).to_str().encode(), {}, "</s>"),
    "imported merges": (
        "tokenizer.json",
        lambda: (
            byte_level(("<", "s"), ["<s>", "</s>"], merges=[("<s", ">"), ("<", "/"), ("</", "s"), ("</s", ">")])
            .to_str()
            .encode()
        ),
        {},
        "</s>",
    ),
    "imported tiktoken": (
        "small.tiktoken",
        lambda: tiktoken_file([b"<|", b"<|end"]),
        {"pattern": "gpt2", "special": {"<|end|>": 300, "<|fim|>": 301}},
        "<|end|>",
    ),
    "imported sentencepiece": (
        "small.model",
        lambda: sentencepiece_model("the cat < s > saw </ s the dog <pad on", pad_id=3),
        {},
        "</s>",
    ),
}


@pytest.fixture(scope="module", params=[*NAMES, *IMPORTED])
def tokenizer(request, tmp_path_factory):
    if request.param not in IMPORTED:
        return tokframe.load(request.param)
    name, make, options, known = IMPORTED[request.param]
    reading = pytest.importorskip("tokframe_huggingface.reading")
    if request.param == "imported tiktoken":
        pytest.importorskip("tiktoken")
    path = tmp_path_factory.mktemp("made") / name
    path.write_bytes(make())
    made = reading.read(path, **options)
    assert known in made.special_tokens
    return tokframe.load(made.save(tmp_path_factory.mktemp("saved") / "artifact"))  # as who imports one uses it


def attacks(tokenizer):
    for name in tokenizer.special_tokens:
        yield from (
            name,
            f"x{name}y",
            f" {name} ",
            name * 3,
            f"\n{name}\n",
            f"{name[:2]}{name}{name[2:]}",
            f"\x00{name}",
        )
    yield "".join(tokenizer.special_tokens)


def ids_of_every_way(tokenizer, text):
    yield tokenizer.encode(text, False)
    yield tokenizer.encode_array(text, False).tolist()
    yield tokenizer.encode_bytes(text.encode(), False)
    yield tokenizer.encode_raw(text.encode()).tolist()
    yield tokenizer.encode_batch([text], False)[0]
    yield tokenizer.encode_batch(["x", text] * 40, False, threads=2)[1]
    if "<pad>" in tokenizer.special_tokens:
        yield tokenizer.encode_batch_padded([text], False).ids[0].tolist()
    if tokenizer.capabilities.streaming:
        for size in (1, 3, 1000):
            stream = tokenizer.stream_encoder()
            parts = [stream.feed(text[start : start + size]) for start in range(0, len(text), size)]
            yield [token for part in parts for token in part] + stream.finish()
    if tokenizer.capabilities.offsets:
        yield tokenizer.offsets(text).ids.tolist()


def is_special(tokenizer, ids):
    special = set(tokenizer.special_tokens.values())
    if not tokenizer.capabilities.lossless:
        special.discard(tokenizer.unknown_id)  # the honest answer to what it does not know
    return special & set(ids)


def test_the_first_party_tokenizers_are_among_those_tested():
    assert {"autoencoder-fsq", "bpe", "word"} <= set(NAMES)


def test_special_token_text_never_becomes_a_special_id(tokenizer):
    for text in attacks(tokenizer):
        for ids in ids_of_every_way(tokenizer, text):
            assert not is_special(tokenizer, ids), (tokenizer.name, text, ids)
            if tokenizer.capabilities.lossless:
                assert tokenizer.decode(ids) == text, "and nothing of it is lost, special tokens skipped or not"
                assert tokenizer.decode(ids, skip_special=False) == text


def test_nor_in_an_export_read_by_auto_tokenizer(tokenizer, tmp_path):
    """Nor once transformers has saved it again: the setting that says so stays with it."""
    with warnings.catch_warnings():  # what transformers and its dependencies warn of on import is theirs
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
    export = pytest.importorskip("tokframe_huggingface.export")
    original = tokenizer
    try:
        data = export.to_json(original)
    except TokframeError:
        pytest.skip("has no form in Hugging Face's files")
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(export._config(original)), encoding="utf-8")
    first = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    first.save_pretrained(str(tmp_path / "again"))
    for found in (first, transformers.AutoTokenizer.from_pretrained(str(tmp_path / "again"))):
        texts = list(attacks(original))
        for text in texts:
            for ids in (
                found(text)["input_ids"],
                found.encode(text),
                found.convert_tokens_to_ids(found.tokenize(text)),
            ):
                assert not is_special(original, ids), (original.name, text, ids)
        assert not any(is_special(original, ids) for ids in found(texts)["input_ids"])


def test_nor_in_a_language_model_s_prompt_or_training_text(tokenizer):
    pytest.importorskip("torch")
    generation, tokens = pytest.importorskip("tokframe_lm.generation"), pytest.importorskip("tokframe_lm.data.tokens")
    storage = pytest.importorskip("tokframe_lm.storage")

    class AskedError(Exception):
        pass

    class Model:
        config = type("Config", (), {"context": 10_000})
        embedding = type("Embedding", (), {"table": staticmethod(lambda: None)})

        def parameters(self):
            yield np.zeros(1).view(type("Parameter", (np.ndarray,), {"device": "cpu"}))

        def asked(self, ids, *rest, **choice):
            raise AskedError(ids.tolist()[0])

        sample_next = logits_at = next_state = next_logits = asked

    for text in attacks(tokenizer):
        saved = storage.SavedModel(model=Model(), tokenizer=tokenizer, sha256="")
        if "<s>" in tokenizer.special_tokens:
            with pytest.raises(AskedError) as caught:
                next(generation.generate(saved, text, max_bytes=1))
            start, *ids = caught.value.args[0]
            assert start in tokenizer.special_tokens.values() and not is_special(tokenizer, ids)
        try:
            document = tokens.read_document(tokenizer, text)
        except TokframeError:
            continue
        assert not is_special(tokenizer, document.ids.tolist())


def test_allowing_one_allows_no_other_and_only_where_asked(tokenizer):
    names = list(tokenizer.special_tokens)
    if not names:
        pytest.skip("has none")
    first = names[-1]  # at the front some have their <unk>, which may also be an honest answer
    text = "a" + "".join(names) + "b"
    ids = tokenizer.encode(text, False, allowed_special={first})
    assert is_special(tokenizer, ids) == {tokenizer.special_tokens[first]}
    assert not is_special(tokenizer, tokenizer.encode(text, False))
    with pytest.raises(TokframeError, match="not a special token"):
        tokenizer.encode("x", allowed_special={"<never>"})


def test_true_and_false_are_no_ids(tokenizer):
    """Though Python and numpy take them for 1 and 0, which are special tokens."""
    yes = np.bool_(True)
    for position, ids in ((1, [5, True]), (0, (False, 5)), (2, [5, 0, yes, 1]), (0, [True]), (1, deque([1, False, 2]))):
        stream = tokenizer.stream_decoder(skip_special=False)
        for call in (tokenizer.decode, tokenizer.decode_bytes, stream.feed, lambda ids: tokenizer.decode_batch([ids])):
            with pytest.raises(InvalidTokenError, match=f"at position {position} is not an id") as caught:
                call(ids)
            assert caught.value.position == position
    for call in (tokenizer.token_bytes, tokenizer.check_token, tokenizer.stream_decoder().feed):
        with pytest.raises(TokframeError):
            call(True)
    assert tokenizer.decode([0, 1, 0], False) == tokenizer.decode(np.array([0, 1, 0]), False)


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.sampled_from(["<", ">", "/", "s", "pad", "unk", "<s>", "</s>", "<pad>", "<unk>", " "])).map("".join))
def test_pieces_of_special_tokens_in_any_order_stay_text(name, text):
    tokenizer = load_once(name)
    assert not is_special(tokenizer, tokenizer.encode(text, False))
