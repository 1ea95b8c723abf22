"""A model on disk: `model.json`, `model.safetensors`, `spelling.json` and `tokenizer/`, a tokframe artifact.

A model belongs to one tokenizer, known by the hash of its files; any other is refused. `config.json` and a file of code
are for transformers; they are never read here.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
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
from tokframe.storage.manifest import FolderFormat, is_count, is_sha256
from tokframe.storage.paths import expanded
from tokframe.storage.strictjson import canonical_json, shortened
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.config import LMConfig, saved_config
from tokframe_lm.model.model import LanguageModel, build, start_id

__all__ = ["FORMAT", "MODEL_TYPE", "SavedModel", "fit", "load", "save", "transformers_config"]

_RECORD, _WEIGHTS, _SPELLING, _TOKENIZER = "model.json", "model.safetensors", "spelling.json", "tokenizer"
MODEL_TYPE = "tokframe-lm"  #: in transformers
_MODELING = "modeling_tokframe_lm"  # code that transformers runs where `trust_remote_code` is true
_CODE = b"""from tokframe_lm import TokframeLMConfig, TokframeLMForCausalLM

__all__ = ["TokframeLMConfig", "TokframeLMForCausalLM"]
"""
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
        config = canonical_json(transformers_config(saved))
        files = {_WEIGHTS: weights, _SPELLING: spelling, "config.json": config, f"{_MODELING}.py": _CODE}
        FORMAT.fill(folder, record, files)
    return expanded(path)


def transformers_config(saved: SavedModel) -> dict[str, Any]:
    """Return what transformers asks the config of a model for. A text ends where another begins."""
    config, tokenizer = saved.model.config, saved.tokenizer
    start = start_id(tokenizer)
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["TokframeLMForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{_MODELING}.TokframeLMConfig",
            "AutoModelForCausalLM": f"{_MODELING}.TokframeLMForCausalLM",
        },
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "max_position_embeddings": config.context,
        "dtype": "float32",
        "bos_token_id": start,
        "eos_token_id": start,
        "pad_token_id": tokenizer.special_tokens.get(tokenizer.special_roles.get("pad", ""), start),
    }


def load(path: str | Path, *, device: str | torch.device = "cpu") -> SavedModel:
    """Load a model with the tokenizer in its folder, in evaluation mode.

    Raises: ArtifactNotFoundError; ArtifactVersionError; ArtifactCorruptError where a file was altered, the tokenizer
    is another than the model was trained with, or the embedding has not a row for each id.
    """
    folder = expanded(path).absolute()
    record = FORMAT.read(folder)
    config, name, expected, training = _facts(folder, record)
    found = artifact.tokenizer_sha256(folder / _TOKENIZER)
    if found != expected:
        other = artifact.read(folder / _TOKENIZER).tokenizer["name"]
        raise FORMAT.corrupt(
            folder,
            _TOKENIZER,
            f"is not the tokenizer of this model: it is {other!r} with hash {found[:12]}..., and the model was trained "
            f"with {name!r} of hash {expected[:12]}...",
        )
    tokenizer = tokframe.load(folder / _TOKENIZER)
    files = record["files"]
    surfaces = _surfaces(folder, FORMAT.read_file(folder, _SPELLING, files[_SPELLING]))
    source = str(folder / _WEIGHTS)
    _check_body(config, tokenizer.vocab_size, FORMAT.read_shapes(folder, _WEIGHTS, files[_WEIGHTS]), source)
    if (stated := record["tokenizer"].get("vocab_size", tokenizer.vocab_size)) != tokenizer.vocab_size:
        what = f"says that its tokenizer has {shortened(stated)} ids, and it has {tokenizer.vocab_size}"
        raise FORMAT.corrupt(folder, _RECORD, what)
    weights = FORMAT.read_tensors(folder, _WEIGHTS, files[_WEIGHTS], load_tensors)
    model = build(config, tokenizer)
    fit(model, weights, source)
    return SavedModel(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        sha256=expected,
        unknown_surfaces=surfaces,
        training=training,
    )


def _facts(folder: Path, record: Mapping[str, Any]) -> tuple[LMConfig, str, str, Mapping[str, Any]]:
    """Return config, name and hash of the tokenizer, and the record of training. Raises: ArtifactCorruptError."""
    try:
        config = structure(LMConfig, saved_config(record["config"]), source=_RECORD)
        name, sha256 = record["tokenizer"]["name"], record["tokenizer"]["sha256"]
    except (KeyError, TypeError) as error:
        raise FORMAT.corrupt(folder, _RECORD, f"lacks {error}") from error
    except ConfigError as error:
        raise FORMAT.corrupt(folder, _RECORD, f"has an invalid config ({error})") from error
    training = record.get("training", {})
    if not isinstance(name, str) or not is_sha256(sha256) or not isinstance(training, dict):
        raise FORMAT.corrupt(folder, _RECORD, "has a malformed entry for its tokenizer or its training")
    return config, name, sha256, training


def _surfaces(folder: Path, raw: bytes) -> dict[bytes, int]:
    """Return the texts behind <unk> and their counts. Raises: ArtifactCorruptError."""
    entries = FORMAT.parse(folder, _SPELLING, raw)
    if not all(map(is_count, entries.values())):
        raise FORMAT.corrupt(folder, _SPELLING, "holds a count that is none")
    try:
        return {bytes.fromhex(surface): count for surface, count in entries.items()}
    except ValueError as error:
        raise FORMAT.corrupt(folder, _SPELLING, f"holds a text that is not in hex ({error})") from error


def _check_body(config: LMConfig, vocab_size: int, shapes: Mapping[str, Sequence[int]], source: str) -> None:
    """Compare a config with the shapes of the weights before anything is built of it. Raises: ArtifactCorruptError."""
    layers = len({name.split(".")[2] for name in shapes if name.startswith("body.layers.")})
    if layers != config.layers:
        raise ArtifactCorruptError(
            f"{source} holds {layers:,} layers, and the config asks for {config.layers:,}", file=_WEIGHTS
        )
    with torch.device("meta"):
        body = LanguageModel(config, torch.nn.Identity())  # type: ignore[arg-type]  # its embedding takes a tokenizer
    _compare(body, vocab_size, shapes, source)


def fit(model: LanguageModel, weights: Mapping[str, Tensor], source: str) -> None:
    """Put weights into a model. Raises: ArtifactCorruptError naming what does not fit, the embedding first."""
    if not model.head.tied:
        model.prepare(_counts(weights, model.embedding.vocab_size, source))
    _compare(model, model.embedding.vocab_size, {name: tensor.shape for name, tensor in weights.items()}, source)
    wanted = {name: weights[name] for name in model.state_dict()}
    for name, tensor in wanted.items():
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ArtifactCorruptError(f"{source} holds {name} with values that are not finite numbers", file=_WEIGHTS)
    model.load_state_dict(wanted)


def _counts(weights: Mapping[str, Tensor], vocab_size: int, source: str) -> Tensor:
    """Return the counts of ids that a model's shape follows from. Raises: ArtifactCorruptError."""
    counts = weights.get("counts")
    if counts is None or counts.shape != (vocab_size,):
        found = "no counts of ids" if counts is None else f"counts of {math.prod(counts.shape):,} ids"
        raise ArtifactCorruptError(
            f"{source} holds {found}, but the tokenizer has {vocab_size:,}, and the head is made for these. "
            "Use the tokenizer that the model was trained with, or train it again: tokframe lm train",
            file=_WEIGHTS,
        )
    if not counts.is_floating_point() or not counts.isfinite().all() or bool((counts < 0).any()):
        raise ArtifactCorruptError(f"{source} holds counts that are not finite numbers from 0 on", file=_WEIGHTS)
    return counts


def _compare(model: LanguageModel, vocab_size: int, shapes: Mapping[str, Sequence[int]], source: str) -> None:
    """Raises: ArtifactCorruptError naming what does not fit, the embedding first."""
    rows = shapes.get("embedding.bias")
    if rows is not None and list(rows) != [vocab_size]:
        raise ArtifactCorruptError(
            f"{source} embeds {math.prod(rows):,} ids, but the tokenizer has {vocab_size:,}. A model goes with one "
            "tokenizer; to move it to another: tokframe lm migrate MODEL --from OLD --to NEW --out DIR",
            file=_WEIGHTS,
        )
    for name, tensor in model.state_dict().items():
        if name not in shapes or tuple(shapes[name]) != tensor.shape:
            shape = tuple(shapes[name]) if name in shapes else "nothing"
            raise ArtifactCorruptError(
                f"{source} holds {shape} for {name}, and the config asks for {tuple(tensor.shape)}", file=_WEIGHTS
            )
