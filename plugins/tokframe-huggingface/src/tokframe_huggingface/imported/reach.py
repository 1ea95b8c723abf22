"""Reach: the models of Hugging Face `tokenizers` are kept from finding special tokens in text."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import Regex, Tokenizer, pre_tokenizers

from tokframe_huggingface.imported.common import from_library, refused

__all__ = ["BYTE", "guard"]

#: A piece that stands for a byte where the model falls back to bytes.
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_NEVER = -1e6  # a unigram piece of a lower score is on no best path but where nothing else spells its text


def guard(tokenizer: Tokenizer, data: Mapping[str, Any], special: Iterable[str], file: str) -> Tokenizer:
    """Return a tokenizer that finds no special token in text: the one that was made of `data` unless it finds one.

    BPE loses the merges that end in a special token's text. For the other models, which look pieces up, the text is
    cut in two before they see it; no piece spans a cut, whatever stands around it and whatever the normalizer does.
    Raises: ArtifactCorruptError for a token that this does not help.
    """
    model = data["model"]
    found = {text for text in special if _found_in_text(tokenizer.model, text, model, file)}
    if not found:
        return tokenizer
    if is_bpe := type(tokenizer.model).__name__ == "BPE":
        prefix = len(model.get("continuing_subword_prefix") or "")
        data = {**data, "model": {**model, "merges": [m for m in model["merges"] if _joined(m, prefix) not in found]}}
    made = Tokenizer.from_str(json.dumps(data))
    if not is_bpe or model.get("ignore_merges"):
        rests = defaultdict(list)
        for text in sorted(found):
            rests[text[0]].append("".join(map(_literal, text[1:])))
        pattern = "|".join(f"{_literal(first)}(?={'|'.join(rest)})" for first, rest in rests.items())
        cut: Any = pre_tokenizers.Split(Regex(pattern), "merged_with_previous")
        made.pre_tokenizer = pre_tokenizers.Sequence([cut] if made.pre_tokenizer is None else [made.pre_tokenizer, cut])
    return made


def _joined(merge: str | list[str], prefix: int) -> str:
    """Return the piece that a merge makes; older files have a merge as a text with a space."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left + right[prefix:]


def _found_in_text(pieces: Any, text: str, model: Mapping[str, Any], file: str) -> bool:
    """Return whether the model may find the piece `text`. Raises: ArtifactCorruptError if a cut would not help."""
    number = pieces.token_to_id(text)
    if number is None:
        return False
    try:  # BPE and longest-match find a piece inside of a text only if they find it in its own
        found = any(token.id == number for token in pieces.tokenize(text))
    except BaseException as cause:
        if not from_library(cause):
            raise
        found = False
    kind = type(pieces).__name__
    prefix = getattr(pieces, "continuing_subword_prefix", None) or ""
    suffix = getattr(pieces, "end_of_word_suffix", None) or ""
    if kind == "Unigram":
        found = found or model["vocab"][number][1] > _NEVER  # of others as likely, rounding may decide
    elif kind == "BPE" and (prefix or suffix):
        found = True  # its own text may be spelled otherwise than inside of another
    part = (prefix and text.startswith(prefix)) or (suffix and text.endswith(suffix))
    byte = model.get("byte_fallback") and BYTE.fullmatch(text)
    if (found and len(text) == 1) or part or byte:
        raise refused(
            file,
            f"has the special token {text!r}, which its model also gives to ordinary text. Change "
            '"special" to false for it in added_tokens, or give the token another text',
        )
    return found


def _literal(character: str) -> str:
    """Return a character as a regular expression of Oniguruma's."""
    return character if character.isascii() and character.isalnum() else f"\\x{{{ord(character):X}}}"
