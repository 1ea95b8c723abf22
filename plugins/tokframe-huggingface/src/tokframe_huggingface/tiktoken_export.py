"""The exporter "tiktoken": write ranks, pattern and special tokens of a byte-level BPE, and compare with the original.

Which tokenizers are byte-level BPE is what `ITokenizer.model()` says.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tokframe.errors import UnsupportedError
from tokframe.plugins.protocols import Check
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.results import TokenizerModel
from tokframe_huggingface.export import detail, samples

__all__ = ["ENCODING", "RANKS", "export"]

RANKS = "ranks.tiktoken"
ENCODING = "encoding.json"  # the arguments of tiktoken.Encoding but for the ranks


def export(tokenizer: ITokenizer, folder: Path) -> list[Check]:
    """Write `ranks.tiktoken` and `encoding.json` into `folder`; return the comparison with the original.

    Raises: UnsupportedError for a tokenizer that is not byte-level BPE, or whose merges are not in the order of ids.
    """
    import tiktoken

    name = tokenizer.name or type(tokenizer).__name__
    model = tokenizer.model()
    ranks = _ranks(model, name)
    config: dict[str, Any] = {
        "name": name,
        "pat_str": model.pattern or r"(?s).+",
        "special_tokens": dict(model.special),
        "explicit_n_vocab": len(model.pieces),
    }
    lines = b"".join(b"%s %d\n" % (base64.b64encode(piece), rank) for piece, rank in ranks.items())
    (folder / RANKS).write_bytes(lines)
    (folder / ENCODING).write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    encoding = tiktoken.Encoding(mergeable_ranks=ranks, **config)
    wrong: dict[str, list[str]] = {"ids": [], "text": []}
    total = 0
    for text in samples():
        total += 1
        ids = tokenizer.encode(text, False)
        if encoding.encode(text, disallowed_special=()) != ids:
            wrong["ids"].append(text)
        if encoding.decode(ids) != tokenizer.decode(ids):
            wrong["text"].append(text)
    checks = [Check(name=what, ok=not differ, detail=detail(differ, total)) for what, differ in wrong.items()]
    text = "a" + "b".join(model.special)
    found = encoding.encode(text, allowed_special="all") == tokenizer.encode(text, False, allowed_special=model.special)
    told = "text in texts, unless allowed_special names them; tiktoken raises by default"
    return [*checks, Check(name="special tokens", ok=found, detail=told)]


def _ranks(model: TokenizerModel, name: str) -> dict[bytes, int]:
    """Return piece -> rank, which is its id. Raises: UnsupportedError."""
    reason = ""
    if model.algorithm != "bpe" or model.max_line_bytes is not None:
        reason = f"its algorithm is {model.algorithm!r}, and tiktoken has byte-level BPE only"
    else:
        made = {model.pieces[left] + model.pieces[right]: place for place, (left, right) in enumerate(model.merges)}
        special = {*model.special.values()}
        ranks = {piece: number for number, piece in enumerate(model.pieces) if number not in special}
        order = [made[piece] for piece in ranks if len(piece) > 1 and piece in made]
        if order != sorted(order) or len(ranks) != len(model.pieces) - len(special):
            reason = "its merges are not in the order of its ids, which is all that tiktoken knows of their order"
        elif any(bytes([byte]) not in ranks for byte in range(256)):
            reason = "it has no id for some bytes"
    if reason:
        raise UnsupportedError(
            f"{name} cannot be exported to tiktoken: {reason}. Supported: bpe, and other byte-level BPE. "
            f"Try: tokframe export {name} --format huggingface",
            capability="export",
        )
    return ranks
