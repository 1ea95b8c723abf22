"""Languages: which language a file is in, by its name, and how evenly a tokenizer serves several."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tokframe.errors import ConfigError

if TYPE_CHECKING:
    from tokframe.corpus.file import CorpusFile
    from tokframe.evaluate.measures import Measures

__all__ = [
    "check_languages",
    "gini",
    "gini_of",
    "is_english",
    "language_of",
    "mean_relative_cost",
    "relative_costs",
]

#: ISO 639-1.
_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja
jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb
nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq
sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_KNOWN = frozenset(_CODES.split())
_WITH_SCRIPT = re.compile(r"(?:.*[^a-z])?([a-z]{3}_[A-Z][a-z]{3})")  # eng_Latn, as FLORES has it


def language_of(file: CorpusFile, given: Mapping[str, str] | None = None) -> str:
    """Return the language of a corpus file, "" where its name does not say.

    `given` holds languages by name or pattern (`help-x*`) of a file or source, "" for none. Otherwise the source, or
    else the file's own name, ends in a code: `help-de`, `tales-pt-br`, `fr.txt`, `eng_Latn.dev.txt`. Names of Python
    files say nothing.
    """
    name = re.split(r"[/\\]", file.name)[-1]
    for pattern, language in (given or {}).items():
        if any(fnmatch.fnmatchcase(text, pattern) for text in (file.source, file.name, name)):
            return language
    if name.endswith(".py"):
        return ""
    return _named(file.source) or _named(name.partition(".")[0])


def _named(name: str) -> str:
    if found := _WITH_SCRIPT.fullmatch(name):
        return found[1]
    *_, before, last = ["", *re.split(r"[-_.]", name.lower())]
    if before in _KNOWN and len(last) == 2 and last.isalpha():
        return f"{before}-{last}"
    return last if last in _KNOWN else ""


def check_languages(given: Mapping[str, str], files: Sequence[CorpusFile]) -> None:
    """Raises: ConfigError for a pattern that fits no file."""
    for pattern in given:
        if not any(language_of(file, {pattern: "\0"}) == "\0" for file in files):
            names = ", ".join(dict.fromkeys(file.source for file in files[:100]))
            raise ConfigError("languages", [(pattern, f"fits no file or source; the sources are {names:.200}")])


def is_english(language: str) -> bool:
    """Return whether a language is English, of any region."""
    return re.split("[-_]", language)[0] in ("en", "eng")


def relative_costs(parts: Mapping[str, Measures], languages: Mapping[str, Measures] | None = None) -> dict[str, float]:
    """Return the tokens per character of each of `parts` over that of English; nothing where no text is English.

    `languages` are those of the whole text, by default the parts.
    Petrov et al. (2023), "Language Model Tokenizers Introduce Unfairness Between Languages", compare the tokens of
    translations; a character stands for them here, as texts need not be translations.
    """
    english = [part for language, part in (parts if languages is None else languages).items() if is_english(language)]
    chars = sum(part.chars for part in english)
    base = sum(part.tokens for part in english) / chars if chars else None
    costs = {name: part.tokens_per_char for name, part in parts.items()}
    return {name: cost / base for name, cost in costs.items() if base and cost}


def mean_relative_cost(languages: Mapping[str, Measures]) -> float | None:
    """Return the mean cost of the other languages relative to English; None without any, or without English."""
    costs = [cost for name, cost in relative_costs(languages).items() if not is_english(name)]
    return sum(costs) / len(costs) if costs else None


def gini_of(languages: Mapping[str, Measures]) -> float | None:
    """Return the Gini coefficient of tokens per character over languages; None for fewer than two."""
    costs = [cost for part in languages.values() if (cost := part.tokens_per_char)]
    return gini(costs) if len(costs) > 1 else None


def gini(costs: Sequence[float]) -> float:
    """Return the Gini coefficient of costs above 0: 0 where all are alike, below 1.

    The mean difference of two over twice their mean, as Foroutan et al. (2025), "Parity-Aware Byte-Pair Encoding:
    Improving Cross-lingual Fairness in Tokenization", have it of the tokens of languages.
    """
    ordered, count = sorted(costs), len(costs)
    return sum((2 * place - count - 1) * cost for place, cost in enumerate(ordered, 1)) / (count * sum(ordered))
