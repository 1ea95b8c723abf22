"""Contracts for plugin authors: pytest classes to subclass in five lines. Needs `pip install 'tokframe[testing]'`.

pytest and hypothesis are imported with the first contract used, never with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokframe.errors import UnsupportedError
from tokframe.storage.advice import install_command

if TYPE_CHECKING:
    from tokframe.testing.decoder import DecoderContract as DecoderContract
    from tokframe.testing.encoder import EncoderContract as EncoderContract
    from tokframe.testing.engine import EngineContract as EngineContract
    from tokframe.testing.plugin import PluginContract as PluginContract
    from tokframe.testing.quantizer import QuantizerContract as QuantizerContract
    from tokframe.testing.tokenizer import TokenizerContract as TokenizerContract

__all__ = [
    "DecoderContract",
    "EncoderContract",
    "EngineContract",
    "PluginContract",
    "QuantizerContract",
    "TokenizerContract",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tokframe.testing' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    try:
        pytest = import_module("pytest")
        import_module("hypothesis")
    except ImportError as cause:
        raise UnsupportedError(
            f"tokframe.testing needs pytest and hypothesis ({cause}). Try: {install_command('tokframe', 'testing')}",
            capability="testing",
        ) from cause
    module = f"tokframe.testing.{name.removesuffix('Contract').lower()}"
    pytest.register_assert_rewrite(module, "tokframe.testing.component")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value
