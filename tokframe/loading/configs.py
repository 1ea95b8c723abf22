"""Configs of training: their keys, and a config with every default written out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from tokframe.loading.building import tokenizer_class
from tokframe.loading.reference import resolve
from tokframe.plugins.discovery import host
from tokframe.storage.documented import Key, keys_of
from tokframe.storage.strictjson import read_json
from tokframe.tokenizer.display import Result

__all__ = ["ConfigKeys", "Key", "config", "training_config"]


@frozen(kw_only=True, repr=False)
class ConfigKeys(Result):
    """Every key of the training config of the tokenizer `name`, with sections before a dot."""

    name: str
    keys: tuple[Key, ...]

    @property
    def title(self) -> str:
        """Whose keys these are."""
        return f"{len(self.keys)} config keys of {self.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON data of `tokframe config --json`."""
        return {"tokenizer": self.name, "keys": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one row per key."""
        return [asdict(key) for key in self.keys]


def config(name: str) -> ConfigKeys:
    """Return the keys of the training config of a registered tokenizer: default, type, bounds, meaning with its unit.

    Of a tokenizer of several parts they are those of its default parts. Raises: UnknownNameError; ComponentImportError.
    """
    spec = resolve(name).registered("config")
    classes = tokenizer_class(spec).config_classes(spec, host().registry)
    keys = [key for section, cls in classes.items() for key in keys_of(cls, f"{section}." if section else "")]
    outside = {f".{key.key}" for key in keys if "." not in key.key}  # which sections may repeat in older configs
    keys = [key for key in keys if not any(key.key.endswith(name) for name in outside)]
    return ConfigKeys(name=name, keys=tuple(keys))


def training_config(
    name: str, config: Mapping[str, Any] | str | os.PathLike[str] | None = None, *, vocab_size: int | None = None
) -> dict[str, Any]:
    """Return the config that `train` would use, every default written out.

    `config` is JSON data or a file of it; `vocab_size` takes the place of that in it. Raises: as `train`.
    """
    spec = resolve(name).registered("train")
    kind, registry = tokenizer_class(spec), host().registry
    given = read_json(Path(config), given=True) if isinstance(config, (str, os.PathLike)) else dict(config or {})
    if vocab_size is not None:
        given = kind.sized_config(given, vocab_size, registry, spec.defaults)
    return kind.full_config(given, spec, registry)
