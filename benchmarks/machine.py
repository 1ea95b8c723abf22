"""Where and with what a run was made."""

from __future__ import annotations

import datetime
import os
import platform
from typing import Any

import numpy

import tokframe
from benchmarks import ours, texts

__all__ = ["describe"]


def describe(*, quick: bool) -> dict[str, Any]:
    """Return the facts that the report's head shows."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "quick": quick,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "torch": _version("torch"),
        "tokframe": tokframe.__version__,
        "flagship": ours.flagship_name(),
        "corpus": texts.corpus_folder() is not None,
    }


def _version(distribution: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
