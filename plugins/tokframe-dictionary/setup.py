"""Builds the compiled search and the miner's counting; everything else is in pyproject.toml."""

import os
from glob import glob

from setuptools import Extension, setup

# Optional: without a C compiler the install succeeds and pure Python takes over, with a warning that says so.
# Wheels that others install must have it.
setup(
    ext_modules=[
        Extension(
            f"tokframe_dictionary.{package}._{name}",
            [f"src/tokframe_dictionary/{package}/_{name}.c"],
            depends=sorted(glob(f"src/tokframe_dictionary/{package}/_*.h")),
            extra_compile_args=["-O3"],
            optional="TOKFRAME_REQUIRE_COMPILED" not in os.environ,
        )
        for package, name in (("segmenter", "search"), ("mining", "mine"))
    ]
)
