"""Errors: every exception that tokframe raises on purpose, as one tree; details are attributes, not only text.

TokframeError
├── PluginError                   an installed plugin cannot be used
│   ├── PluginBrokenError           its import or its hooks failed
│   └── PluginIncompatibleError     it asks for another tokframe
├── RegistryError                 a component or tokenizer name cannot be resolved
│   ├── UnknownNameError            nothing of that name; suggestions and what was not loaded
│   ├── NameConflictError           two plugins claim the name
│   ├── ComponentImportError        the name is known, its code or a dependency of it is not importable
│   └── InvalidSpecError            a plugin's spec is malformed
├── ConfigError                   a config has problems: all of them, each with its JSON path
├── ArtifactError                 a saved tokenizer or model cannot be read or written
│   ├── ArtifactNotFoundError
│   ├── ArtifactExistsError
│   ├── ArtifactCorruptError        missing, truncated, altered or unsafe file
│   ├── ArtifactVersionError        written by a newer format
│   └── MissingPluginError          the plugin it was made with is not installed
├── CorpusError                   text cannot be read, or there is none
├── EncodingError                 this text or these ids cannot be converted
│   └── InvalidTokenError           not an id, or one outside the vocabulary
├── TrainingError                 training cannot start, continue or resume
│   └── TrainingInterrupted         it was stopped on request, mostly with a checkpoint kept
├── ShardsError                   token shards cannot be written, continued or read
│   ├── ShardsCorruptError          a file of them is missing, altered or unexpected
│   └── ShardsInterrupted           writing was stopped on request; finished shards are kept
├── EngineError                   workers cannot be started, or are lost repeatedly
└── UnsupportedError              the tokenizer declares that it cannot do this

No error subclasses KeyError: its text would be shown quoted and escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = [
    "ArtifactCorruptError",
    "ArtifactError",
    "ArtifactExistsError",
    "ArtifactNotFoundError",
    "ArtifactVersionError",
    "ComponentImportError",
    "ConfigError",
    "CorpusError",
    "EncodingError",
    "EngineError",
    "InvalidSpecError",
    "InvalidTokenError",
    "MissingPluginError",
    "NameConflictError",
    "PluginBrokenError",
    "PluginError",
    "PluginIncompatibleError",
    "RegistryError",
    "ShardsCorruptError",
    "ShardsError",
    "ShardsInterrupted",
    "TokframeError",
    "TrainingError",
    "TrainingInterrupted",
    "UnknownNameError",
    "UnsupportedError",
]


class TokframeError(Exception):
    """Base of all errors below: catch it to catch everything tokframe raises on purpose."""


class PluginError(TokframeError):
    """An installed plugin cannot be used."""

    def __init__(self, text: str, *, distribution: str = "", entry_point: str = "") -> None:
        super().__init__(text)
        self.distribution = distribution
        self.entry_point = entry_point


class PluginBrokenError(PluginError):
    """A plugin failed while it was imported or asked for its components."""


class PluginIncompatibleError(PluginError):
    """A plugin's own metadata asks for another version of tokframe."""


class RegistryError(TokframeError):
    """A component or tokenizer name cannot be resolved."""

    def __init__(self, text: str, *, kind: str = "", name: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.name = name


class UnknownNameError(RegistryError, LookupError):
    """No component of that kind has that name."""

    def __init__(
        self,
        text: str,
        *,
        kind: str = "",
        name: str = "",
        suggestions: Sequence[str] = (),
        unavailable: Sequence[str] = (),
    ) -> None:
        super().__init__(text, kind=kind, name=name)
        self.suggestions = tuple(suggestions)
        self.unavailable = tuple(unavailable)


class NameConflictError(RegistryError):
    """Two installed plugins claim one name; `distribution/name` says which is meant."""

    def __init__(self, text: str, *, kind: str = "", name: str = "", candidates: Sequence[str] = ()) -> None:
        super().__init__(text, kind=kind, name=name)
        self.candidates = tuple(candidates)


class ComponentImportError(RegistryError, ImportError):  # type: ignore[misc]  # ImportError.name is narrower
    """A known component's code, or something it depends on, cannot be imported."""

    def __init__(
        self, text: str, *, kind: str = "", name: str = "", target: str = "", distribution: str = "", install: str = ""
    ) -> None:
        super().__init__(text, kind=kind, name=name)
        self.target = target
        self.distribution = distribution
        self.install = install


class InvalidSpecError(RegistryError, ValueError):
    """A plugin's spec is malformed."""


class ConfigError(TokframeError, ValueError):
    """A config has one or more problems; `problems` holds every `(JSON path, text)`."""

    def __init__(self, source: str, problems: Iterable[tuple[str, str]]) -> None:
        self.source = source
        self.problems = tuple(problems)
        lines = [f"{source}: {len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"]
        lines += [f"  {path}: {text}" for path, text in self.problems]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[object, ...]]:
        return type(self), (self.source, self.problems)  # its arguments are not its text: worker processes need this


class ArtifactError(TokframeError):
    """A saved tokenizer or language model, or another output folder, cannot be read or written."""

    def __init__(self, text: str, *, path: Path | str = "") -> None:
        super().__init__(text)
        self.path = Path(path)


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """There is no artifact at that path, or the named tokenizer ships none."""


class ArtifactExistsError(ArtifactError, FileExistsError):
    """Something is already there; nothing was overwritten."""


class ArtifactCorruptError(ArtifactError, ValueError):
    """A file of the artifact is missing, truncated, altered or unsafe; `file` names it."""

    def __init__(self, text: str, *, path: Path | str = "", file: str = "") -> None:
        super().__init__(text, path=path)
        self.file = file


class ArtifactVersionError(ArtifactError):
    """The artifact was written by a newer format than this tokframe reads."""

    def __init__(self, text: str, *, path: Path | str = "", found: int = 0, supported: int = 0) -> None:
        super().__init__(text, path=path)
        self.found = found
        self.supported = supported


class MissingPluginError(ArtifactError):
    """The artifact names a component that no installed plugin provides; `needs` lists the distributions."""

    def __init__(self, text: str, *, path: Path | str = "", needs: Sequence[str] = ()) -> None:
        super().__init__(text, path=path)
        self.needs = tuple(needs)


class CorpusError(TokframeError):
    """Text cannot be read, or there is none; `path` names the file."""

    def __init__(self, text: str, *, path: Path | str = "") -> None:
        super().__init__(text)
        self.path = Path(path)


class EncodingError(TokframeError, ValueError):
    """This text or these ids cannot be converted; `position` says where (0-based)."""

    def __init__(self, text: str, *, position: int = -1) -> None:
        super().__init__(text)
        self.position = position


class InvalidTokenError(EncodingError):
    """Not an id, or one outside the vocabulary; `token` is the id, or -1, `position` its place."""

    def __init__(self, text: str, *, token: int = -1, position: int = -1) -> None:
        super().__init__(text, position=position)
        self.token = token


class TrainingError(TokframeError):
    """Training cannot start, continue or resume."""


class TrainingInterrupted(TrainingError):  # noqa: N818 - an interruption, not a failure
    """Training was stopped on request; `checkpoint` is the folder from which `--resume` continues, if there is one."""

    def __init__(self, text: str, *, checkpoint: Path | str | None = None) -> None:
        super().__init__(text)
        self.checkpoint = None if checkpoint is None else Path(checkpoint)


class ShardsError(TokframeError):
    """Token shards cannot be written, continued or read; `path` is their folder."""

    def __init__(self, text: str, *, path: Path | str = "") -> None:
        super().__init__(text)
        self.path = Path(path)


class ShardsCorruptError(ShardsError, ValueError):
    """A file of token shards is missing, altered or unexpected; `file` names it."""

    def __init__(self, text: str, *, path: Path | str = "", file: str = "") -> None:
        super().__init__(text, path=path)
        self.file = file


class ShardsInterrupted(ShardsError):  # noqa: N818 - an interruption, not a failure
    """Writing token shards was stopped on request; finished ones are kept in `path`, and `--resume` continues."""


class EngineError(TokframeError):
    """An engine cannot start workers, or loses them repeatedly."""


class UnsupportedError(TokframeError, NotImplementedError):
    """The tokenizer declares that it cannot do this; `capability` names what is missing."""

    def __init__(self, text: str, *, capability: str = "") -> None:
        super().__init__(text)
        self.capability = capability
