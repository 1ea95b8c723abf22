"""Advice: the commands that install what is missing, as errors tell them. Where to tell them is left to the callers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CATALOG", "FIRST_PARTY", "install_advice", "install_command", "missing_module"]

#: Distribution of this project, and its extra -> what it is for, and a module that is there where it is installed.
CATALOG = {
    ("tokframe", "report"): ("HTML pages and plots of compare and analyze", "matplotlib"),
    ("tokframe", "pandas"): ("results as data frames", "pandas"),
    ("tokframe", "parquet"): ("text from Parquet files", "pyarrow"),
    ("tokframe", "zstd"): ("text from .zst files", "zstandard"),
    ("tokframe", "testing"): ("the contracts that plugin authors subclass", "hypothesis"),
    ("tokframe-autoencoder", ""): ("tokenizers autoencoder-fsq and autoencoder-vq", "tokframe_autoencoder"),
    ("tokframe-autoencoder", "train"): ("train and verify them, with torch", "tokframe_torch"),
    ("tokframe-bpe", ""): ("tokenizer bpe", "tokframe_bpe"),
    ("tokframe-dictionary", ""): ("tokenizer dictionary: no network, no torch", "tokframe_dictionary"),
    ("tokframe-word", ""): ("tokenizer word, to migrate from", "tokframe_word"),
    ("tokframe-huggingface", ""): ("export to and import from transformers, TokframeTokenizer", "tokframe_huggingface"),
    ("tokframe-huggingface", "tiktoken"): ("import and export of tiktoken files", "tiktoken"),
    ("tokframe-huggingface", "sentencepiece"): ("import of sentencepiece models", "sentencepiece"),
    ("tokframe-lm", ""): ("language models over any tokenizer: tokframe lm", "tokframe_lm"),
    ("tokframe-ray", ""): ("engine ray: tokenize on a cluster", "tokframe_ray"),
    ("tokframe-vector-quantize", ""): ("quantizers rfsq and lfq", "tokframe_vector_quantize"),
}
#: The distributions of this project. A name from outside, such as an artifact's, becomes a command only if it is here.
FIRST_PARTY = frozenset({*(name for name, _ in CATALOG), "tokframe-torch"})


def install_command(distribution: str, extra: str = "", options: Sequence[str] = ()) -> str:
    """Return the shell command that installs a distribution, with what its `extra` needs.

    No index has this project's distributions where tokframe itself came from a checkout or a wheel: then they come from
    there too, with those that they need and that are not installed. `options` are pip's own, e.g. `--upgrade`.
    """
    import shlex  # most processes give no advice

    sources = _sources(distribution, extra) if distribution in FIRST_PARTY else []
    return shlex.join(["pip", "install", *options, *(sources or [_with_extra(distribution, extra)])])


def install_advice(distribution: str) -> str:
    """Return what to do about a missing distribution that a file names: who made the file chose the name."""
    if distribution in FIRST_PARTY:
        return f"Try: {install_command(distribution)}"
    return "It is not a plugin of this project: install it only if you know it"


def missing_module(error: BaseException) -> str:
    """Return the module that is not installed and whose import failed, where that is what an error comes from."""
    from importlib.util import find_spec

    cause: BaseException | None = error
    while cause is not None:
        name = (cause.name or "").partition(".")[0] if isinstance(cause, ModuleNotFoundError) else ""
        if name.isidentifier() and find_spec(name) is None:
            return name
        cause = cause.__cause__ or cause.__context__
    return ""


def _with_extra(name: str, extra: str) -> str:
    return f"{name}[{extra}]" if extra else name


def _sources(distribution: str, extra: str) -> list[str]:
    """Return pip's arguments for a distribution of this project where tokframe came from, or none."""
    import json
    import os
    from importlib import metadata
    from pathlib import Path
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        origin = json.loads(metadata.distribution("tokframe").read_text("direct_url.json") or "{}")
        url = urlsplit(origin.get("url", ""))
        place = Path(url2pathname(url.path))
        if url.scheme != "file":
            return []
        if "archive_info" in origin:  # beside a wheel lie the others
            found = any(place.parent.glob(f"{distribution.replace('-', '_')}-*"))
            return ["--find-links", str(place.parent), _with_extra(distribution, extra)] if found else []
        if place == Path.cwd():
            place = Path(os.curdir)
        return list(_projects(place, distribution, extra))
    except (metadata.PackageNotFoundError, OSError, ValueError, AttributeError, TypeError):  # another tool's file
        return []


def _projects(checkout: Path, distribution: str, extra: str) -> Iterator[str]:
    """Yield the folders of a distribution and of what it needs of this project and is not installed, that first.

    Raises: OSError or ValueError where the checkout is not what it was.
    """
    import re
    import tomllib
    from importlib.util import find_spec

    folder = checkout if distribution == "tokframe" else checkout / "plugins" / distribution
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for needed in [*project["dependencies"], *project.get("optional-dependencies", {}).get(extra, ())]:
        match = re.match(r"([a-z-]+)(?:\[([a-z,]+)\])?", needed)
        if match and match[1] in FIRST_PARTY and find_spec(match[1].replace("-", "_")) is None:
            yield from _projects(checkout, match[1], match[2] or "")
    name = str(folder)
    yield _with_extra(name if folder.is_absolute() or name == "." else f"./{name}", extra)
