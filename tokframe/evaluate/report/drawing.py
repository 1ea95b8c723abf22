"""Drawing: matplotlib in one style, to a PNG file or to inline SVG whose colors are the page's CSS variables."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tokframe.errors import UnsupportedError

__all__ = ["FAINT", "INK", "MARKERS", "SERIES", "logarithmic", "plain", "printable", "require", "save_png", "svg"]

INK, FAINT, RULE, PAPER = "#1a1f26", "#5b6673", "#dfe3e8", "#ffffff"
SERIES = ("#1f6feb", "#d9730d", "#1a8f4a", "#b0309c", "#0e8a9c", "#c2303d", "#7a5a16", "#5f5cd6")
MARKERS = "os^DvP"

_CSS = {INK: "--ink", FAINT: "--faint", RULE: "--rule", PAPER: "--paper"} | {
    color: f"--c{number}" for number, color in enumerate(SERIES)
}
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": RULE,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markeredgecolor": PAPER,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tokframe",  # the same drawing is the same file
    "text.color": INK,
    "text.parse_math": False,  # "$" in a file name is a dollar
    "xtick.color": FAINT,
    "xtick.labelsize": 9,
    "ytick.color": FAINT,
    "ytick.labelsize": 9,
}
# What cannot be seen, or turns the direction of what stands beside it; joiners stay, for they make emoji one.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_NAMESPACES = re.compile(r"\{[^}]*\}")
_FONT = re.compile(r"(font-family:[^;]*|font-size-adjust:[^;]*);?")


def require(purpose: str, *modules: str) -> None:
    """Check that modules of the extra `report` are installed. Raises: UnsupportedError with the command to run."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        need = f"{purpose} needs {' and '.join(missing)}: pip install 'tokframe[report]'"
        raise UnsupportedError(need, capability="report")


def printable(text: str) -> str:
    """Return text with controls, lone surrogates and marks without width written as escapes."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def plain(value: float, *_: object) -> str:
    """Return a number as an axis shows it: 2.5, 20k, 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def logarithmic(axes: Any) -> None:
    """Make both axes logarithmic, ticks at powers of ten."""
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_major_formatter(plain)
        axis.set_minor_formatter("")


def save_png(path: Path, draw: Callable[[Any], None]) -> None:
    """Let `draw` fill the axes of a figure of 1200 x 720 pixels, and write it."""
    with _figure(8, 4.8, 0.12, draw) as figure:
        figure.savefig(path, dpi=150, facecolor=PAPER, metadata={"Software": None})


def svg(title: str, height: float, draw: Callable[[Any], None], tips: Mapping[str, Sequence[str]] | None = None) -> str:
    """Let `draw` fill the axes of a figure 360 units wide, a phone's width, and return it as an SVG element.

    `tips` are tooltips of the markers of each artist, by its gid.
    """
    written = io.StringIO()
    with _figure(5, height / 72, 0.04, draw) as figure:
        figure.savefig(
            written, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    root = ElementTree.fromstring(written.getvalue())
    for part in root.iter():
        part.tag = _NAMESPACES.sub("", part.tag)
        part.attrib = {_NAMESPACES.sub("", name): value for name, value in part.attrib.items()}
    _expand_markers(root, tips or {})
    for parent in list(root.iter()):
        for part in [part for part in parent if part.tag in ("defs", "metadata")]:
            parent.remove(part)
        parent.attrib.pop("id", None)
        parent.attrib.pop("clip-path", None)
        if "style" in parent.attrib:
            parent.set("style", _css(parent.attrib["style"]))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    _put_title(root, title)
    return ElementTree.tostring(root, encoding="unicode", method="html")


@contextmanager
def _figure(width: float, height: float, pad: float, draw: Callable[[Any], None]) -> Iterator[Any]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the reader's browser has its own fonts
        figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=pad, h_pad=pad)
        draw(figure.add_subplot())
        yield figure


def _expand_markers(root: ElementTree.Element, tips: Mapping[str, Sequence[str]]) -> None:
    """Turn references to a marker into paths of their own, so that the element needs no ids, and add tooltips."""
    shapes = {part.get("id"): part for part in root.iter("path") if part.get("id")}
    groups = {part.get("id"): list(part.iter("use")) for part in root.iter("g") if part.get("id") in tips}
    for use in list(root.iter("use")):
        shape = shapes[use.attrib.pop("href").removeprefix("#")]
        place = f"translate({use.attrib.pop('x')},{use.attrib.pop('y')})"
        use.tag = "path"
        use.attrib = {"d": shape.attrib["d"], "transform": place, "style": f"{use.get('style')}; {shape.get('style')}"}
    for name, texts in tips.items():
        for mark, text in zip(groups[name], texts, strict=True):
            _put_title(mark, text)


def _put_title(element: ElementTree.Element, text: str) -> None:
    title = ElementTree.Element("title")
    title.text = text
    element.insert(0, title)


def _css(style: str) -> str:
    """Return a style with the page's variables for colors, and without a font: the page has its own."""
    return re.sub("#[0-9a-f]{6}", lambda color: f"var({_CSS.get(color[0], '--ink')})", _FONT.sub("", style))
