"""Small models of transformers with word-level tokenizers, made without tokframe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

WORDS = ["the", "of", "and", "to", "in", "a", "is", "that", "it", "was", "I", "for", "on", "with", "cat", "sat"]
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[BOS]": 2, "[EOS]": 3}
MASKED = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}


def word_level(special: Iterable[str] = SPECIAL) -> Any:
    """Return a word-level tokenizer made without tokframe, white space included."""
    vocab = {text: number for number, text in enumerate([*special, " ", "\n", ".", ",", *WORDS])}
    made = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\s|[^\w\s]"), "removed", invert=True)
    return made


def model_of(kind: str, size: int) -> Any:
    """Return an untrained GPT-2, BERT or Llama of so many ids."""
    torch.manual_seed(0)
    ids = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    llama = {**shape, "max_position_embeddings": 32, **ids}
    if kind == "gpt2":
        return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=32, **ids))
    if kind == "bert":
        return BertForMaskedLM(BertConfig(vocab_size=size, max_position_embeddings=32, pad_token_id=0, **shape))
    return LlamaForCausalLM(LlamaConfig(vocab_size=size, tie_word_embeddings=kind == "llama-tied", **llama))
