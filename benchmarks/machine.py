"""Machine: where and with which versions a run was made."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from typing import Any

import numpy

import tokframe
from benchmarks import ours, texts

__all__ = ["describe"]


def describe(processor: str, *, quick: bool) -> dict[str, Any]:
    """Return the facts that the report's head shows."""
    try:
        torch = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        torch = "not installed"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "quick": quick,
        "processor": processor or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "torch": torch,
        "tokframe": tokframe.__version__,
        "flagship": ours.flagship_name(),
        "corpus": texts.corpus_folder() is not None,
    }
