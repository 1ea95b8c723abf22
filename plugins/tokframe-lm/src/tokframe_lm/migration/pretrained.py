"""Pretrained: a model folder of Hugging Face transformers, read as untrusted data, with its tokenizer.

Weights are safetensors only, and no code of the folder is run. Moving a model to another tokenizer is left to
`conversion`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PretrainedConfig,
)
from transformers.utils import logging

import tokframe
from tokframe.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    TokframeError,
    UnsupportedError,
)
from tokframe.plugins.discovery import rebuild
from tokframe.storage.paths import expanded
from tokframe.storage.regular import read_regular
from tokframe.storage.state import State
from tokframe.tokenizer.base import ITokenizer

__all__ = ["Pretrained", "corrupt", "json_object", "quiet", "read_pretrained"]

_CONTEXT = 1024  # tokens, where a config states none
_MAX_JSON_BYTES = 1 << 28
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
#: Rows beyond the last id, by which others round a matrix up.
_MAX_SPARE_ROWS, _MAX_SPARE_SHARE = 1024, 0.05


class Pretrained(nn.Module):
    """A model of transformers with its tokenizer, as evaluation and calibration use it."""

    def __init__(self, model: Any, tokenizer: ITokenizer, path: Path) -> None:
        super().__init__()
        self.model, self.tokenizer, self.path = model, tokenizer, path
        context = getattr(model.config, "max_position_embeddings", None)
        self.config = SimpleNamespace(context=context if isinstance(context, int) and context > 0 else _CONTEXT)

    @property
    def is_masked(self) -> bool:
        """Whether it fills in masked tokens; otherwise it predicts the next one."""
        return _is_masked(self.model.config)

    def token_nll(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target in nats: (batch, tokens) -> (batch, tokens)."""
        logits = self.model(input_ids=ids).logits.float()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)


# -- reading --------------------------------------------------------------------------------------------------


def read_pretrained(path: str | Path, tokenizer: str | Path | None = None) -> Pretrained:
    """Load a causal or masked model of transformers with its tokenizer, by default the folder's `tokenizer.json`.

    Raises: ArtifactNotFoundError; ArtifactCorruptError for weights that are incomplete, of other shapes than the config
    says, not finite, or not as many rows as the tokenizer has ids; UnsupportedError for weights that are a pickle,
    code of its own, another kind of model, or rows of ids in a place that transformers does not tell.
    """
    folder = expanded(path).absolute()
    config = _config(folder)
    shapes = _shapes(folder)
    theirs = _tokenizer(folder) if tokenizer is None else tokframe.load(tokenizer)
    kind = AutoModelForMaskedLM if _is_masked(config) else AutoModelForCausalLM
    try:
        with quiet(), torch.device("meta"):
            expected = kind.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
        _check_shapes(folder, expected, shapes)
        with quiet():
            loaded: Any = kind.from_pretrained(
                folder, config=config, use_safetensors=True, trust_remote_code=False, local_files_only=True,
                output_loading_info=True,
            )  # fmt: skip
    except TokframeError:
        raise
    except Exception as error:  # transformers raises anything for a folder it cannot read
        raise corrupt(folder, "config.json", f"cannot be loaded by transformers ({error!s:.300})") from error
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise corrupt(
            folder,
            _WEIGHTS,
            f"lacks {missing[0]!r}, perhaps because it was tied to another tensor by name. Load the model where it was "
            "trained, call model.tie_weights(), and save it again by save_pretrained",
        )
    for name, tensor in model.named_parameters():
        if not tensor.isfinite().all():
            rows = (~tensor.isfinite()).flatten(1).any(1).nonzero() if tensor.ndim > 1 else None
            where = "" if rows is None or not len(rows) else f" in {len(rows):,} rows, the first {int(rows[0])}"
            raise corrupt(folder, _WEIGHTS, f"holds values that are not finite numbers in {name!r}{where}")
    found = Pretrained(model.eval(), theirs, folder)
    _check_rows(found)
    return found


def _config(folder: Path) -> PretrainedConfig:
    data = json_object(folder, "config.json")
    if "auto_map" in data:
        raise UnsupportedError(
            f"{folder} needs code of its own (auto_map in config.json), which is not run. Use a model that "
            "transformers itself has, or convert the matrix by tokframe.convert_embeddings",
            capability="remote code",
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise corrupt(folder, "config.json", f"is no config of transformers ({error!s:.300})") from error
    names = config.architectures or []
    if not any(name.endswith(("ForCausalLM", "LMHeadModel", "ForMaskedLM")) for name in names):
        raise UnsupportedError(
            f"{folder} is a {', '.join(map(str, names)) or config.model_type}, neither a causal nor a masked language "
            "model. Convert its matrix by tokframe.convert_embeddings",
            capability="model",
        )
    found: PretrainedConfig = config
    return found


def _is_masked(config: PretrainedConfig) -> bool:
    return any(name.endswith("ForMaskedLM") for name in config.architectures or [])


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors in the folder's safetensors files. Raises: as `read_pretrained`."""
    names = [_WEIGHTS]
    if not (folder / _WEIGHTS).is_file():
        if not (folder / _INDEX).is_file():
            pickles = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.ckpt"), *folder.glob("*.h5")]
            if pickles:
                raise UnsupportedError(
                    f"{folder} holds {pickles[0].name}, and only safetensors are read: a pickle could run anything. "
                    "Where you trust it, load it and call model.save_pretrained(DIR)",
                    capability="pickle",
                )
            raise ArtifactNotFoundError(f"{folder} has no {_WEIGHTS}. Write it by model.save_pretrained", path=folder)
        entries = json_object(folder, _INDEX).get("weight_map")
        listed = {*entries.values()} if isinstance(entries, Mapping) else set()
        if not listed or any(not isinstance(name, str) or Path(name).name != name for name in listed):
            raise corrupt(folder, _INDEX, "does not list files of the folder")
        names = sorted(listed)
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        try:
            with safe_open(folder / name, "pt") as file:
                found |= {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        except Exception as error:  # the binding raises its own
            raise corrupt(folder, name, f"is no safetensors file ({error!s:.200})") from error
    return found


def _check_shapes(folder: Path, expected: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Compare the size that a config asks for with that of the weights, before anything is allocated."""
    tensors = {id(tensor): tensor for tensor in expected.parameters()}
    asked, there = sum(t.numel() for t in tensors.values()), sum(map(math.prod, shapes.values()))
    if asked > 2 * there:  # a tied matrix may be stored once
        raise corrupt(folder, "config.json", f"asks for {asked:,} weights, and the files hold {there:,}")


def _tokenizer(folder: Path) -> ITokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        known = ("vocab.txt", "vocab.json", "tokenizer.model")
        other = next((name for name in known if (folder / name).is_file()), "FILE")
        raise ArtifactNotFoundError(
            f"{folder} has no tokenizer.json. Import what it has (tokframe import {folder / other} --out ./old) and "
            "add --from ./old",
            path=folder,
        )
    state = State(files={"tokenizer.json": read_regular(file, _MAX_JSON_BYTES)})
    found: ITokenizer = rebuild("tokframe-huggingface/imported-huggingface", state)
    if not (folder / "tokenizer_config.json").is_file():
        return found
    names = json_object(folder, "tokenizer_config.json")
    roles = {}
    for role in ("pad", "unk", "bos", "eos", "cls", "sep", "mask"):
        text = names.get(f"{role}_token")
        text = text.get("content") if isinstance(text, Mapping) else text
        if isinstance(text, str) and text in found.special_tokens:
            roles[role] = text
    state = State(config={"roles": roles}, files=dict(state.files))
    named: ITokenizer = rebuild("tokframe-huggingface/imported-huggingface", state)
    return named


def _check_rows(found: Pretrained) -> None:
    """Raises: ArtifactCorruptError where rows and ids differ; UnsupportedError where a place of rows is not known."""
    model, size = found.model, found.tokenizer.vocab_size
    rows = len(model.get_input_embeddings().weight)
    spare = max(_MAX_SPARE_ROWS, int(_MAX_SPARE_SHARE * size))
    if rows < size or rows > size + spare:
        raise ArtifactCorruptError(
            f"{found.path} embeds {rows:,} ids, and its tokenizer has {size:,}: they belong to different models. Name "
            "the tokenizer that the model was trained with: --from NAME",
            path=found.path,
            file=_WEIGHTS,
        )
    output = model.get_output_embeddings()
    known = {id(model.get_input_embeddings().weight), *([] if output is None else map(id, output.parameters()))}
    sizes = {found.config.context, *model.get_input_embeddings().weight.shape[1:]}
    others = [
        name for name, tensor in model.named_parameters() if id(tensor) not in known and rows in {*tensor.shape} - sizes
    ]
    if output is None or others:
        what = f"its parameter {others[0]!r} has a row for each id" if others else "it has no output embeddings"
        raise UnsupportedError(
            f"{found.path}: {what}, and transformers does not say what it is (get_output_embeddings). Perhaps the head "
            "is tied by another name: let get_output_embeddings return it, or convert each matrix by "
            "tokframe.convert_embeddings",
            capability="output embeddings",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own bars and advice off the terminal."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def json_object(folder: Path, name: str) -> dict[str, Any]:
    """Return a file of a model's folder. Raises: ArtifactNotFoundError; ArtifactCorruptError for anything else."""
    try:
        found = json.loads(read_regular(folder / name, _MAX_JSON_BYTES))  # transformers writes integers of any size
    except FileNotFoundError:
        what = "" if folder.is_dir() else " (there is no such folder)"
        raise ArtifactNotFoundError(
            f"{folder} has no {name}, so it is no model of transformers{what}", path=folder
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise corrupt(folder, name, f"cannot be read ({error!s:.200})") from error
    if not isinstance(found, dict):
        raise corrupt(folder, name, "is no JSON object")
    return found


def corrupt(folder: Path, name: str, what: str) -> ArtifactCorruptError:
    """Return the error for a file of a model's folder."""
    return ArtifactCorruptError(f"{folder / name} {what}", path=folder, file=name)
