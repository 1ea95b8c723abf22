"""tokframe: tokenizers as plugins.

Importing it loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the typing module alone would cost more than the rest of this import
if TYPE_CHECKING:
    from tokframe.components import ComponentSpec as ComponentSpec
    from tokframe.components import TokenizerSpec as TokenizerSpec
    from tokframe.components import TokframeDeprecationWarning as TokframeDeprecationWarning
    from tokframe.corpus import Corpus as Corpus
    from tokframe.errors import ArtifactError as ArtifactError
    from tokframe.errors import ConfigError as ConfigError
    from tokframe.errors import CorpusError as CorpusError
    from tokframe.errors import EncodingError as EncodingError
    from tokframe.errors import PluginError as PluginError
    from tokframe.errors import RegistryError as RegistryError
    from tokframe.errors import TokframeError as TokframeError
    from tokframe.errors import TrainingError as TrainingError
    from tokframe.errors import UnsupportedError as UnsupportedError
    from tokframe.hookspecs import hookimpl as hookimpl
    from tokframe.interfaces import ITokenizer as ITokenizer
    from tokframe.loading import create as create
    from tokframe.loading import load as load
    from tokframe.loading import save as save
    from tokframe.loading import train as train
    from tokframe.plugins import host as host
    from tokframe.plugins import list_components as list_components
    from tokframe.shadowing import shadow as shadow

__version__ = "0.1.0"

_HOMES = {
    "ArtifactError": "errors",
    "ComponentSpec": "components",
    "ConfigError": "errors",
    "Corpus": "corpus",
    "CorpusError": "errors",
    "EncodingError": "errors",
    "ITokenizer": "interfaces",
    "PluginError": "errors",
    "RegistryError": "errors",
    "TokenizerSpec": "components",
    "TokframeDeprecationWarning": "components",
    "TokframeError": "errors",
    "TrainingError": "errors",
    "UnsupportedError": "errors",
    "create": "loading",
    "hookimpl": "hookspecs",
    "host": "plugins",
    "list_components": "plugins",
    "load": "loading",
    "save": "loading",
    "shadow": "shadowing",
    "train": "loading",
}

__all__ = [
    "ArtifactError",
    "ComponentSpec",
    "ConfigError",
    "Corpus",
    "CorpusError",
    "EncodingError",
    "ITokenizer",
    "PluginError",
    "RegistryError",
    "TokenizerSpec",
    "TokframeDeprecationWarning",
    "TokframeError",
    "TrainingError",
    "UnsupportedError",
    "__version__",
    "create",
    "hookimpl",
    "host",
    "list_components",
    "load",
    "save",
    "shadow",
    "train",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tokframe' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"tokframe.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
