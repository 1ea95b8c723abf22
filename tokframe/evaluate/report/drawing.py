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
from tokframe.storage.advice import install_command
from tokframe.storage.places import write_output

__all__ = ["FAINT", "INK", "SERIES", "logarithmic", "require", "save_png", "svg"]

INK, FAINT, RULE, PAPER = "#1a1f26", "#5b6673", "#dfe3e8", "#ffffff"
SERIES = ("#1f6feb", "#d9730d", "#1a8f4a", "#b0309c", "#0e8a9c", "#c2303d", "#7a5a16", "#5f5cd6")

_VARIABLES = dict(zip((INK, FAINT, RULE, PAPER), ("--ink", "--faint", "--rule", "--paper"), strict=True))
_VARIABLES |= {color: f"--c{number}" for number, color in enumerate(SERIES)}
_NAMESPACE, _COLOR = re.compile(r"\{[^}]*\}"), re.compile("#[0-9a-f]{6}")


def require(purpose: str, *modules: str) -> None:
    """Check that modules of the extra `report` are installed. Raises: UnsupportedError with the command to run."""
    missing = " and ".join(name for name in modules if find_spec(name) is None)
    if missing:
        raise UnsupportedError(
            f"{purpose} needs {missing}: {install_command('tokframe', 'report')}", capability="report"
        )


def logarithmic(axes: Any) -> None:
    """Make both axes logarithmic, with ticks at powers of ten such as 100, 1k, 10k."""
    from matplotlib.ticker import EngFormatter

    axes.loglog()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(EngFormatter(sep=""))
        axis.set_minor_formatter("")


def save_png(path: Path, draw: Callable[[Any], None]) -> None:
    """Let `draw` fill the axes of a figure of 1200 x 720 pixels, and write it whole."""
    written = io.BytesIO()
    with _figure(8, 4.8, 0.12, draw) as figure:
        figure.savefig(written, format="png", dpi=150, facecolor=PAPER, metadata={"Software": None})
    write_output(path, written.getvalue())


def svg(title: str, height: float, draw: Callable[[Any], None], tips: Mapping[str, Sequence[str]] | None = None) -> str:
    """Let `draw` fill the axes of a figure 360 units wide, a phone's width, and return it as an SVG element.

    `tips` are the tooltips of the markers of each artist, by its gid.
    """
    written = io.StringIO()
    with _figure(5, height / 72, 0.04, draw) as figure:
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(written.getvalue())
    for part in root.iter():
        part.tag = _NAMESPACE.sub("", part.tag)
        part.attrib = {_NAMESPACE.sub("", name): value for name, value in part.attrib.items()}
    _expand_markers(root, tips or {})
    for part in list(root.iter()):
        part[:] = [child for child in part if child.tag not in ("defs", "metadata")]
        part.attrib = {name: value for name, value in part.attrib.items() if name not in ("id", "clip-path")}
        if style := part.get("style"):
            part.set("style", _COLOR.sub(lambda color: f"var({_VARIABLES.get(color[0], '--ink')})", style))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    _put_title(root, title)
    return ElementTree.tostring(root, encoding="unicode", method="html")


def _expand_markers(root: ElementTree.Element, tips: Mapping[str, Sequence[str]]) -> None:
    """Turn each reference to a marker into a path, so that the drawing needs no ids, and give it its tooltip."""
    shapes = {part.get("id"): part for part in root.iter("path")}
    marks = {part.get("id"): list(part.iter("use")) for part in root.iter("g")}
    for use in list(root.iter("use")):
        shape = shapes[use.attrib["href"].removeprefix("#")]
        use.attrib = {
            "d": shape.attrib["d"],
            "transform": f"translate({use.get('x')},{use.get('y')})",
            "style": f"{use.get('style')}; {shape.get('style')}",
        }
        use.tag = "path"
    for name, texts in tips.items():
        for mark, text in zip(marks[name], texts, strict=True):
            _put_title(mark, text)


def _put_title(element: ElementTree.Element, text: str) -> None:
    title = ElementTree.Element("title")
    title.text = text
    element.insert(0, title)


@contextmanager
def _figure(width: float, height: float, pad: float, draw: Callable[[Any], None]) -> Iterator[Any]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    with rc_context(fname=Path(__file__).with_name("drawing.mplstyle")), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the reader's browser has its own fonts
        figure = Figure(figsize=(width, height), dpi=72)
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=pad, h_pad=pad)
        draw(figure.add_subplot())
        yield figure
