"""tokframe: tokenizers as plugins.

Importing it loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

from tokframe._version import __version__

TYPE_CHECKING = False  # the typing module alone would cost more than the rest of this import
if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus as Corpus
    from tokframe.errors import ArtifactCorruptError as ArtifactCorruptError
    from tokframe.errors import ArtifactError as ArtifactError
    from tokframe.errors import ConfigError as ConfigError
    from tokframe.errors import CorpusError as CorpusError
    from tokframe.errors import EncodingError as EncodingError
    from tokframe.errors import InvalidTokenError as InvalidTokenError
    from tokframe.errors import PluginError as PluginError
    from tokframe.errors import RegistryError as RegistryError
    from tokframe.errors import TokframeError as TokframeError
    from tokframe.errors import TrainingError as TrainingError
    from tokframe.errors import TrainingInterrupted as TrainingInterrupted
    from tokframe.errors import UnsupportedError as UnsupportedError
    from tokframe.loading.loading import create as create
    from tokframe.loading.loading import extend as extend
    from tokframe.loading.loading import load as load
    from tokframe.loading.loading import reload_aliases as reload_aliases
    from tokframe.loading.loading import save as save
    from tokframe.loading.loading import train as train
    from tokframe.plugins.discovery import host as host
    from tokframe.plugins.discovery import list_components as list_components
    from tokframe.plugins.hookspecs import hookimpl as hookimpl
    from tokframe.plugins.migrations import Migration as Migration
    from tokframe.plugins.protocols import Check as Check
    from tokframe.plugins.protocols import Quantized as Quantized
    from tokframe.plugins.registry import ComponentSpec as ComponentSpec
    from tokframe.plugins.registry import TokenizerSpec as TokenizerSpec
    from tokframe.plugins.registry import TokframeDeprecationWarning as TokframeDeprecationWarning
    from tokframe.shadowing.tokenizer import shadow as shadow
    from tokframe.storage.config import structure as structure
    from tokframe.storage.config import unstructure as unstructure
    from tokframe.storage.settings import setting as setting
    from tokframe.storage.state import State as State
    from tokframe.tokenizer.base import ITokenizer as ITokenizer
    from tokframe.tokenizer.bigrams import ImpossiblePairs as ImpossiblePairs
    from tokframe.tokenizer.results import Capabilities as Capabilities
    from tokframe.tokenizer.results import Encoding as Encoding
    from tokframe.tokenizer.results import IntArray as IntArray
    from tokframe.tokenizer.results import TokenizerModel as TokenizerModel
    from tokframe.tokenizer.table import TableTokenizer as TableTokenizer
    from tokframe.tokenizer.transfer.embeddings import convert_embeddings as convert_embeddings
    from tokframe.training.job import TrainJob as TrainJob
    from tokframe.training.progress import Reporter as Reporter


_HOMES = {
    "ArtifactCorruptError": "errors",
    "ArtifactError": "errors",
    "Capabilities": "tokenizer.results",
    "Check": "plugins.protocols",
    "ComponentSpec": "plugins.registry",
    "ConfigError": "errors",
    "Corpus": "corpus.files",
    "CorpusError": "errors",
    "Encoding": "tokenizer.results",
    "EncodingError": "errors",
    "ITokenizer": "tokenizer.base",
    "ImpossiblePairs": "tokenizer.bigrams",
    "IntArray": "tokenizer.results",
    "InvalidTokenError": "errors",
    "Migration": "plugins.migrations",
    "PluginError": "errors",
    "Quantized": "plugins.protocols",
    "RegistryError": "errors",
    "Reporter": "training.progress",
    "State": "storage.state",
    "TableTokenizer": "tokenizer.table",
    "TokenizerModel": "tokenizer.results",
    "TokenizerSpec": "plugins.registry",
    "TokframeDeprecationWarning": "plugins.registry",
    "TokframeError": "errors",
    "TrainJob": "training.job",
    "TrainingError": "errors",
    "TrainingInterrupted": "errors",
    "UnsupportedError": "errors",
    "convert_embeddings": "tokenizer.transfer.embeddings",
    "create": "loading.loading",
    "extend": "loading.loading",
    "hookimpl": "plugins.hookspecs",
    "host": "plugins.discovery",
    "list_components": "plugins.discovery",
    "load": "loading.loading",
    "reload_aliases": "loading.loading",
    "save": "loading.loading",
    "setting": "storage.settings",
    "shadow": "shadowing.tokenizer",
    "structure": "storage.config",
    "train": "loading.loading",
    "unstructure": "storage.config",
}

__all__ = [
    "ArtifactCorruptError",
    "ArtifactError",
    "Capabilities",
    "Check",
    "ComponentSpec",
    "ConfigError",
    "Corpus",
    "CorpusError",
    "Encoding",
    "EncodingError",
    "ITokenizer",
    "ImpossiblePairs",
    "IntArray",
    "InvalidTokenError",
    "Migration",
    "PluginError",
    "Quantized",
    "RegistryError",
    "Reporter",
    "State",
    "TableTokenizer",
    "TokenizerModel",
    "TokenizerSpec",
    "TokframeDeprecationWarning",
    "TokframeError",
    "TrainJob",
    "TrainingError",
    "TrainingInterrupted",
    "UnsupportedError",
    "__version__",
    "convert_embeddings",
    "create",
    "extend",
    "hookimpl",
    "host",
    "list_components",
    "load",
    "reload_aliases",
    "save",
    "setting",
    "shadow",
    "structure",
    "train",
    "unstructure",
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
