"""Display: how results read in a terminal, in a notebook, as plain data and as a pandas DataFrame.

What a result holds is its class's: it says its `title` and the `records` of its table, and the rest follows here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tokframe.errors import UnsupportedError
from tokframe.storage.printable import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "dataframe", "html_fragment", "html_table", "plain", "text_table"]

_MAX_ROWS = 60  # shown; all of them are in the data
_MAX_CELL_CHARS = 100
_STYLE = """<style>
.tokframe table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.tokframe th, .tokframe td { padding: .2em .8em .2em 0; text-align: right; font-weight: normal; }
.tokframe th:first-child, .tokframe td:first-child, .tokframe .text { text-align: left; }
.tokframe thead th { font-weight: 600; border-bottom: 1px solid #8886; }
.tokframe .section { text-align: left; font-weight: 600; opacity: .7; padding-top: .8em; }
.tokframe .best { font-weight: 700; text-decoration: underline; text-underline-offset: 3px; }
.tokframe .ratio { display: inline-block; min-width: 4.2em; opacity: .7; font-size: .85em; }
.tokframe .missing { opacity: .6; }
</style>"""


class Result:
    """What every result of tokframe offers beside its own fields.

    `repr` is a table in plain text, in a notebook one in HTML; `to_dict()` is JSON data, `to_pandas()` a DataFrame.
    """

    __slots__ = ()

    @property
    def title(self) -> str:
        """One line that says what this is."""
        return type(self).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data: dicts with text as keys, lists, text, numbers, booleans and None."""
        found: dict[str, Any] = plain(attrs.asdict(self))  # type: ignore[arg-type]  # subclasses are attrs classes
        return found

    def records(self) -> list[dict[str, Any]]:
        """Return the rows of the table, each a dict with the names of columns; by default one per plain figure."""
        return [
            {"figure": name.replace("_", " "), "value": value}
            for name, value in self.to_dict().items()
            if not isinstance(value, (dict, list))
        ]

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as a DataFrame. Raises: UnsupportedError with the command that installs pandas."""
        return dataframe(self.records())

    def __repr__(self) -> str:
        return "\n".join([printable(self.title), *text_table(self.records())])

    def _repr_html_(self) -> str | None:
        return html_fragment(self.title, html_table(self.records()))


def html_fragment(title: str, body: str) -> str:
    """Return a notebook's output of a title and HTML that was escaped already."""
    return f'{_STYLE}<div class="tokframe"><p><strong>{escape(printable(title))}</strong></p>{body}</div>'


def dataframe(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return records as a DataFrame. Raises: UnsupportedError with the command that installs pandas."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        from tokframe.storage.advice import install_command

        raise UnsupportedError(
            f"a DataFrame needs pandas: {install_command('tokframe', 'pandas')}", capability="pandas"
        ) from None
    made: pd.DataFrame = pandas.DataFrame.from_records(list(records))
    return made


def plain(value: Any) -> Any:
    """Return a value as JSON data: arrays as lists, bytes as escaped text, paths as text."""
    if attrs.has(type(value)):
        value = attrs.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def text_table(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: numbers to the right, text to the left, without trailing blanks."""
    names = list(dict.fromkeys(name for record in records for name in record))
    if not names:
        return
    rows = [[_cell(record.get(name)) for name in names] for record in records[:_MAX_ROWS]]
    right = [all(_is_number(record.get(name)) for record in records) for name in names]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, *rows):
        cells = [
            cell.rjust(width) if on_right else cell.ljust(width)
            for cell, width, on_right in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()
    if len(records) > _MAX_ROWS:
        yield f"... {len(records) - _MAX_ROWS:,} more"


def html_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records as an HTML table, every text escaped."""
    names = list(dict.fromkeys(name for record in records for name in record))
    sides = ["" if all(_is_number(record.get(name)) for record in records) else ' class="text"' for name in names]
    columns = list(zip(names, sides, strict=True))
    head = "".join(f'<th scope="col"{side}>{escape(name)}</th>' for name, side in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td{side}>{escape(_cell(record.get(name)))}</td>' for name, side in columns)}</tr>"
        for record in records[:_MAX_ROWS]
    )
    more = f"<p>{len(records) - _MAX_ROWS:,} more</p>" if len(records) > _MAX_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = printable(str(value)).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= _MAX_CELL_CHARS else f"{text[: _MAX_CELL_CHARS - 1]}…"
