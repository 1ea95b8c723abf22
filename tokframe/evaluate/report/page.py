"""Page: a comparison as one HTML file that needs nothing else: table, charts, text in colored pieces, versions.

The markup is in `page.html.j2`; which passages are shown is left to `passages`, drawing to `charts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tokframe.errors import EncodingError, UnsupportedError
from tokframe.evaluate.report.charts import charts
from tokframe.evaluate.report.drawing import require
from tokframe.evaluate.report.passages import Difference, differences, passages
from tokframe.evaluate.report.table import figures, heading, labels_of, mixes_lossless, sections
from tokframe.storage.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from tokframe.corpus.files import Corpus
    from tokframe.evaluate.comparison import Comparison
    from tokframe.tokenizer.base import ITokenizer

__all__ = ["check_installed", "comparison_page", "environment"]

_MAX_FILES = 200  # with a line in the list of files
_MAX_PAIRS = 4  # tokenizers compared with the baseline in the section on differences


#: Check that a page can be made. Raises: UnsupportedError with the command that installs what is missing.
check_installed = partial(require, "an HTML page", "jinja2", "matplotlib")


def comparison_page(
    comparison: Comparison,
    tokenizers: Mapping[str, ITokenizer],
    corpus: Corpus,
    baseline: str = "",
    facts: Sequence[tuple[str, str, str]] = (),
) -> bytes:
    """Return the comparison as a self-contained HTML document in UTF-8.

    `tokenizers` are those compared, by name; ratios and differences refer to `baseline`, by default the last name.
    `facts` are what a migration from the baseline to the other means: label, before, after. Passages are read from the
    corpus, which must still be there. Raises: CorpusError; EncodingError;
    UnsupportedError without jinja2 and matplotlib.
    """
    check_installed()
    names = list(comparison.rows)
    baseline = baseline or comparison.baseline or names[-1]
    labels = labels_of(comparison)
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            heading=heading(comparison),
            facts=facts,
            labels=labels,
            baseline=baseline,
            sections=[
                (title, [(column, figures(comparison, column, baseline)) for column in columns])
                for title, columns in sections(comparison, baseline).items()
            ],
            mixed=mixes_lossless(comparison),
            charts=charts(comparison, tokenizers, list(labels.values())),
            files=_files(comparison),
            max_files=_MAX_FILES,
            passages=[(each.source, _cuts(each.text, tokenizers)) for each in passages(corpus)],
            differences=list(_differences(tokenizers, baseline, corpus)),
            versions=comparison.versions,
        )
    )
    return page.encode()


def environment() -> Environment:
    """Return what renders the templates of this folder: every text escaped, what cannot be seen of it shown."""
    from jinja2 import Environment, PackageLoader

    return Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("tokframe.evaluate", "report"),
        finalize=lambda value: printable(value) if type(value) is str else value,
    )


def _files(comparison: Comparison) -> list[tuple[str, int, list[float | None]]]:
    """Return name, bytes, and bytes per token of each tokenizer; the largest files first."""
    rows = list(comparison.rows.values())
    sizes = {name: part.bytes for name, part in rows[0].files.items()}
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    return [(name, sizes[name], [row.files[name].bytes_per_token for row in rows]) for name in names]


def _cuts(text: str, tokenizers: Mapping[str, ITokenizer]) -> Iterator[tuple[str, Any]]:
    """Yield each tokenizer's name with the segments of a text, or with the error that says why there are none."""
    for name, tokenizer in tokenizers.items():
        try:
            yield name, tokenizer.show(text)
        except (EncodingError, UnsupportedError) as error:
            yield name, str(error)


def _differences(
    tokenizers: Mapping[str, ITokenizer], baseline: str, corpus: Corpus
) -> Iterator[tuple[str, str, list[tuple[Difference, Any]]]]:
    for name in [name for name in tokenizers if name != baseline][:_MAX_PAIRS]:
        pair = {name: tokenizers[name], baseline: tokenizers[baseline]}
        better, worse = differences(pair[name], pair[baseline], corpus)
        for first, second, found in ((name, baseline, better), (baseline, name, worse)):
            yield first, second, [(each, _cuts(each.passage.text, pair)) for each in found]
