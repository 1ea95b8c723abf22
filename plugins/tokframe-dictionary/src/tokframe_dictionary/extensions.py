"""Compiled extensions of this distribution, each with a plain-Python module that does the same where it is missing."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from tokframe.storage.advice import install_command

__all__ = ["SlowSearchWarning", "extension"]

_warned: set[str] = set()


class SlowSearchWarning(RuntimeWarning):
    """A compiled extension is missing and plain Python does its work."""


def extension(name: str, plain: ModuleType) -> ModuleType:
    """Return the module `tokframe_dictionary.<name>`, or `plain` with one warning per process if it was not built."""
    try:
        return importlib.import_module(f"tokframe_dictionary.{name}")
    except ImportError:
        if name not in _warned:
            _warned.add(name)
            again = install_command("tokframe-dictionary", options=["--force-reinstall", "--no-deps"])
            warnings.warn(
                f"the compiled module {name} of tokframe-dictionary is missing, so plain Python is used: the same "
                "results, a hundred times slower or more. Install a C compiler (Debian: apt install gcc python3-dev; "
                f"macOS: xcode-select --install), then run: {again}",
                SlowSearchWarning,
                stacklevel=4,
            )
        return plain
