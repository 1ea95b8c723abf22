"""The exporter "huggingface": write what `transformers.AutoTokenizer` reads, and compare it with the original.

The content of `tokenizer.json` is left to `tokenizer_json`. Of Hugging Face only the library `tokenizers` is needed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokframe.errors import TokframeError
from tokframe.plugins.protocols import Check
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe_huggingface.tokenizer_json import FILE, to_json

__all__ = ["CONFIG", "compare", "export", "samples"]

CONFIG = "tokenizer_config.json"
_ROLES = {
    "pad_token": ("<pad>", "[PAD]"),
    "unk_token": ("<unk>", "[UNK]"),
    "bos_token": ("<s>", "<|begin_of_text|>", "<bos>"),
    "eos_token": ("</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>"),
}
#: Borders of lines and of the blocks that overlong lines are cut into.
_LONG_LINES = "x" * 5000 + "\n" + "é" * 3000 + "\n" * 5000 + "中" * 1400 + " " * 4095 + "\n\nend"
SAMPLE_CHARS = 100_000  # of the standard library's source, on which an export is checked


def export(tokenizer: ITokenizer, folder: Path) -> list[Check]:
    """Write `tokenizer.json` and `tokenizer_config.json` into `folder`; return the comparison with the original.

    Raises: UnsupportedError for a tokenizer that cannot be exported; OSError.
    """
    data = to_json(tokenizer)
    (folder / FILE).write_text(_json(data), encoding="utf-8")
    (folder / CONFIG).write_text(_json(_config(tokenizer), indent=2), encoding="utf-8")
    return compare(tokenizer, folder, samples())


def samples() -> Iterator[str]:
    """Yield the texts an export is checked on: hard texts, then lines of the standard library's source."""
    from tokframe.corpus.files import Corpus

    yield from (*HARD_TEXTS, _LONG_LINES)
    left = SAMPLE_CHARS
    try:
        for document in Corpus.open(["stdlib:heldout"]).documents():
            for line in document.splitlines(keepends=True):
                left -= len(line)
                if left < 0:
                    return
                yield line
    except (TokframeError, OSError):  # a Python without its source
        return


def compare(tokenizer: ITokenizer, folder: Path, texts: Iterator[str]) -> list[Check]:
    """Return whether an exported tokenizer has the original's ids, number of ids, offsets and text."""
    from tokenizers import Tokenizer

    written = Tokenizer.from_file(str(folder / FILE))
    written.encode_special_tokens = True  # as `split_special_tokens` in the config does for transformers
    special = {*tokenizer.special_tokens.values()}
    wrong: dict[str, list[str]] = {name: [] for name in ("ids", "number of ids", "offsets", "text")}
    total = 0
    while batch := list(itertools.islice(texts, 1000)):
        total += len(batch)
        for text, found in zip(batch, written.encode_batch(batch, add_special_tokens=True), strict=True):
            ids = tokenizer.encode(text)
            same = {
                "ids": found.ids == ids,
                "number of ids": len(found.ids) == len(ids),
                "text": written.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids, skip_special=False),
            }
            if tokenizer.capabilities.offsets and same["ids"] and not special & {*ids}:
                same["offsets"] = found.offsets == [tuple(span) for span in tokenizer.offsets(text).char_spans.tolist()]
            for name, is_same in same.items():
                if not is_same:
                    wrong[name].append(text)
    return [Check(name=name, ok=not found, detail=_detail(found, total)) for name, found in wrong.items()]


def _detail(wrong: list[str], total: int) -> str:
    if not wrong:
        return f"the same for all of {total:,} texts"
    return f"different for {len(wrong):,} of {total:,} texts, e.g. {min(wrong, key=len)!r:.60}"


def _config(tokenizer: ITokenizer) -> dict[str, Any]:
    """Return `tokenizer_config.json`; `split_special_tokens` makes `<s>` in a text three characters, as it is here."""
    special = tokenizer.special_tokens
    present = {role: [name for name in names if name in special] for role, names in _ROLES.items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "padding_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
        **{role: names[0] for role, names in present.items() if names},
    }


def _json(data: Any, indent: int | None = None) -> str:
    return json.dumps(data, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":")) + "\n"
