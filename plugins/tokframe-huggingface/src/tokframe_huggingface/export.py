"""The exporter "huggingface": write what `transformers.AutoTokenizer` reads, and compare it with the original.

The content of `tokenizer.json` is left to `tokenizer_json`. Of Hugging Face only the library `tokenizers` is needed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokframe.errors import TokframeError
from tokframe.plugins.protocols import Check
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.hard_texts import HARD_TEXTS
from tokframe_huggingface.tokenizer_json import FILE, to_json

__all__ = ["CONFIG", "compare", "detail", "export", "samples", "set_tokenizer_class", "write"]

CONFIG = "tokenizer_config.json"
_CLASS = "PreTrainedTokenizerFast"
_ROLES = ("pad", "unk", "bos", "eos", "cls", "sep", "mask")
_PROCESSORS = ("BertProcessing", "RobertaProcessing")  # they name their tokens by role
#: Borders of lines and of the blocks that overlong lines are cut into.
_LONG_LINES = "x" * 5000 + "\n" + "é" * 3000 + "\n" * 5000 + "中" * 1400 + " " * 4095 + "\n\nend"
SAMPLE_CHARS = 100_000  # of the standard library's source, on which an export is checked


def export(tokenizer: ITokenizer, folder: Path, *, special_tokens: str = "text") -> list[Check]:
    """Write `tokenizer.json` and `tokenizer_config.json` into `folder`; return the comparison with the original.

    `special_tokens` is what transformers makes of a special token's text in a text: "text" as tokframe does; "found",
    its id, without which neither chat templates nor special tokens added later work; or "auto": found, but text for a
    tokenizer that came as a `tokenizer.json`, as the model that it belongs to already obeys its special tokens.

    Raises: UnsupportedError for a tokenizer that cannot be exported; OSError.
    """
    found = write(tokenizer, folder, special_tokens=special_tokens)
    return compare(tokenizer, folder, samples(), found=found)


def write(tokenizer: ITokenizer, folder: Path, *, special_tokens: str = "text") -> bool:
    """Write the files of `export` and no more; return whether special tokens are found in texts."""
    data = to_json(tokenizer)
    found = special_tokens == "found" or (special_tokens == "auto" and FILE not in tokenizer.model().files)
    (folder / FILE).write_text(_json(data), encoding="utf-8")
    (folder / CONFIG).write_text(_json(_config(tokenizer, found=found), indent=2), encoding="utf-8")
    return found


def set_tokenizer_class(config: Path) -> None:
    """Have a `tokenizer_config.json` name the class that every version of transformers reads `tokenizer.json` with."""
    data = {**json.loads(config.read_text(encoding="utf-8")), "tokenizer_class": _CLASS}
    config.write_text(_json(data, indent=2), encoding="utf-8")


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


def compare(tokenizer: ITokenizer, folder: Path, texts: Iterator[str], *, found: bool = False) -> list[Check]:
    """Return whether an exported tokenizer has the original's ids, number of ids, offsets and text.

    `found` compares with what the original makes of texts whose special tokens are allowed.
    """
    from tokenizers import Tokenizer

    written = Tokenizer.from_str((folder / FILE).read_text(encoding="utf-8"))  # a path need not be UTF-8
    written.encode_special_tokens = not found  # as `split_special_tokens` in the config does for transformers
    added = {token.content for token in written.get_added_tokens_decoder().values()}
    special = {text: number for text, number in tokenizer.special_tokens.items() if text in added}
    allowed = [*special] if found else []
    wrong: dict[str, list[str]] = {name: [] for name in ("ids", "number of ids", "offsets", "text")}
    total = 0
    while batch := list(itertools.islice(texts, 1000)):
        total += len(batch)
        for text, theirs in zip(batch, written.encode_batch(batch, add_special_tokens=True), strict=True):
            ids = tokenizer.encode(text, allowed_special=allowed)
            same = {
                "ids": theirs.ids == ids,
                "number of ids": len(theirs.ids) == len(ids),
                "text": written.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids, skip_special=False),
            }
            if tokenizer.capabilities.offsets and same["ids"] and not {*special.values()} & {*ids}:
                same["offsets"] = theirs.offsets == [
                    tuple(span) for span in tokenizer.offsets(text).char_spans.tolist()
                ]
            for name, is_same in same.items():
                if not is_same:
                    wrong[name].append(text)
    checks = [Check(name=name, ok=not differ, detail=detail(differ, total)) for name, differ in wrong.items()]
    named = {text: number for text, number in special.items() if number != tokenizer.unknown_id}  # any text may be it
    return [*checks, _special_check(written, named, found)]


def _special_check(written: Any, special: Mapping[str, int], found: bool) -> Check:
    """Return whether the texts of special tokens become what they should in what was written."""
    names = {number: text for text, number in special.items()}
    ids = {number: {*written.encode(f"a{text}b", add_special_tokens=False).ids} for number, text in names.items()}
    wrong = [names[number] for number in names if ids[number] & names.keys() != ({number} if found else set())]
    detail = (
        "found in texts, as chat templates need; --special-tokens text keeps them text"
        if found
        else "text in texts; chat templates need --special-tokens found"
    )
    return Check(name="special tokens", ok=not wrong, detail=f"not for {wrong[0]!r}: {detail}" if wrong else detail)


def detail(wrong: list[str], total: int) -> str:
    """Return how many of the texts compared differ, with the shortest."""
    if not wrong:
        return f"the same for all of {total:,} texts"
    return f"different for {len(wrong):,} of {total:,} texts, e.g. {min(wrong, key=len)!r:.60}"


def _config(tokenizer: ITokenizer, *, found: bool = False) -> dict[str, Any]:
    """Return `tokenizer_config.json`; with `split_special_tokens`, `<s>` in a text is three characters."""
    special = tokenizer.special_tokens
    file = json.loads(tokenizer.model().files.get(FILE, b"{}"))
    processor, truncation = file.get("post_processor") or {}, file.get("truncation") or {}
    named = {role: processor[role][0] for role in ("cls", "sep") if processor.get("type") in _PROCESSORS}
    named["unk"] = next((text for text, number in special.items() if number == tokenizer.unknown_id), None)
    roles = {**tokenizer.special_roles, **{role: text for role, text in named.items() if text}}
    return {
        "tokenizer_class": _CLASS,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": not found,
        "padding_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
        **({"model_max_length": truncation["max_length"]} if "max_length" in truncation else {}),
        **{f"{role}_token": roles[role] for role in _ROLES if roles.get(role) in special},
    }


def _json(data: Any, indent: int | None = None) -> str:
    return json.dumps(data, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":")) + "\n"
