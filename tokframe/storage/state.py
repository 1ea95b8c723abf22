"""State: a tokenizer as plain data, as `state()` returns it and `from_state()` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

__all__ = ["ComponentUse", "State", "Tensors"]

Tensors = Mapping[str, npt.NDArray[Any]]


@frozen(kw_only=True)
class ComponentUse:
    """One component inside a tokenizer: the config section it owns, its kind and its registered name."""

    section: str
    kind: str
    name: str


@frozen(kw_only=True, eq=False)
class State:
    """Everything a tokenizer is.

    `config` is JSON data; `tensors` maps a group (`"weights"`, `"codebook"`) to named arrays, each group one
    safetensors file; `files` maps a plain file name to its bytes; `components` lists the parts used by name.
    A group read from an artifact is loaded when it is first looked up.
    """

    config: Mapping[str, Any] = field(factory=dict)
    tensors: Mapping[str, Tensors] = field(factory=dict)
    files: Mapping[str, bytes] = field(factory=dict)
    components: tuple[ComponentUse, ...] = ()

    def group(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return one tensor group, loaded. Raises: KeyError where there is none."""
        return {key: np.asarray(value) for key, value in self.tensors[name].items()}

    def interned(self) -> State:
        """Return this state with numpy's own dtype objects.

        Unpickled arrays have others, equal but not the same, by which a second pickle, and its hash, would differ.
        """
        return evolve(self, tensors={name: _interned(self.tensors[name]) for name in self.tensors})


def _interned(group: Tensors) -> Tensors:
    return {key: array.view(np.dtype(array.dtype.str)) for key, array in group.items()}
