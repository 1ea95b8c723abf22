"""Calls: compare and analyze as the commands of that name do it, by names of tokenizers and paths of text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokframe.corpus.files import Corpus
from tokframe.errors import UnknownNameError
from tokframe.evaluate import analysis, comparison
from tokframe.evaluate.report import page, vocabulary
from tokframe.evaluate.report import plots as plotting
from tokframe.loading.loading import load
from tokframe.loading.ready import ready
from tokframe.storage.places import write_output
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.progress import AUTO, Reporter, shows_progress

__all__ = ["HELD_OUT", "analyze", "compare"]

#: The text that is read where none is named: no shipped tokenizer was trained on it.
HELD_OUT = "stdlib:heldout"


@shows_progress
def compare(
    names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    corpus: Corpus | str | Path | Sequence[str | Path] = HELD_OUT,
    *,
    baseline: str | os.PathLike[str] | None = None,
    rounds: int = 5,
    languages: Mapping[str, str] | None = None,
    stability: bool = False,
    html: str | Path | None = None,
    reporter: Reporter = AUTO,
) -> comparison.Comparison:
    """Compare tokenizers, by name or path, on a text; without names, all that are installed and ready to use.

    Speed and footprint are medians of `rounds`. Ratios refer to `baseline`, by default the last name. `languages`
    holds those of files or sources by name or pattern, where their names do not say. `stability` measures, too, what
    cuts and small edits change in the ids. `html` is a file to write the page to (extra: report). `corpus` is a path,
    several, or what `Corpus.open` returned. Raises: as `load`; CorpusError; ConfigError for a pattern of `languages`
    that fits nothing; EncodingError; UnknownNameError for a baseline that is not compared; UnsupportedError and
    ArtifactError for a page that cannot be made or written.
    """
    if html is not None:
        page.check_installed()
    given = [names] if isinstance(names, (str, os.PathLike)) else list(names)
    chosen = list(dict.fromkeys(map(_name, given))) or ready(reporter.note, "compare")
    baseline = "" if baseline is None else _name(baseline)
    if baseline and baseline not in chosen:
        raise UnknownNameError(
            f"the baseline {baseline!r} is not among {', '.join(chosen)}", kind="tokenizer", name=baseline
        )
    text = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    tokenizers = {name: load(name) for name in chosen}
    found = comparison.compare(
        chosen,
        text,
        load=tokenizers.__getitem__,
        rounds=rounds,
        stability=stability,
        languages=languages,
        baseline=baseline,
        reporter=reporter,
    )
    if html is not None:
        write_output(html, page.comparison_page(found, tokenizers, text))
    return found


def _name(given: str | os.PathLike[str]) -> str:
    """Return a name as it is, and a path with a separator in it, which says that it is one."""
    name = os.fspath(given)
    return name if isinstance(given, str) or os.sep in name else os.path.join(os.curdir, name)


@shows_progress
def analyze(
    name: str | os.PathLike[str] | ITokenizer,
    corpus: Corpus | str | Path | Sequence[str | Path] = HELD_OUT,
    *,
    languages: Mapping[str, str] | None = None,
    plots: str | Path | None = None,
    html: str | Path | None = None,
    reporter: Reporter = AUTO,
) -> analysis.Analysis:
    """Return how a tokenizer, itself or by name or path, uses its vocabulary on a text.

    `languages` and `corpus` are as for `compare`. `plots` is a folder to write PNG files to, `html` a file for a page
    with charts and, of learned ids, a map (extra: report). Raises: as `compare`.
    """
    if plots is not None:
        plotting.check_installed()
    if html is not None:
        vocabulary.check_installed()
    tokenizer = name if isinstance(name, ITokenizer) else load(name)
    text = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    found = analysis.analyze(tokenizer, text, reporter, languages=languages)
    for path in plotting.save_plots(found, plots) if plots is not None else []:
        reporter.note(f"wrote {path}")
    if html is not None:
        write_output(html, vocabulary.vocabulary_page(found, tokenizer))
        reporter.note(f"wrote {html}")
    return found
