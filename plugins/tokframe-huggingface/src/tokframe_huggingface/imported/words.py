"""Words: a word-level vocabulary and its split rule as a `tokenizer.json`, which `huggingface` runs.

It reads a list of words, token to id as JSON, and the JSON of a Keras `Tokenizer`. Ids are kept, so each needs a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen
from tokenizers import Regex

from tokframe.errors import ArtifactCorruptError, ArtifactError
from tokframe.loading.loading import load
from tokframe.storage.manifest import is_count
from tokframe.storage.strictjson import shortened
from tokframe.tokenizer.roles import role_of, roles_of
from tokframe_huggingface.imported.common import SUPPORTED

__all__ = ["SPLITS", "WordRules", "to_tokenizer_json"]

#: Names of split rules; anything else is a regular expression whose matches are the words.
SPLITS = ("whitespace", "word", "bert")
#: What `str.split()` of Python takes for white space; `\s` of Oniguruma is less.
_SPACE = r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
#: `str.lower()` ends a word in another small sigma than it has inside of one; the library's Lowercase does not.
_FINAL_SIGMA = r"(?<=\p{L})Σ(?![\p{M}\p{Sk}\p{Lm}'’.:·]*\p{L})"
_CONTINUED = "##"
_MAX_WORD_CHARS = 100  # of BERT's word pieces; a longer word is unknown
_ROLES = {"pad": "pad", "begin": "bos", "end": "eos", "unknown": "unk"}


@frozen(kw_only=True)
class WordRules:
    """How a text becomes words, and which entries of the vocabulary are no words.

    `split` is one of `SPLITS` or a regular expression (Oniguruma's syntax) whose matches are the words; empty: white
    space, or for a vocabulary of BERT's its word pieces, "bert". Before it, `lowercase` is applied and what `remove`
    matches is taken out.
    `unknown`, `pad`, `begin` and `end` are entries; those not given are found by their usual names, as `[UNK]`.
    """

    split: str = ""
    lowercase: bool = False
    remove: str = ""
    unknown: str = ""
    pad: str = ""
    begin: str = ""
    end: str = ""


def to_tokenizer_json(content: bytes, name: str, rules: WordRules, *, is_list: bool) -> tuple[bytes, dict[str, str]]:
    """Return a vocabulary with its rules as `tokenizer.json`, and the roles of special tokens that were named.

    `is_list`: one word a line, and not JSON.

    `name` is the file's, for errors.

    Raises: ArtifactError for rules that do not go with the vocabulary, as without an unknown word; ArtifactCorruptError
    for a vocabulary that contradicts itself: an id without a word, a word or an id twice.
    """
    vocab, rules = (_from_lines(content, name, rules), rules) if is_list else _from_json(content, name, rules)
    vocab = _without_gap(vocab, name, rules)
    special = _special(vocab, name, rules)
    split = rules.split or ("bert" if _is_bert(vocab) else "whitespace")
    model: dict[str, Any] = {"type": "WordLevel", "vocab": vocab, "unk_token": special["unk"]}
    if split == "bert":
        model |= {
            "type": "WordPiece",
            "continuing_subword_prefix": _CONTINUED,
            "max_input_chars_per_word": _MAX_WORD_CHARS,
        }
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    # An unknown word without brackets is one that a text may hold: it is encoded to the same id either way.
    hidden = {text for text in special.values() if text != special["unk"] or role_of(text)}
    data = {
        "version": "1.0",
        **dict.fromkeys(("truncation", "padding", "post_processor")),
        "added_tokens": [
            {"id": vocab[text], "content": text, **plain} for text in sorted(hidden, key=vocab.__getitem__)
        ],
        "normalizer": {"type": "Sequence", "normalizers": [*_normalizers(split, rules, name)]},
        "pre_tokenizer": _pre_tokenizer(split, name),
        "decoder": {"type": "WordPiece", "prefix": _CONTINUED, "cleanup": False}
        if split == "bert"
        else {"type": "Fuse"}
        if split == "word"
        else None,
        "model": model,
    }
    named = {role: text for option, role in _ROLES.items() if (text := getattr(rules, option)) in hidden}
    return json.dumps(data, ensure_ascii=False).encode(), named


# -- the vocabulary -----------------------------------------------------------------------------------------


def _from_lines(content: bytes, name: str, rules: WordRules) -> dict[str, int]:
    """Return a list of words, one a line; an empty first line is the padding of Keras's TextVectorization."""
    try:
        text = content.decode()
    except UnicodeDecodeError as cause:
        raise ArtifactError(f"{name} is no list of words: it is not UTF-8 ({cause})", path=name) from None
    lines = [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")]
    return _numbered(lines, name, rules, "line", 1)


def _numbered(words: Iterable[Any], name: str, rules: WordRules, noun: str, first: int) -> dict[str, int]:
    vocab: dict[str, int] = {}
    for number, word in enumerate(words):
        where = f"{noun} {number + first:,}"
        if not isinstance(word, str) or not (word or number == 0):
            raise _refused(name, f"has {shortened(word)} in {where}, which is no word. Remove it, or give it a word")
        word = word or rules.pad or "<pad>"
        if word in vocab:
            raise _refused(
                name, f"has {word!r:.60} twice, in {noun} {vocab[word] + first:,} and {where}. Make it one entry"
            )
        vocab[word] = number
    return vocab


def _from_json(content: bytes, name: str, rules: WordRules) -> tuple[dict[str, int], WordRules]:
    """Return token to id of an object or a list, and the rules, which a Keras tokenizer's file has itself."""
    data = _parsed(content, name)
    if isinstance(data, list):
        return _numbered(data, name, rules, "entry", 0), rules
    keras = data.get("config")
    if isinstance(keras, dict):
        return _from_keras(keras, name, rules)
    return _checked(data, name), rules


def _from_keras(config: Mapping[str, Any], name: str, rules: WordRules) -> tuple[dict[str, int], WordRules]:
    """Return what `keras.preprocessing.text.Tokenizer.to_json` wrote: word_index begins at 1, and 0 is the padding."""
    index, filters, split = config.get("word_index"), config.get("filters"), config.get("split")
    count, unknown = config.get("num_words"), config.get("oov_token")
    if not isinstance(index, str) or not isinstance(filters, str) or not isinstance(split, str) or len(split) != 1:
        raise _refused(name, "is no tokenizer of Keras: it needs word_index, filters and a split of one character")
    if config.get("char_level"):
        raise ArtifactError(f"{name} is a Keras tokenizer of characters. Only one of words can be imported", path=name)
    vocab = _checked(_parsed(index.encode(errors="replace"), name), name)
    if isinstance(count, int) and count > 0:
        vocab = {word: number for word, number in vocab.items() if number < count}
    if not unknown and not rules.unknown:
        raise ArtifactError(
            f"{name} has no oov_token: Keras leaves unknown words out, and with them their place in the text. Name an "
            "entry that stands for them: --unknown NAME",
            path=name,
        )
    left_out = "".join(f"\\x{{{ord(character):x}}}" for character in filters + split)
    return vocab, evolve(
        rules,
        split=rules.split or f"[^{left_out}]+",
        lowercase=rules.lowercase or config.get("lower") is True,
        unknown=rules.unknown or str(unknown),
        pad=rules.pad or "<pad>",
    )


def _parsed(content: bytes, name: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            word = next(word for word, _ in pairs if word in seen or seen.add(word))  # type: ignore[func-returns-value]
            raise _refused(name, f"has {word!r:.60} twice. Make it one entry")
        return found

    try:
        return json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as cause:
        raise cause if isinstance(cause, ArtifactError) else _refused(name, f"is no JSON ({cause})") from None


def _checked(data: Any, name: str) -> dict[str, int]:
    """Return token to id. Raises: ArtifactCorruptError for what is no id, and for one id of two words."""
    if not isinstance(data, dict) or not data:
        raise _refused(name, 'is no vocabulary: it needs a word and an id in each entry, as {"[UNK]": 0, "the": 1}')
    words: dict[int, str] = {}
    for word, number in data.items():
        if not word or not is_count(number):
            raise _refused(name, f"gives {word!r:.60} the id {shortened(number)}. Ids are whole numbers from 0")
        if number in words:
            raise _refused(name, f"has one id, {number}, for {words[number]!r:.60} and {word!r:.60}. Give each its own")
        words[number] = word
    return dict(data)


def _without_gap(vocab: Mapping[str, int], name: str, rules: WordRules) -> dict[str, int]:
    """Return a vocabulary in order of ids; an id 0 that no word has is the padding, if it is named."""
    found = dict(vocab)
    if rules.pad and rules.pad not in found and 0 not in found.values():
        found[rules.pad] = 0
    ordered = sorted(found, key=found.__getitem__)
    missing = next((number for number, word in enumerate(ordered) if found[word] != number), None)
    if missing is not None:
        what = "If it is the padding, as in Keras, name it: --pad '<pad>'" if missing == 0 else "Give it one"
        raise _refused(
            name,
            f"has {len(found):,} words and ids up to {found[ordered[-1]]:,}, but none for id {missing:,}. An id is a "
            f"row of the model's embedding, so each needs a word. {what}",
        )
    for word in ordered:
        try:
            word.encode()
        except UnicodeEncodeError as cause:
            raise _refused(name, f"has a word that is no text ({cause})") from None
    return {word: found[word] for word in ordered}


def _is_bert(vocab: Mapping[str, int]) -> bool:
    return {"[UNK]", "[CLS]", "[SEP]"} <= vocab.keys() and any(word.startswith(_CONTINUED) for word in vocab)


def _special(vocab: Mapping[str, int], name: str, rules: WordRules) -> dict[str, str]:
    """Return role to entry: those that were named, and those of a usual name. Raises: ArtifactError."""
    special = roles_of(vocab)
    for option, role in _ROLES.items():
        word = getattr(rules, option)
        if word and word not in vocab:
            near = next((known for known in vocab if known.casefold() == word.casefold()), None)
            hint = f" Did you mean {near!r}?" if near else " Name one of its entries"
            raise ArtifactError(f"{name} has no entry {word!r:.60} for --{option}.{hint}", path=name)
        if word:
            special[role] = word
    if "unk" not in special:
        bpe = " of BPE pieces" if any("Ġ" in word for word in vocab) else ""
        raise ArtifactError(
            f"{name} is a bare vocabulary{bpe} without an unknown word as [UNK] or <unk>, or not a tokenizer file. If "
            f"it holds words, name the entry of those that are not in it: --unknown NAME. {SUPPORTED}",
            path=name,
        )
    return special


# -- the rules ----------------------------------------------------------------------------------------------


def _normalizers(split: str, rules: WordRules, name: str) -> Iterator[dict[str, Any]]:
    if split == "bert":  # without accents where it is without capitals, as BERT's
        yield {
            "type": "BertNormalizer",
            **dict.fromkeys(("clean_text", "handle_chinese_chars"), True),
            "strip_accents": None,
            "lowercase": rules.lowercase,
        }
    elif rules.lowercase:
        yield {"type": "Replace", "pattern": {"Regex": _FINAL_SIGMA}, "content": "ς"}
        yield {"type": "Lowercase"}
    if rules.remove:
        yield {"type": "Replace", "pattern": {"Regex": _expression(rules.remove, "--remove", name)}, "content": ""}


def _pre_tokenizer(split: str, name: str) -> dict[str, Any]:
    if split == "bert":
        return {"type": "BertPreTokenizer"}
    if split == "whitespace":
        return _split(_SPACE, "Removed")
    if split == "word":
        return _split(load("word").model().pattern or "", "Isolated")
    if re.fullmatch(r"\w+", split):  # as an expression it would find only itself
        raise ArtifactError(
            f"{split!r} is not the name of a split rule. Use --split {', '.join(SPLITS)}, or a regular expression "
            r"whose matches are the words, as '\w+|[^\w\s]'",
            path=name,
        )
    return _split(_expression(split, "--split", name), "Removed", invert=True)


def _split(pattern: str, behavior: str, invert: bool = False) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def _expression(pattern: str, option: str, name: str) -> str:
    try:
        Regex(pattern)
    except Exception as cause:  # the binding raises plain Exception
        raise ArtifactError(f"{option} {pattern!r:.80} is no regular expression ({cause})", path=name) from cause
    return pattern


def _refused(name: str, what: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(f"{name} {what}", path=name, file=name)
