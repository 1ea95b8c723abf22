"""Charts as inline SVG: dots on a scale, bars, lines. Colours are the page's CSS classes; each series also has a shape.

All are 360 units wide, which is a phone's width, and are drawn larger where there is room.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from attrs import frozen

from tokframe.evaluate.report.markup import node

__all__ = ["Curve", "bars", "curves", "dots", "marker"]

_WIDTH = 360
_RIGHT = 12
_ROW = 20
_AXIS = 26
_TICKS = 4


@frozen(kw_only=True)
class Curve:
    """One line of a chart: its number among the series, which gives colour and shape, and its points."""

    series: int
    points: Sequence[tuple[float, float]]


def dots(
    title: str, rows: Sequence[tuple[str, Sequence[float | None]]], text: Callable[[float], str] = "{:.2f}".format
) -> Element:
    """Return one row a label, with a dot per series on a scale from 0; a None has no dot."""
    left = _label_width([label for label, _ in rows])
    top = max((value for _, values in rows for value in values if value is not None), default=1.0) or 1.0
    steps, top = _steps(top)
    height = _ROW * len(rows) + _AXIS
    plot = _WIDTH - left - _RIGHT

    def x(value: float) -> float:
        return left + plot * value / top

    parts = [_vertical(x(step), 4, height - _AXIS + 2, _plain(step), height - 10) for step in steps]
    for number, (label, values) in enumerate(rows):
        y = 4 + _ROW * (number + 0.5)
        known = [value for value in values if value is not None]
        parts.append(node("text", _short(label, left), x=left - 8, y=y + 4, text_anchor="end", class_="label"))
        if known:
            parts.append(node("line", x1=x(min(known)), x2=x(max(known)), y1=y, y2=y, class_="range"))
        for series, value in enumerate(values):
            if value is not None:
                spot = marker(series, x(value), y)
                spot.append(node("title", f"{label}: {text(value)}"))
                parts.append(spot)
    return _svg(title, height, parts)


def bars(title: str, rows: Sequence[tuple[str, int, float | None, str]], top: float | None = None) -> Element:
    """Return one bar a row of (label, series, value, text beside it); None draws the text alone."""
    left = _label_width([label for label, *_ in rows])
    room = max((len(text) for *_, text in rows), default=0) * 6.2 + 8
    plot = _WIDTH - left - room
    top = top or max((value for _, _, value, _ in rows if value is not None), default=1.0) or 1.0
    parts: list[Element] = []
    for number, (label, series, value, text) in enumerate(rows):
        y = 4 + _ROW * number
        width = 0.0 if value is None else plot * value / top
        parts.append(node("text", _short(label, left), x=left - 8, y=y + 14, text_anchor="end", class_="label"))
        parts.append(
            node("rect", x=left, y=y + 3, width=max(width, 1.0), height=14, rx=2, class_=f"fill f{series % 8}")
        )
        parts.append(node("text", text, x=left + width + 6, y=y + 14, class_="value"))
    return _svg(title, _ROW * len(rows) + 8, parts)


def curves(
    title: str, lines: Sequence[Curve], x_title: str, y_title: str, logarithmic: bool = False, percent: bool = False
) -> Element:
    """Return lines over linear axes from 0, or over two logarithmic ones from 1."""
    left, height, bottom, above = 46, 230, 38, 22
    wide = max((x for line in lines for x, _ in line.points), default=1.0)
    high = max((y for line in lines for _, y in line.points), default=1.0) or 1.0
    if logarithmic:
        x_steps, y_steps = _decades(wide), _decades(high)
        x_top, y_top = math.log10(max(wide, 10)), math.log10(max(high, 10))
    else:
        (x_steps, _), (y_steps, y_top) = _steps(wide), _steps(high)
        x_top = wide or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        if logarithmic:
            x, y = math.log10(max(x, 1)), math.log10(max(y, 1))
        across = left + (_WIDTH - left - _RIGHT) * x / x_top
        return across, above + (height - above - bottom) * (1 - y / y_top)

    floor = height - bottom
    parts = [
        _vertical(at(step, 1)[0], above, floor, _plain(step), floor + 14) for step in x_steps if step <= wide * 1.001
    ]
    for step in y_steps:
        y = at(1, step)[1]
        parts.append(node("line", x1=left, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        text = _plain(step) + ("%" if percent else "")
        parts.append(node("text", text, x=left - 6, y=y + 4, text_anchor="end", class_="tick"))
    parts.append(node("text", x_title, x=_WIDTH - _RIGHT, y=height - 6, text_anchor="end", class_="tick"))
    parts.append(node("text", y_title, x=4, y=12, class_="tick"))
    for line in lines:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line.points))
        parts.append(node("polyline", points=path, class_=f"curve s{line.series % 8}"))
        spots = line.points if len(line.points) <= 24 else line.points[:: len(line.points) // 6]
        parts += [marker(line.series, *at(*point), size=0.75) for point in spots]
    return _svg(title, height, parts)


def marker(series: int, x: float, y: float, size: float = 1.0) -> Element:
    """Return the mark of a series, a shape about 10 units across, at a point."""
    shapes = (
        "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
        "M-4.5,-4.5H4.5V4.5H-4.5Z",
        "M0,-5.5L5.5,4.5H-5.5Z",
        "M0,-6L6,0L0,6L-6,0Z",
        "M0,5.5L5.5,-4.5H-5.5Z",
        "M-1.8,-5.5H1.8V-1.8H5.5V1.8H1.8V5.5H-1.8V1.8H-5.5V-1.8H-1.8Z",
    )
    place = f"translate({x:.1f},{y:.1f}) scale({size:g})"
    return node("path", d=shapes[series % len(shapes)], transform=place, class_=f"mark f{series % 8}")


def _svg(title: str, height: float, parts: Sequence[Element]) -> Element:
    return node("svg", node("title", title), *parts, viewBox=f"0 0 {_WIDTH} {height:g}", role="img", aria_label=title)


def _vertical(x: float, top: float, bottom: float, text: str, text_y: float) -> Element:
    return node(
        "g",
        node("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"),
        node("text", text, x=x, y=text_y, text_anchor="middle", class_="tick"),
    )


def _label_width(labels: Sequence[str]) -> float:
    return min(124.0, 14 + 6.6 * max((len(label) for label in labels), default=0))


def _short(label: str, width: float) -> str:
    """Return a label that fits, its end kept: ends tell file names apart."""
    most = int((width - 8) / 6.4)
    return label if len(label) <= most else "\u2026" + label[1 - most :]


def _steps(top: float) -> tuple[list[float], float]:
    """Return round numbers from 0 to at least `top`, and the last of them."""
    rough = top / _TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * 0.999)
    count = math.ceil(top / step - 1e-9)
    return [step * i for i in range(count + 1)], step * count


def _decades(top: float) -> list[float]:
    return [10.0**power for power in range(math.ceil(math.log10(max(top, 10))) + 1) if 10.0**power <= max(top, 10)]


def _plain(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
