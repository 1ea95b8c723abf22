"""A model on disk: `model.json`, `model.safetensors`, `spelling.json` and `tokenizer/`, a tokframe artifact.

A model belongs to one tokenizer, known by the hash of its files; any other is refused.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

import tokframe
from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    ConfigError,
)
from tokframe.storage import artifact
from tokframe.storage.atomic import identity, replace_folder, temporary_sibling, write_file
from tokframe.storage.config import structure, unstructure
from tokframe.storage.strictjson import canonical_json, parse_json
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.config import LMConfig, saved_config
from tokframe_lm.model.model import LanguageModel, build

__all__ = ["SavedModel", "check_place", "fit", "load", "read_record", "save"]

_FORMAT = "tokframe-lm"
_VERSION = 1
_RECORD, _WEIGHTS, _SPELLING, _TOKENIZER = "model.json", "model.safetensors", "spelling.json", "tokenizer"


@frozen(kw_only=True, eq=False)
class SavedModel:
    """A model with its tokenizer; `unknown_surfaces` counts the texts behind <unk> in training; `training` is JSON."""

    model: LanguageModel
    tokenizer: ITokenizer
    sha256: str
    unknown_surfaces: Mapping[bytes, int] = field(factory=dict)
    training: Mapping[str, Any] = field(factory=dict)


def check_place(path: str | Path, *, overwrite: bool = False) -> None:
    """Check, ahead of long work, that a model may be written at `path`. Raises: ArtifactExistsError; ArtifactError."""
    target = Path(path)
    if not target.exists() and not target.is_symlink():
        return
    if not overwrite:
        raise ArtifactExistsError(
            f"{target} already exists; nothing was written. Choose another --out, or say --overwrite", path=target
        )
    if target.is_symlink() or not (target / _RECORD).is_file():
        raise ArtifactError(f"{target} is no saved language model and will not be replaced", path=target)


def save(saved: SavedModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a model folder, whole or not at all. Raises: ArtifactExistsError; ArtifactError."""
    target = Path(path)
    found = identity(target)
    check_place(target, overwrite=overwrite)
    weights = save_tensors({k: v.detach().cpu().contiguous() for k, v in saved.model.state_dict().items()})
    spelling = canonical_json({surface.hex(): count for surface, count in saved.unknown_surfaces.items()})
    try:
        with temporary_sibling(target) as folder:
            saved.tokenizer.save(folder / _TOKENIZER)
            record = {
                "format": _FORMAT,
                "format_version": _VERSION,
                "config": unstructure(saved.model.config),
                "tokenizer": {
                    "name": saved.tokenizer.name,
                    "vocab_size": saved.tokenizer.vocab_size,
                    "sha256": artifact.tokenizer_sha256(folder / _TOKENIZER),
                },
                "files": {_WEIGHTS: _entry(weights), _SPELLING: _entry(spelling)},
                "versions": {
                    **{name: version(name) for name in ("tokframe", "torch", "transformers")},
                    "python": platform.python_version(),
                },
                "training": dict(saved.training),
            }
            write_file(folder / _WEIGHTS, weights)
            write_file(folder / _SPELLING, spelling)
            write_file(folder / _RECORD, canonical_json(record))
            replace_folder(folder, target, found)
    except OSError as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"cannot write {target}: {error.strerror or error}", path=target) from error
    return target


def load(path: str | Path, *, device: str | torch.device = "cpu") -> SavedModel:
    """Load a model with the tokenizer in its folder, in evaluation mode.

    Raises: ArtifactNotFoundError; ArtifactVersionError; ArtifactCorruptError where a file was altered, the tokenizer
    is another than the model was trained with, or the embedding has not a row for each id.
    """
    folder = Path(path)
    record = read_record(folder)
    try:
        known, files = record["tokenizer"], record["files"]
        expected, name, weights_entry, spelling_entry = (
            known["sha256"],
            known["name"],
            files[_WEIGHTS],
            files[_SPELLING],
        )
        config = structure(LMConfig, saved_config(record["config"]), source=_RECORD)
    except (KeyError, TypeError) as error:
        raise _corrupt(folder, _RECORD, f"lacks {error}") from error
    except ConfigError as error:
        raise _corrupt(folder, _RECORD, f"has a config that makes no sense ({error})") from error
    found = artifact.tokenizer_sha256(folder / _TOKENIZER)
    if found != expected:
        other = artifact.read(folder / _TOKENIZER).manifest["tokenizer"]["name"]
        raise _corrupt(
            folder,
            _TOKENIZER,
            f"is not the tokenizer of this model: it is {other!r} with hash {found[:12]}..., and the model was trained "
            f"with {name!r} of hash {expected[:12]}...",
        )
    tokenizer = tokframe.load(folder / _TOKENIZER)
    weights = _parse(folder, _checked(folder, _WEIGHTS, weights_entry))
    surfaces = parse_json(_checked(folder, _SPELLING, spelling_entry), _SPELLING)
    model = build(config, tokenizer)
    fit(model, weights, str(folder / _WEIGHTS))
    return SavedModel(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        sha256=expected,
        unknown_surfaces={bytes.fromhex(surface): int(count) for surface, count in surfaces.items()},
        training=record.get("training", {}),
    )


def fit(model: LanguageModel, weights: Mapping[str, Tensor], source: str) -> None:
    """Put weights into a model. Raises: ArtifactCorruptError naming what does not fit, the embedding first."""
    wanted = model.state_dict()
    rows = weights.get("embedding.bias")
    size = model.embedding.vocab_size
    if rows is not None and len(rows) != size:
        raise ArtifactCorruptError(
            f"{source} embeds {len(rows):,} ids, but the tokenizer has {size:,}. A model goes with one tokenizer; to "
            "move it to another: tokframe lm migrate MODEL --from OLD --to NEW --out DIR",
            file=_WEIGHTS,
        )
    for name, tensor in wanted.items():
        if name not in weights or weights[name].shape != tensor.shape:
            shape = tuple(weights[name].shape) if name in weights else "nothing"
            raise ArtifactCorruptError(
                f"{source} holds {shape} for {name}, and the config asks for {tuple(tensor.shape)}", file=_WEIGHTS
            )
    model.load_state_dict({name: weights[name] for name in wanted})


def read_record(path: str | Path) -> dict[str, Any]:
    """Return what `model.json` says of a model, its weights unread. Raises: ArtifactError and its kinds."""
    folder = Path(path)
    try:
        raw = (folder / _RECORD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        what = f"has no {_RECORD}" if folder.is_dir() else "does not exist"
        raise ArtifactNotFoundError(
            f"{folder} {what}, so it is no saved language model. Train one: tokframe lm train --tokenizer bpe "
            "--corpus FILE --out DIR",
            path=folder,
        ) from None
    except OSError as error:
        raise ArtifactError(f"{folder / _RECORD} cannot be read: {error.strerror or error}", path=folder) from error
    try:
        record = parse_json(raw, _RECORD)
    except ConfigError as error:
        raise _corrupt(folder, _RECORD, str(error.problems[0][1])) from error
    number = record.get("format_version")
    if record.get("format") != _FORMAT or not isinstance(number, int):
        raise _corrupt(folder, _RECORD, f"does not say format {_FORMAT!r} and a version")
    if number > _VERSION:
        raise ArtifactVersionError(
            f"{folder} was written in format {number}, and this tokframe-lm reads up to {_VERSION}. "
            "Upgrade: pip install --upgrade tokframe-lm",
            path=folder,
            found=number,
            supported=_VERSION,
        )
    return record


def _checked(folder: Path, name: str, entry: Any) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise _corrupt(folder, name, f"cannot be read: {error.strerror or error}") from error
    if _entry(data) != entry:
        raise _corrupt(folder, name, "was altered: its size or SHA-256 is not what model.json says")
    return data


def _parse(folder: Path, data: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise _corrupt(folder, _WEIGHTS, f"is no safetensors file: {error}") from error
    return tensors


def _entry(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _corrupt(folder: Path, name: str, what: str) -> ArtifactCorruptError:
    return ArtifactCorruptError(
        f"{folder / name} {what}. Nothing was loaded; restore the folder or train the model again",
        path=folder,
        file=name,
    )
