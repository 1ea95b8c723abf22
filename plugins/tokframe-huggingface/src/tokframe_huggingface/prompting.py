"""Prompts for `generate()` of transformers: the ids that stay, and a processor that has the rest written."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

import tokframe
from tokframe.errors import EncodingError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.bigrams import ImpossiblePairs
from tokframe.tokenizer.likelihood import OpenEnd
from tokframe.tokenizer.results import IntArray
from tokframe_huggingface.scoring import context_of, limit_of, logits_of, start_of

__all__ = ["PromptProcessor", "prepare"]


def prepare(
    tokenizer: ITokenizer | str, text: str, model: Any = None, *, add_special: bool = True
) -> tuple[list[int], PromptProcessor]:
    """Return the ids of a prompt that stay, and the processor with which `model.generate` goes on from them.

    The processor has the bytes written first whose ids are open, and no ids that the tokenizer would not give to what
    is written. With the model it weighs each id by how likely the model finds what is left of the prompt behind it: at
    temperature 1, without `top_k` and `top_p`, the text is distributed as texts of the model are that begin with the
    prompt. Without it, ids that cannot be are masked and no more.

    Where no id stays, the id that begins a text does, as `generate` needs one; a model has to be given for it, or the
    tokenizer a special token of that role. Raises: EncodingError, also where the prompt is longer than the model's
    context; UnsupportedError where the model has fewer ids than the tokenizer.
    """
    tokenizer = tokframe.load(tokenizer) if isinstance(tokenizer, str) else tokenizer
    prompt = tokenizer.prompt(text, add_special=add_special)
    head = [] if prompt.ids else [start_of(tokenizer, model)]
    ids = [*head, *prompt.ids]
    processor = PromptProcessor(tokenizer, OpenEnd(prompt), ids)
    if model is not None:
        limit = limit_of(model)
        if limit is not None and len(ids) > limit:
            raise EncodingError(
                f"the prompt has {len(ids):,} ids, and the model's context holds {limit:,}. Give the end of the prompt "
                "only, or a model with a longer context"
            )
        processor.weigh(model, head)
    return ids, processor


class PromptProcessor(LogitsProcessor):
    """Lets `generate` write only texts that begin with a prompt, in the ids that its tokenizer gives them.

    For rows that all begin with the ids of that prompt.
    """

    def __init__(self, tokenizer: ITokenizer, end: OpenEnd, ids: list[int]) -> None:
        self.tokenizer, self.end, self.ids = tokenizer, end, ids
        self._textless = tokenizer.textless_ids
        self._weighed = False

    def weigh(self, model: Any, head: list[int]) -> None:
        """Weigh the ways from the end of the prompt by how likely the model finds each."""
        self._weighed = True
        self.end.weigh(
            self.tokenizer,
            logits_of(model, self.tokenizer),
            head=head,
            context=context_of(model),
            never=self._never,
        )

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores (rows, ids) with what cannot come next at minus infinity. Raises: EncodingError."""
        found = torch.full_like(scores, -torch.inf)
        size = self.tokenizer.vocab_size
        if scores.shape[-1] < size:
            raise EncodingError(f"scores of {scores.shape[-1]:,} ids for a tokenizer of {size:,}")
        for number, row in enumerate(input_ids.tolist()):
            if row[: len(self.ids)] != self.ids:
                raise EncodingError(
                    f"row {number} does not begin with the ids of the prompt, {str(self.ids)[:60]}; give generate() "
                    "the ids that prepare() returned, one prompt at a time"
                )
            written = tuple(row[len(self.ids) :])
            found[number, :size] = scores[number, :size]
            if written and written[-1] in self._textless:
                continue  # this row has ended
            node = self.end.nodes.get(written)
            if node is not None and not node.whole:
                found[number] = -torch.inf
                found[number, node.beyond] = scores[number, node.beyond]
            for child, behind in node.children.items() if node is not None else ():
                found[number, child] = scores[number, child] + (behind.mass if self._weighed else 0.0)
            never = torch.from_numpy(self._never(row).astype(np.int64)).to(scores.device)
            found[number, never] = -torch.inf
        return found

    def _never(self, ids: Any) -> IntArray:
        """Return the ids that never follow: all that the search knows of, else those that the last id rules out."""
        never = self.tokenizer.never_next(ids)
        if len(never) or self._pairs is None or not len(ids):
            return never
        return self._pairs.after(ids[-1])

    @cached_property
    def _pairs(self) -> ImpossiblePairs | None:
        return self.tokenizer.impossible_pairs()
