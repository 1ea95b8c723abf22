"""Comparison: tokenizers measured on one corpus. Which figures there are is left to `columns`."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tokframe._version import __version__
from tokframe.errors import TokframeError
from tokframe.evaluate.columns import RARE, Row
from tokframe.evaluate.fit import splitting_characters
from tokframe.evaluate.footprint import footprints
from tokframe.evaluate.languages import check_languages, language_of
from tokframe.evaluate.measures import Measures, by_group, lengths_of, measure, rarely_trained, total
from tokframe.evaluate.stability import stability as stability_of
from tokframe.evaluate.timing import sample, speeds
from tokframe.plugins.discovery import host
from tokframe.tokenizer.display import Result
from tokframe.training.progress import SILENT, Reporter

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["Comparison", "compare"]


@frozen(kw_only=True, eq=False, repr=False)
class Comparison(Result):
    """The outcome of `compare`: a row for each tokenizer, and what was measured with what.

    Ratios refer to `baseline`, the last tokenizer where it is empty. `repr` is the table of `tokframe compare`.
    """

    rows: Mapping[str, Row]
    corpus: Mapping[str, Any]
    versions: Mapping[str, str]
    baseline: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what `to_json` returns."""
        return self.to_json()

    def records(self) -> list[dict[str, Any]]:
        """Return one row per tokenizer with its figures over the whole corpus, named by their JSON keys."""
        found = []
        for name, row in self.rows.items():
            figures = row.to_json()
            stable = figures.pop("stability", {})
            plain = {key: value for key, value in figures.items() if not isinstance(value, dict)}
            label = f"{row.tokenizer} ({', '.join(row.other_parts.values())})" if row.other_parts else row.tokenizer
            found.append({"name": name, "tokenizer": label, **plain, **stable})
        return found

    def __repr__(self) -> str:
        return "\n".join(_views().comparison_text(self))

    def _repr_html_(self) -> str | None:
        html: str | None = _views().comparison_html(self)
        return html

    def to_json(self) -> dict[str, Any]:
        """Return all figures as JSON data: `{"tokenizers": {NAME: {..., "files": {FILE: {...}}}}, ...}`.

        Sizes are in bytes, speeds in MB (10^6 bytes) of text a second, `load_ms` in milliseconds, `memory_mb` in MB.
        """
        return {
            "tokenizers": {name: row.to_json() for name, row in self.rows.items()},
            "corpus": dict(self.corpus),
            "versions": dict(self.versions),
        }


def compare(
    names: str | Iterable[str],
    corpus: Corpus,
    *,
    load: Callable[[str], ITokenizer] | None = None,
    rounds: int = 5,
    stability: bool = False,
    languages: Mapping[str, str] | None = None,
    baseline: str = "",
    reporter: Reporter = SILENT,
) -> Comparison:
    """Measure tokenizers, by name or path, on a corpus; speed and footprint over `rounds` interleaved rounds.

    `stability` measures, too, what cuts and small edits change in the ids (see `stability.Stability`). `languages`
    holds those of files or sources by name or pattern, where their names do not say (see `languages.language_of`).
    `baseline` is the name that the result's ratios refer to, by default the last.
    `load` gives the tokenizer of a name, by default `tokframe.load`; footprints always come from `tokframe.load`
    in fresh processes. Raises: whatever loading raises; CorpusError; ConfigError for a pattern of `languages` that fits
    nothing; EncodingError naming tokenizer and file.
    """
    from tokframe.loading.loading import load as load_by_name

    check_languages(languages or {}, corpus.files)
    language = {file.name: language_of(file, languages) for file in corpus.files}
    names = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    tokenizers = {name: (load or load_by_name)(name) for name in names}
    files = {name: _files(name, tok, corpus, reporter) for name, tok in tokenizers.items()}
    texts = sample(corpus)
    speed = speeds(tokenizers, texts, rounds, reporter)
    stable = {name: stability_of(tok, texts) for name, tok in tokenizers.items()} if stability else {}
    cost = footprints(names, max(1, min(3, rounds)), reporter=reporter)
    for name, footprint in cost.items():
        if footprint.reason:
            reporter.note(f"{name}: load time and memory not measured: {footprint.reason}")
    sources = {source: [file.name for file in group] for source, group in corpus.sources().items()}
    rows = {
        name: Row(
            total=total(list(parts.values())),
            sources={source: total([parts[file] for file in group]) for source, group in sources.items()},
            files=parts,
            speed=speed[name],
            footprint=cost[name],
            vocab_size=tokenizers[name].vocab_size,
            languages=by_group(parts, language),
            language=language,
            splitting=splitting_characters(tokenizers[name]),
            rare=rarely_trained(tokenizers[name], RARE),
            stability=stable.get(name),
            tokenizer=tokenizers[name].name,
            other_parts=tokenizers[name].other_parts,
        )
        for name, parts in files.items()
    }
    any_row = rows[names[0]]
    text = {
        "bytes": any_row.total.bytes,
        "chars": any_row.total.chars,
        **corpus.summary(),
        "sources": {name: part.bytes for name, part in any_row.sources.items()},
    }
    return Comparison(rows=rows, corpus=text, versions=_versions(tokenizers), baseline=baseline)


def _views() -> Any:
    """Import what draws a comparison; it knows this module, so it is named as text."""
    return importlib.import_module("tokframe.evaluate.report.notebook")


def _files(name: str, tokenizer: ITokenizer, corpus: Corpus, reporter: Reporter) -> dict[str, Measures]:
    reporter.stage(f"measuring {name}", corpus.megabytes, "MB")
    done = 0
    found: dict[str, Measures] = {}

    def progress(size: int) -> None:
        nonlocal done
        done += size
        reporter.advance(done / 1e6)

    lengths = lengths_of(tokenizer)
    for file in corpus.files:
        try:
            found[file.name] = measure(tokenizer, file, progress, lengths=lengths)
        except TokframeError as error:
            error.add_note(f"(tokenizer {name}, file {file.name})")
            raise
    return found


def _versions(tokenizers: Mapping[str, ITokenizer]) -> dict[str, str]:
    """Return the versions of everything involved, so that the measurement can be repeated."""
    found = {
        "tokframe": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    registry = host().registry
    for tokenizer in tokenizers.values():
        for spec in registry.specs("tokenizer"):
            if spec.name == tokenizer.name:
                found[spec.distribution] = spec.distribution_version
    found["numpy"] = sys.modules["numpy"].__version__
    return found
