"""Plots: an analysis as PNG files: frequencies, lengths, utilization as text grows, and levels per code dimension."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokframe.evaluate.report.drawing import FAINT, INK, SERIES, logarithmic, require, save_png
from tokframe.storage.paths import expanded
from tokframe.storage.places import disk_errors

if TYPE_CHECKING:
    from tokframe.evaluate.analysis import Analysis

__all__ = ["check_installed", "save_plots"]

_Titles = tuple[str, str, str, str]  # title, what it shows, label of the x axis, label of the y axis
_Draw = Callable[["Analysis", Any], _Titles]


#: Check that plots can be drawn. Raises: UnsupportedError with the command that installs matplotlib.
check_installed = partial(require, "plotting", "matplotlib")


def save_plots(analysis: Analysis, folder: str | Path) -> list[Path]:
    """Write the plots of an analysis to a folder, which is created if missing, and return their paths.

    Raises: UnsupportedError without matplotlib; ArtifactError where the folder cannot be written.
    """
    check_installed()
    target = expanded(folder)
    with disk_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, _Draw] = {
        "frequencies": _frequencies,
        "lengths": _lengths,
        "utilisation": _utilization,
        "pruning": _pruning,
    }
    if analysis.own.get("level_use"):
        drawings["levels"] = _levels
    for name, draw in drawings.items():
        save_png(target / f"{name}.png", partial(_titled, analysis, draw))
    return [target / f"{name}.png" for name in drawings]


def _titled(analysis: Analysis, draw: _Draw, axes: Any) -> None:
    title, below, x, y = draw(analysis, axes)
    below = f"{analysis.label or analysis.name} on {analysis.text_bytes / 1e6:,.1f} MB of text; {below}"
    axes.set_title(title, fontsize=13, fontweight="bold", pad=26)
    axes.text(0, 1.03, below, transform=axes.transAxes, fontsize=9.5, color=FAINT)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _frequencies(analysis: Analysis, axes: Any) -> _Titles:
    ordered = np.sort(analysis.counts[analysis.counts > 0])[::-1]
    ranks = np.arange(1, len(ordered) + 1)
    logarithmic(axes)
    axes.plot(ranks, ordered)
    axes.fill_between(ranks, ordered, 0.8, alpha=0.10)
    axes.axvline(analysis.vocab_size, color=FAINT, linestyle=":", linewidth=1.2)
    if len(ordered):
        label = f"all {analysis.vocab_size:,} ids "
        axes.text(analysis.vocab_size, ordered[0], label, ha="right", va="top", fontsize=9, color=FAINT)
        axes.set_ylim(bottom=0.8)
    below = f"{analysis.used:,} ids occur, perplexity {analysis.perplexity:,.0f}"
    return "How often each id is used", below, "rank of the id", "times used"


def _lengths(analysis: Analysis, axes: Any) -> _Titles:
    rows = analysis.length_distribution()
    sizes, ids, tokens = np.array(rows, float).reshape(-1, 3).T
    axes.bar(sizes - 0.2, 100 * ids / max(1.0, ids.sum()), 0.4, color=SERIES[1], label="of the vocabulary")
    axes.bar(sizes + 0.2, 100 * tokens / max(1.0, tokens.sum()), 0.4, color=SERIES[0], label="of the text's tokens")
    axes.set_xlim(left=sizes.min(initial=1) - 0.8, right=min(int(sizes.max(initial=1)), 32) + 0.8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    axes.grid(visible=False, axis="x")
    return "Length of tokens", f"{analysis.bytes_per_token:.2f} bytes a token", "bytes", "percent"


def _utilization(analysis: Analysis, axes: Any) -> _Titles:
    seen = np.sort(analysis.first_seen[analysis.first_seen >= 0])
    share = 100 * np.arange(1, len(seen) + 1) / analysis.vocab_size
    axes.plot(np.append(seen, analysis.text_bytes) / 1e6, np.append(share, share[-1:]))
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    below = f"{analysis.used:,} of {analysis.vocab_size:,} ids ({analysis.utilization:.1%}) occur"
    return "Share of ids seen as the text grows", below, "MB of text", "percent of ids"


def _pruning(analysis: Analysis, axes: Any) -> _Titles:
    points = analysis.sizes or [(point.kept, point.tokens) for point in analysis.pruning]
    kept = [size for size, _ in points]
    per_token = [analysis.text_bytes / max(1, tokens) for _, tokens in points]
    axes.plot(kept, per_token, marker="o", markersize=5)
    for x, y in zip(kept, per_token, strict=True):
        axes.annotate(f"{y:.2f}", (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axes.set_ylim(0, max(per_token, default=1.0) * 1.15)
    axes.set_xscale("log", base=2)
    axes.set_xticks(kept, [f"{size:,}" for size in kept])
    axes.minorticks_off()
    if analysis.sizes:
        return "Smaller vocabularies", "as tokframe prune makes them", "ids", "bytes per token"
    below = "dropped ids are respelled by kept ones, an estimate"
    return "If only the most used ids were kept", below, "ids kept", "bytes per token"


def _levels(analysis: Analysis, axes: Any) -> _Titles:
    use = [np.asarray(levels, float) for levels in analysis.own["level_use"]]
    widest = max(len(levels) for levels in use)
    shares = np.full((len(use), widest), np.nan)
    for dimension, levels in enumerate(use):
        shares[dimension, : len(levels)] = 100 * levels / max(1.0, levels.sum())
    picture = axes.imshow(shares, cmap="Blues", vmin=0, aspect="auto")
    middle = np.nanmax(shares) / 2
    for (dimension, level), share in np.ndenumerate(shares):
        color = "white" if share > middle else INK
        text = "" if np.isnan(share) else f"{share:.0f}%"
        axes.text(level, dimension, text, ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(widest))
    axes.set_yticks(range(len(use)))
    axes.grid(visible=False)
    axes.figure.colorbar(picture, ax=axes, label="percent of the dimension", shrink=0.85).outline.set_visible(False)
    return "Use of code levels", "ids per dimension of the code", "level", "dimension"
