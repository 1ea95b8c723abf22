"""A model on disk: `model.json`, `model.safetensors`, `spelling.json` and `tokenizer/`, a tokframe artifact.

A model belongs to one tokenizer, known by the hash of its files; any other is refused.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

import tokframe
from tokframe.errors import ArtifactCorruptError, ConfigError
from tokframe.storage import artifact
from tokframe.storage.config import structure, unstructure
from tokframe.storage.manifest import FolderFormat
from tokframe.storage.strictjson import canonical_json
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.config import LMConfig, saved_config
from tokframe_lm.model.model import LanguageModel, build

__all__ = ["FORMAT", "SavedModel", "fit", "load", "save"]

_RECORD, _WEIGHTS, _SPELLING, _TOKENIZER = "model.json", "model.safetensors", "spelling.json", "tokenizer"
FORMAT = FolderFormat(
    name="tokframe-lm",
    version=1,
    manifest=_RECORD,
    noun="saved language model",
    hint="Train one: tokframe lm train --tokenizer bpe --corpus FILE --out DIR",
    remedy="restore the folder or train the model again",
    package="tokframe-lm",
    required=(_WEIGHTS, _SPELLING),
)


@frozen(kw_only=True, eq=False)
class SavedModel:
    """A model with its tokenizer; `unknown_surfaces` counts the texts behind <unk> in training; `training` is JSON."""

    model: LanguageModel
    tokenizer: ITokenizer
    sha256: str
    unknown_surfaces: Mapping[bytes, int] = field(factory=dict)
    training: Mapping[str, Any] = field(factory=dict)


def save(saved: SavedModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a model folder, whole or not at all. Raises: ArtifactExistsError; ArtifactError."""
    weights = save_tensors({k: v.detach().cpu().contiguous() for k, v in saved.model.state_dict().items()})
    spelling = canonical_json({surface.hex(): count for surface, count in saved.unknown_surfaces.items()})
    with FORMAT.writing(path, overwrite=overwrite) as folder:
        saved.tokenizer.save(folder / _TOKENIZER)
        record = {
            "config": unstructure(saved.model.config),
            "tokenizer": {
                "name": saved.tokenizer.name,
                "vocab_size": saved.tokenizer.vocab_size,
                "sha256": artifact.tokenizer_sha256(folder / _TOKENIZER),
            },
            "versions": {
                **{name: version(name) for name in ("tokframe", "torch", "transformers")},
                "python": platform.python_version(),
            },
            "training": dict(saved.training),
        }
        FORMAT.fill(folder, record, {_WEIGHTS: weights, _SPELLING: spelling})
    return Path(path)


def load(path: str | Path, *, device: str | torch.device = "cpu") -> SavedModel:
    """Load a model with the tokenizer in its folder, in evaluation mode.

    Raises: ArtifactNotFoundError; ArtifactVersionError; ArtifactCorruptError where a file was altered, the tokenizer
    is another than the model was trained with, or the embedding has not a row for each id.
    """
    folder = Path(path)
    record = FORMAT.read(folder)
    try:
        expected, name = record["tokenizer"]["sha256"], record["tokenizer"]["name"]
        config = structure(LMConfig, saved_config(record["config"]), source=_RECORD)
    except (KeyError, TypeError) as error:
        raise FORMAT.corrupt(folder, _RECORD, f"lacks {error}") from error
    except ConfigError as error:
        raise FORMAT.corrupt(folder, _RECORD, f"has an invalid config ({error})") from error
    found = artifact.tokenizer_sha256(folder / _TOKENIZER)
    if found != expected:
        other = artifact.read(folder / _TOKENIZER).manifest["tokenizer"]["name"]
        raise FORMAT.corrupt(
            folder,
            _TOKENIZER,
            f"is not the tokenizer of this model: it is {other!r} with hash {found[:12]}..., and the model was trained "
            f"with {name!r} of hash {expected[:12]}...",
        )
    tokenizer = tokframe.load(folder / _TOKENIZER)
    files = record["files"]
    weights = FORMAT.read_tensors(folder, _WEIGHTS, files[_WEIGHTS], load_tensors)
    surfaces = FORMAT.parse(folder, _SPELLING, FORMAT.read_file(folder, _SPELLING, files[_SPELLING]))
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
