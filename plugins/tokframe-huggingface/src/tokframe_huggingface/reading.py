"""Reading: detect the format of a tokenizer file and build the tokenizer. No file is unpickled, nothing is fetched."""

from __future__ import annotations

import base64
import codecs
import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokframe.errors import ArtifactError, ArtifactNotFoundError
from tokframe.plugins.discovery import rebuild
from tokframe.storage.artifact import FORMAT
from tokframe.storage.paths import expanded, is_address
from tokframe.storage.regular import read_given
from tokframe.storage.state import State
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.table import GPT2_PATTERN
from tokframe_huggingface.imported.common import SUPPORTED

__all__ = ["PATTERNS", "import_", "read"]

#: Patterns that cut text before merging, by tiktoken's names of the encodings.
PATTERNS = {
    "gpt2": GPT2_PATTERN,
    "cl100k_base": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "o200k_base": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
MAX_FILE_BYTES = 1 << 30
#: Byte order marks, which some editors and shells put before text. No binary format read here begins with one.
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read(path: str | Path, *, pattern: str = "", special: Mapping[str, int] | None = None, **words: Any) -> ITokenizer:
    """Return the tokenizer of a `tokenizer.json`, a tiktoken file, a sentencepiece model or a vocabulary of words.

    `pattern` (one of `PATTERNS` or a regular expression) and `special` are for a tiktoken file, which contains neither.
    `words` are for a vocabulary of words: `split`, `lowercase`, `remove`, `unknown`, `pad`, `begin`, `end`, as in
    `imported.words.WordRules`. Raises: ArtifactNotFoundError; ArtifactError naming the actual format;
    ArtifactCorruptError; ComponentImportError where the library that runs it is missing.
    """
    path = expanded(path)
    content = _content(path)
    kind = _kind(path, content)
    config: dict[str, Any] = {}
    if kind == "tiktoken":
        names = f"Use --pattern {' or '.join(PATTERNS)}, or a regular expression"
        if not pattern:
            raise ArtifactError(
                f"{path} is a tiktoken file, which does not contain the pattern that cuts text. {names}", path=path
            )
        if pattern not in PATTERNS and re.fullmatch(r"\w+", pattern):  # as an expression it would find only itself
            raise ArtifactError(f"{pattern!r} is not the name of a pattern. {names}", path=path)
        config = {"pattern": PATTERNS.get(pattern, pattern), "special": dict(special or {})}
    elif pattern or special:
        raise ArtifactError(
            f"{path} is not a tiktoken file: --pattern and --special are for those only. "
            + (
                "Use --split for words" if kind.startswith("word") else "Its pattern and special tokens are in the file"
            ),
            path=path,
        )
    if kind.startswith("word"):
        from tokframe_huggingface.imported.words import WordRules, to_tokenizer_json

        rules = WordRules(**words)
        content, roles = to_tokenizer_json(content, str(path), rules, is_list=kind == "word-list")
        config = {"roles": roles} if roles else {}
        kind = "huggingface"
    elif given := [f"--{name}" for name, value in words.items() if value]:
        raise ArtifactError(
            f"{path} is no vocabulary of words, and has its own rules. Leave out {', '.join(given)}", path=path
        )
    file = {"huggingface": "tokenizer.json", "tiktoken": "ranks.tiktoken", "sentencepiece": "sentencepiece.model"}[kind]
    state = State(config=config, files={file: content})
    tokenizer: ITokenizer = rebuild(f"tokframe-huggingface/imported-{kind}", state)
    return tokenizer


def import_(
    file: str | Path,
    *,
    out: str | Path,
    pattern: str = "",
    special: Mapping[str, int] | None = None,
    split: str = "",
    lowercase: bool = False,
    remove: str = "",
    unknown: str = "",
    pad: str = "",
    begin: str = "",
    end: str = "",
    overwrite: bool = False,
) -> ITokenizer:
    """Convert a tokenizer of another library, save it at `out` and return it; the arguments are those of `read`.

    Raises: as `read`; ArtifactExistsError or ArtifactError, before any work, if `out` may not be written.
    """
    words = {"split": split, "lowercase": lowercase, "remove": remove, "unknown": unknown, "pad": pad}
    with FORMAT.claiming(out, overwrite=overwrite):
        tokenizer = read(file, pattern=pattern, special=special, **words, begin=begin, end=end)
        tokenizer.save(out, overwrite=overwrite)
    return tokenizer


def _content(path: Path) -> bytes:
    if os.path.isdir(path):  # which is false for any path that names nothing
        inside = path / "tokenizer.json"
        hint = f". Use the file: {inside}" if inside.is_file() else f" without a tokenizer.json. {SUPPORTED}"
        raise ArtifactError(f"{path} is a folder{hint}", path=path)
    try:
        content = read_given(path, MAX_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        hint = "It is an address: download it first" if is_address(path) else SUPPORTED
        raise ArtifactNotFoundError(f"there is no file {path}. {hint}", path=path) from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ArtifactError(
                f"{path} is larger than 1 GiB, too large for a tokenizer. {SUPPORTED}", path=path
            ) from error
        raise ArtifactError(f"{path} cannot be read: {error.strerror}", path=path) from error
    for mark, codec in _MARKS.items():
        if content.startswith(mark):
            try:
                return content[len(mark) :].decode(codec).encode()
            except UnicodeError as cause:
                raise ArtifactError(
                    f"{path} begins like {codec} but is not ({cause}). {SUPPORTED}", path=path
                ) from cause
    return content


def _kind(path: Path, content: bytes) -> str:
    """Return the kind of a file; "words" are JSON, a "word-list" is not. Raises: ArtifactError naming the format."""
    if not content.strip():
        raise ArtifactError(f"{path} is empty. {SUPPORTED}", path=path)
    if re.match(rb"(?:\r?\n)?\[\w+\]\r?\n", content):  # as [PAD], after an empty line for the padding
        return "word-list"
    if content.lstrip()[:1] in (b"{", b"["):
        return _json_kind(path, content)
    first = content.split(b"\n", 1)[0].split()
    if len(first) == 2 and first[1].isdigit() and _is_base64(first[0]):
        return "tiktoken"
    if content[:1] == b"\n" and b"\x00" not in content[:2]:  # field 1 of a protocol buffer: the first piece
        return "sentencepiece"
    if what := _looks_like(content):
        raise ArtifactError(f"{path} {what}. {SUPPORTED}", path=path)
    return "word-list"


def _json_kind(path: Path, content: bytes) -> str:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise ArtifactError(f"{path} looks like JSON but cannot be parsed ({cause}). {SUPPORTED}", path=path) from None
    if isinstance(data, dict) and isinstance(data.get("model"), dict):
        return "huggingface"
    if isinstance(data, dict) and "tokenizer_class" in data:
        what = "is a tokenizer_config.json; use the tokenizer.json beside it"
    elif data and _is_words(data):
        return "words"
    else:
        what = "is JSON without the 'model' of a tokenizer.json"
    raise ArtifactError(f"{path} {what}. {SUPPORTED}", path=path)


def _is_words(data: Any) -> bool:
    """Return whether it is a list of words, token to id, or a tokenizer of Keras."""
    if not isinstance(data, dict):
        return isinstance(data, list) and isinstance(data[0], str)
    config = data.get("config")
    return not any(isinstance(value, (dict, list, str)) for value in data.values()) or (
        isinstance(config, dict) and "word_index" in config
    )


def _is_base64(word: bytes) -> bool:
    try:
        return bool(base64.b64decode(word, validate=True))
    except ValueError:
        return False


def _looks_like(content: bytes) -> str:
    """Return what a file is that is not imported; nothing for text, which may be a list of words."""
    if content[:2] == b"PK" or content[:2] in (b"\x80\x02", b"\x80\x04"):
        return "is a pickle or a zip of one, which is never opened: it could run anything"
    if content[:4] == b"GGUF":
        return "is a GGUF model"
    if content[8:9] == b"{":
        return "is a safetensors file: weights, not a tokenizer"
    if content.startswith(b"#version"):
        return "is a list of merges (merges.txt) without the vocabulary"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    return "is not a tokenizer file of a known format" if "\0" in text else ""
