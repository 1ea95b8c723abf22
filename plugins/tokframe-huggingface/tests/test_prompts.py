"""Models of transformers: prompts that `generate()` goes on from, scores of text, masks of completions."""

from __future__ import annotations

import warnings

import pytest
from support.likelihoods import exact_next
from tokframe_dictionary.tokenizer import DictionaryTokenizer
from tokframe_dictionary.vocabulary.table import Vocabulary

import tokframe
from tokframe.errors import EncodingError, UnsupportedError

torch = pytest.importorskip("torch")
with warnings.catch_warnings():  # what transformers and its dependencies warn of on import is theirs
    warnings.simplefilter("ignore")
    from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor, LogitsProcessorList

from tokframe_huggingface import loglikelihood, mask_completion, prepare, score_pairs  # noqa: E402
from tokframe_huggingface.scoring import logits_of, start_of  # noqa: E402

pytestmark = pytest.mark.slow

SEGMENTS = [b"the", b" the", b"he ", b"cat", b"the cat", b" cat sat", b"at", b"sat on", b"on the", b"\n\n"]
TEXT = "The cat sat on the mat, and the dog saw it. " * 3


@pytest.fixture(scope="module")
def small():
    return DictionaryTokenizer(Vocabulary.build(SEGMENTS), config={})


def causal(vocab_size, context=64):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = LlamaConfig(
        **sizes,
        vocab_size=vocab_size,
        max_position_embeddings=context,
        initializer_range=0.3,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def written(model, tokenizer, text, *, rows=3, weigh=True, size=12):
    ids, processor = prepare(tokenizer, text, model if weigh else None)
    assert isinstance(processor, LogitsProcessor)
    given = torch.tensor([ids])
    found = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        logits_processor=LogitsProcessorList([processor]),
        max_new_tokens=size,
        do_sample=True,
        top_k=0,
        num_return_sequences=rows,
    )
    return [[token for token in row if token > 3] for row in found.tolist()]


@pytest.mark.parametrize("weigh", [True, False])
@pytest.mark.parametrize(
    "text", ["The answer is one of", "Question?\nAnswer:", "don'", "It was the best of ti", "", "漢"]
)
def test_generate_writes_texts_that_begin_with_the_prompt_in_their_own_ids(text, weigh):
    tokenizer = tokframe.load("autoencoder-fsq")
    model = causal(tokenizer.vocab_size + 32)  # padded, as many are
    for ids in written(model, tokenizer, text, weigh=weigh):
        assert tokenizer.decode_bytes(ids).startswith(text.encode())
        assert tokenizer.is_canonical(ids)


def test_bpe_goes_on_from_its_prompts_too():
    tokenizer = tokframe.load("bpe")
    model = causal(tokenizer.vocab_size)
    for text in ("The answer is one of", "don'", "x  "):
        for ids in written(model, tokenizer, text):
            assert tokenizer.decode_bytes(ids).startswith(text.encode())


@pytest.mark.parametrize("text", ["the cat", "on the ca", "sa"])
def test_what_comes_next_is_sampled_as_all_texts_have_it_that_begin_so(small, text):
    model = causal(small.vocab_size)
    ids, processor = prepare(small, text, model)
    stay = small.prompt(text).ids
    wanted = exact_next(small, logits_of(model, small), text, head=ids[: len(ids) - len(stay)], without=())
    assert len(wanted) > 100
    known = {}

    def after(row):
        if row not in known:
            given = torch.tensor([row])
            with torch.no_grad():
                scores = processor(given, model(given).logits[:, -1])
            known[row] = scores[0].double().softmax(-1)
        return known[row]

    for following, probability in wanted.items():
        found, row = 1.0, tuple(ids)
        for token in following[len(stay) :]:
            found *= float(after(row)[token])
            row = (*row, token)
        assert found == pytest.approx(probability, abs=1e-6)


def test_a_row_of_another_prompt_is_refused(small):
    ids, processor = prepare(small, "on the mat", causal(small.vocab_size))
    with pytest.raises(EncodingError, match="one prompt at a time"):
        processor(torch.tensor([[5] * len(ids)]), torch.zeros(1, small.vocab_size))
    with pytest.raises(EncodingError, match="scores of 10 ids"):
        processor(torch.tensor([ids]), torch.zeros(1, 10))


def test_a_model_of_another_tokenizer_is_refused(small):
    with pytest.raises(UnsupportedError, match="trained with another tokenizer"):
        prepare(small, "on the mat", causal(40))
    with pytest.raises(UnsupportedError, match="trained with another tokenizer"):
        loglikelihood(causal(40), small, "a", "b")


def test_a_prompt_that_is_no_text_is_refused(small):
    with pytest.raises(EncodingError, match="surrogate"):
        prepare(small, "a\ud800")


def test_a_prompt_longer_than_the_context_is_refused(small):
    model = causal(small.vocab_size, context=16)
    assert len(prepare(small, "x" * 16, model)[0]) == 16
    with pytest.raises(EncodingError, match=r"has 17 ids, and the model's context holds 16\. Give the end"):
        prepare(small, "x" * 17, model)
    assert len(prepare(small, "x" * 17)[0]) == 17  # without the model its limit is unknown


@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe"])
def test_scores_add_up_at_every_cut_and_past_the_context(name):
    tokenizer = tokframe.load(name)
    model = causal(tokenizer.vocab_size + 8, context=16)
    cuts = range(0, len(TEXT), 9)
    pairs = [pair for cut in cuts for pair in (("", TEXT[:cut]), (TEXT[:cut], TEXT[cut:]))]
    scores = [score.value for score in score_pairs(model, tokenizer, pairs)]
    whole = loglikelihood(model, tokenizer, "", TEXT)
    for first, second in zip(scores[::2], scores[1::2], strict=True):
        assert first + second == pytest.approx(whole, abs=1e-3 if abs(whole) > 1000 else 1e-5 * abs(whole))


def test_a_text_is_read_behind_the_id_that_begins_one_and_training_goes_on_after(small):
    model = causal(small.vocab_size).train()
    text = "xyz" * 4  # no segment holds any of it, so nothing is open but by its own bytes
    ids = [start_of(small, model), *small.encode(text)]
    score = loglikelihood(model, small, "", text)
    assert model.training
    model.eval()
    with torch.no_grad():
        values = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    wanted = sum(float(values[place, token]) for place, token in enumerate(ids[1:]))
    assert score == pytest.approx(wanted, abs=1e-5)


def texts_of(tokenizer, found):
    kept = [token for token, mask in zip(found["input_ids"], found["completion_mask"], strict=True) if mask]
    return tokenizer.decode_bytes(found["input_ids"]).decode(), tokenizer.decode_bytes(kept).decode()


@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
@pytest.mark.parametrize(
    ("prompt", "completion"), [("Answer:", " A"), ("one of", " the two"), ("é", "\u0301x"), ("", "x"), ("x", "")]
)
def test_masks_keep_what_holds_a_byte_of_the_completion(name, prompt, completion):
    tokenizer = tokframe.load(name)
    found = mask_completion(tokenizer, prompt, completion)
    assert found["input_ids"] == [*tokenizer.encode(prompt + completion, False), 3]
    assert len({len(part) for part in found.values()}) == 1
    first = found["completion_mask"].index(1)
    assert found["completion_mask"] == [0] * first + [1] * (len(found["input_ids"]) - first)
    spans = tokenizer.offsets(prompt + completion).byte_spans.tolist()
    border = len(prompt.encode())
    assert all(end <= border for _, end in spans[:first]) and all(end > border for _, end in spans[first:])
    assert found["labels"] == [-100] * first + found["input_ids"][first:]
    assert set(found["attention_mask"]) == {1}


def test_an_id_that_crosses_the_border_is_trained_on():
    tokenizer = tokframe.load("autoencoder-fsq")
    found = mask_completion(tokenizer, "Answer:", " A", end=False)
    whole, kept = texts_of(tokenizer, found)
    assert (whole, kept) == ("Answer: A", ": A")
    assert mask_completion(tokenizer, "Answer:", " A", end=False)["input_ids"] == tokenizer.encode("Answer: A")


def test_masks_refuse_what_is_no_text_and_an_end_that_is_not_there(small):
    for prompt, completion in ((5, "a"), ("a", None), (b"a", "b")):
        with pytest.raises(EncodingError, match="is a text"):
            mask_completion(small, prompt, completion)

    class Endless(DictionaryTokenizer):
        special_tokens = {"<pad>": 0}  # noqa: RUF012

    endless = Endless(Vocabulary.build(SEGMENTS), config={})
    with pytest.raises(UnsupportedError, match="end=False"):
        mask_completion(endless, "a", "b")
    assert mask_completion(endless, "a", "b", end=False)["completion_mask"] == [0, 1]
