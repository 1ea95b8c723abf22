"""Masks of completions: which ids of a prompt and its completion a model is fine-tuned on."""

from __future__ import annotations

import numpy as np

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.roles import token_of

__all__ = ["IGNORED", "mask_completion"]

#: The label of an id that is not trained on, to torch and transformers.
IGNORED = -100


def mask_completion(
    tokenizer: ITokenizer, prompt: str, completion: str, *, end: bool = True, add_special: bool = True
) -> dict[str, list[int]]:
    """Return the ids of prompt and completion as one text, and which of them hold bytes of the completion.

    `input_ids` are those of the whole, as a model reads them later; `attention_mask` is 1 for each. `completion_mask`
    is 1 for every id that holds at least a byte of the completion, the one that crosses the border included, and for
    the end; TRL reads it. `labels` are the ids where it is 1, else -100; transformers reads them. `end` adds the token
    that ends a text, such as `</s>`, which a model has to learn in order to stop; `add_special` what `template()` puts
    in front.

    Raises: EncodingError; UnsupportedError where `end` is asked for and no special token ends a text, or where the
    tokenizer does not say which bytes an id stands for.
    """
    for name, text in (("prompt", prompt), ("completion", completion)):
        if not isinstance(text, str):
            raise EncodingError(f"{name} is a text, got {type(text).__name__}")
    found = tokenizer.offsets(prompt + completion)
    before = tokenizer.template()[0] if add_special else ()
    ids = [*before, *found.ids.tolist()]
    border = len(prompt.encode())
    mask = [0] * len(before) + (found.byte_spans[:, 1] > border).astype(np.int64).tolist()
    if end:
        ids.append(_end_id(tokenizer))
        mask.append(1)
    return {
        "input_ids": ids,
        "attention_mask": [1] * len(ids),
        "completion_mask": mask,
        "labels": [token if kept else IGNORED for token, kept in zip(ids, mask, strict=True)],
    }


def _end_id(tokenizer: ITokenizer) -> int:
    special = tokenizer.special_tokens
    for role in ("eos", "sep"):
        if text := token_of(role, special):
            return special[text]
    raise UnsupportedError(
        f"{tokenizer.name or type(tokenizer).__name__} has no special token that ends a text (it has "
        f"{', '.join(special) or 'none'}). Mask without one: mask_completion(..., end=False)",
        capability="special_tokens",
    )
