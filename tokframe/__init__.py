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
    from tokframe.evaluate.analysis import Analysis as Analysis
    from tokframe.evaluate.calls import analyze as analyze
    from tokframe.evaluate.calls import compare as compare
    from tokframe.evaluate.comparison import Comparison as Comparison
    from tokframe.loading.configs import ConfigKeys as ConfigKeys
    from tokframe.loading.configs import config as config
    from tokframe.loading.configs import training_config as training_config
    from tokframe.loading.counting import Counts as Counts
    from tokframe.loading.counting import Vocabulary as Vocabulary
    from tokframe.loading.counting import count as count
    from tokframe.loading.counting import vocab as vocab
    from tokframe.loading.exporting import Export as Export
    from tokframe.loading.exporting import export as export
    from tokframe.loading.inspection import info as info
    from tokframe.loading.inspection import verify as verify
    from tokframe.loading.loading import create as create
    from tokframe.loading.loading import extend as extend
    from tokframe.loading.loading import load as load
    from tokframe.loading.loading import prune as prune
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
    from tokframe.shards.job import tokenize as tokenize
    from tokframe.storage.config import structure as structure
    from tokframe.storage.config import unstructure as unstructure
    from tokframe.storage.settings import setting as setting
    from tokframe.storage.state import State as State
    from tokframe.tokenizer.base import ITokenizer as ITokenizer
    from tokframe.tokenizer.bigrams import ImpossiblePairs as ImpossiblePairs
    from tokframe.tokenizer.display import Result as Result
    from tokframe.tokenizer.results import Capabilities as Capabilities
    from tokframe.tokenizer.results import Encoding as Encoding
    from tokframe.tokenizer.results import IntArray as IntArray
    from tokframe.tokenizer.results import TokenizerModel as TokenizerModel
    from tokframe.tokenizer.results import TrainingRecord as TrainingRecord
    from tokframe.tokenizer.results import VerifyReport as VerifyReport
    from tokframe.tokenizer.table import TableTokenizer as TableTokenizer
    from tokframe.tokenizer.transfer.embeddings import convert_embeddings as convert_embeddings
    from tokframe.training.job import TrainJob as TrainJob
    from tokframe.training.progress import Reporter as Reporter
    from tokframe.training.progress import SilentReporter as SilentReporter
    from tokframe.training.tracking import TensorBoardReporter as TensorBoardReporter
    from tokframe.training.tracking import TrackingReporter as TrackingReporter
    from tokframe.training.tracking import WandbReporter as WandbReporter

if TYPE_CHECKING:
    from typing import Any


_HOMES = {
    "Analysis": "evaluate.analysis",
    "ArtifactCorruptError": "errors",
    "ArtifactError": "errors",
    "Capabilities": "tokenizer.results",
    "Check": "plugins.protocols",
    "Comparison": "evaluate.comparison",
    "ComponentSpec": "plugins.registry",
    "ConfigError": "errors",
    "ConfigKeys": "loading.configs",
    "Corpus": "corpus.files",
    "CorpusError": "errors",
    "Counts": "loading.counting",
    "Encoding": "tokenizer.results",
    "EncodingError": "errors",
    "Export": "loading.exporting",
    "ITokenizer": "tokenizer.base",
    "ImpossiblePairs": "tokenizer.bigrams",
    "IntArray": "tokenizer.results",
    "InvalidTokenError": "errors",
    "Migration": "plugins.migrations",
    "PluginError": "errors",
    "Quantized": "plugins.protocols",
    "RegistryError": "errors",
    "Reporter": "training.progress",
    "Result": "tokenizer.display",
    "SilentReporter": "training.progress",
    "State": "storage.state",
    "TableTokenizer": "tokenizer.table",
    "TensorBoardReporter": "training.tracking",
    "TokenizerModel": "tokenizer.results",
    "TokenizerSpec": "plugins.registry",
    "TokframeDeprecationWarning": "plugins.registry",
    "TokframeError": "errors",
    "TrackingReporter": "training.tracking",
    "TrainJob": "training.job",
    "TrainingError": "errors",
    "TrainingInterrupted": "errors",
    "TrainingRecord": "tokenizer.results",
    "UnsupportedError": "errors",
    "VerifyReport": "tokenizer.results",
    "Vocabulary": "loading.counting",
    "WandbReporter": "training.tracking",
    "analyze": "evaluate.calls",
    "compare": "evaluate.calls",
    "config": "loading.configs",
    "convert_embeddings": "tokenizer.transfer.embeddings",
    "count": "loading.counting",
    "create": "loading.loading",
    "export": "loading.exporting",
    "extend": "loading.loading",
    "hookimpl": "plugins.hookspecs",
    "host": "plugins.discovery",
    "info": "loading.inspection",
    "list_components": "plugins.discovery",
    "load": "loading.loading",
    "prune": "loading.loading",
    "reload_aliases": "loading.loading",
    "save": "loading.loading",
    "setting": "storage.settings",
    "shadow": "shadowing.tokenizer",
    "structure": "storage.config",
    "tokenize": "shards.job",
    "train": "loading.loading",
    "training_config": "loading.configs",
    "unstructure": "storage.config",
    "verify": "loading.inspection",
    "vocab": "loading.counting",
}

#: Python calls of plugins of this project: module, and name there or "" for the module itself.
_ELSEWHERE = {
    "import_": ("tokframe_huggingface", "import_"),
    "lm": ("tokframe_lm", ""),
    "migrate_report": ("tokframe_lm", "migrate_report"),
}

__all__ = [
    "Analysis",
    "ArtifactCorruptError",
    "ArtifactError",
    "Capabilities",
    "Check",
    "Comparison",
    "ComponentSpec",
    "ConfigError",
    "ConfigKeys",
    "Corpus",
    "CorpusError",
    "Counts",
    "Encoding",
    "EncodingError",
    "Export",
    "ITokenizer",
    "ImpossiblePairs",
    "IntArray",
    "InvalidTokenError",
    "Migration",
    "PluginError",
    "Quantized",
    "RegistryError",
    "Reporter",
    "Result",
    "SilentReporter",
    "State",
    "TableTokenizer",
    "TensorBoardReporter",
    "TokenizerModel",
    "TokenizerSpec",
    "TokframeDeprecationWarning",
    "TokframeError",
    "TrackingReporter",
    "TrainJob",
    "TrainingError",
    "TrainingInterrupted",
    "TrainingRecord",
    "UnsupportedError",
    "VerifyReport",
    "Vocabulary",
    "WandbReporter",
    "__version__",
    "analyze",
    "compare",
    "config",
    "convert_embeddings",
    "count",
    "create",
    "export",
    "extend",
    "hookimpl",
    "host",
    "info",
    "list_components",
    "load",
    "prune",
    "reload_aliases",
    "save",
    "setting",
    "shadow",
    "structure",
    "tokenize",
    "train",
    "training_config",
    "unstructure",
    "verify",
    "vocab",
]


def __getattr__(name: str) -> Any:
    home, elsewhere = _HOMES.get(name), _ELSEWHERE.get(name)
    if home is None and elsewhere is None:
        raise AttributeError(f"module 'tokframe' has no attribute {name!r}")
    from importlib import import_module

    if elsewhere is None:
        value: object = getattr(import_module(f"tokframe.{home}"), name)
    else:
        value = _of_plugin(*elsewhere)
    globals()[name] = value
    return value


def _of_plugin(package: str, name: str) -> Any:
    """Return what a plugin of this project offers. Raises: ComponentImportError with the command that installs it."""
    from importlib import import_module

    try:
        module = import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        from tokframe.errors import ComponentImportError
        from tokframe.storage.advice import install_command

        distribution = package.replace("_", "-")
        install = install_command(distribution)
        raise ComponentImportError(
            f"this call comes with {distribution}, which is not installed. Try: {install}",
            distribution=distribution,
            install=install,
        ) from None
    return getattr(module, name) if name else module


def __dir__() -> list[str]:
    return sorted(__all__)
