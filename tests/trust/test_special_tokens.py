"""Text that spells special tokens stays text, in every registered tokenizer and by every way of encoding."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokframe
from tokframe.errors import ArtifactNotFoundError, ComponentImportError, TokframeError
from tokframe.plugins import host


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


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request):
    return tokframe.load(request.param)


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
        special.discard(tokenizer.special_tokens.get("<unk>"))  # the honest answer to what it does not know
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


def test_nor_in_another_process(tokenizer):
    again = pickle.loads(pickle.dumps(tokenizer))
    for text in attacks(again):
        assert not is_special(again, again.encode(text, False))


def test_allowing_one_allows_no_other_and_only_where_asked(tokenizer):
    names = list(tokenizer.special_tokens)
    if not names:
        pytest.skip("has none")
    first = names[0]
    text = "a" + "".join(names) + "b"
    ids = tokenizer.encode(text, False, allowed_special={first})
    assert is_special(tokenizer, ids) == {tokenizer.special_tokens[first]}
    assert not is_special(tokenizer, tokenizer.encode(text, False))
    with pytest.raises(TokframeError, match="no special token"):
        tokenizer.encode("x", allowed_special={"<never>"})


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.sampled_from(["<", ">", "/", "s", "pad", "unk", "<s>", "</s>", "<pad>", "<unk>", " "])).map("".join))
def test_pieces_of_special_tokens_in_any_order_stay_text(name, text):
    tokenizer = tokframe.load(name) if name not in LOADED else LOADED[name]
    LOADED[name] = tokenizer
    assert not is_special(tokenizer, tokenizer.encode(text, False))


LOADED: dict[str, tokframe.ITokenizer] = {}
