"""ComponentContract: what the contracts of encoders, quantizers and decoders share.

Torch is imported when a test runs.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

from tokframe.errors import ConfigError
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import call_target, load_config, load_target
from tokframe.storage.config import structure
from tokframe.testing.fresh import run_fresh

__all__ = ["ComponentContract", "torch_"]

_REPORT = """
import json, sys
import numpy as np, torch
from safetensors.numpy import load_file
torch.set_num_threads(1)
folder, kind, name, config, d_latent, max_length = sys.argv[1:]
from tokframe.testing.component import build, called
torch.manual_seed(99)
module = build(kind, name, json.loads(config), int(d_latent), int(max_length))
module.load_state_dict({k: torch.from_numpy(v) for k, v in load_file(folder + "/weights.safetensors").items()})
inputs = [torch.from_numpy(v) for v in np.load(folder + "/inputs.npz").values()]
np.savez(folder + "/outputs.npz", *called(module.eval(), inputs))
"""


def torch_() -> Any:
    """Return torch, or skip the test where it is not installed."""
    return pytest.importorskip("torch")


def build(kind: str, name: str, config: Mapping[str, Any], d_latent: int, max_length: int) -> Any:
    """Return a component made as a tokenizer makes it. Raises: UnknownNameError; ConfigError; ComponentImportError."""
    spec = host().registry.component(kind, name)
    value = structure(load_config(spec), config) if spec.config else None
    return call_target(spec, load_target(spec), value, d_latent=d_latent, max_length=max_length)


def called(module: Any, inputs: list[Any]) -> list[Any]:
    """Return a component's output as numpy arrays; of a quantizer the codes, then the latents."""
    import torch

    with torch.no_grad():
        made = module(*inputs)
    return [part.numpy() for part in ([made] if isinstance(made, torch.Tensor) else [made.indices, made.latents])]


class ComponentContract:
    """Subclass one of its kinds and set `name`: pytest then runs the contract.

    `config` holds settings that are not the defaults. `make` may be overridden, e.g. to return a trained one.
    """

    kind: ClassVar[str] = ""
    name: str = ""  #: the registered name
    config: ClassVar[Mapping[str, Any]] = {}
    d_latent: int = 32
    max_length: int = 8
    rows: int = 64  #: number of inputs of a test
    tolerance: float = 1e-4  #: how far floats may be apart between batches and processes

    def make(self) -> Any:
        """Return the untrained component, the same at every call."""
        torch_().manual_seed(7)
        return build(self.kind, self.name, self.config, self.d_latent, self.max_length)

    def inputs(self) -> list[Any]:
        """Return the inputs of the tests, the same at every call."""
        torch = torch_()
        random = torch.Generator().manual_seed(11)
        return [torch.randn(self.rows, self.d_latent, generator=random)]

    def output(self) -> Any:
        """Return what the component gives for `inputs` in evaluation mode."""
        with torch_().no_grad():
            return self.make().eval()(*self.inputs())

    # -- declared -----------------------------------------------------------------------------------------------

    def test_its_config_is_strict(self) -> None:
        """The config class is a frozen attrs class with defaults, and a setting that does not exist is refused."""
        spec = host().registry.component(self.kind, self.name)
        if not spec.config:
            assert not self.config, "it declares no config class, so it cannot have settings"
            return
        cls = load_target(spec, "config")
        assert attrs.has(cls), f"{spec.config} is not an attrs class"
        value = cls()
        for name in [field.name for field in attrs.fields(cls)][:1]:
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(value, name, None)
        with pytest.raises(ConfigError, match="no_such_setting"):
            structure(cls, {"no_such_setting": 1})

    # -- deterministic ----------------------------------------------------------------------------------------

    def test_the_same_in_any_batch(self) -> None:
        """A row has the same output alone, in another order and in a larger batch."""
        module, inputs = self.make().eval(), self.inputs()
        whole = called(module, inputs)
        backwards = called(module, [part.flip(0) for part in inputs])
        for row in range(0, self.rows, 5):
            alone = called(module, [part[row : row + 1] for part in inputs])
            for all_rows, turned, one in zip(whole, backwards, alone, strict=True):
                self._alike(all_rows[row], one[0], f"row {row} has another output alone than in a batch")
                self._alike(all_rows[row], turned[self.rows - 1 - row], f"row {row} depends on its place")

    def test_saved_weights_give_the_same_in_a_fresh_process(self, tmp_path: Path) -> None:
        """Everything that was learned is in `state_dict()`, in types that can be saved."""
        from safetensors.numpy import save_file

        module, inputs = self.make().eval(), self.inputs()
        weights = {k: np.ascontiguousarray(v.detach().numpy()) for k, v in module.state_dict().items()}
        save_file(weights, tmp_path / "weights.safetensors")
        np.savez(tmp_path / "inputs.npz", *[part.numpy() for part in inputs])
        sizes = (self.d_latent, self.max_length)
        run_fresh(_REPORT, tmp_path, self.kind, self.name, json.dumps(dict(self.config)), *sizes)
        with np.load(tmp_path / "outputs.npz") as found:
            there = list(found.values())
        for mine, other in zip(called(module, inputs), there, strict=True):
            self._alike(mine, other, "after save and load in a fresh process the output differs")

    def test_it_can_be_pickled(self) -> None:
        """A pickled copy has the same output, as worker processes need it."""
        module, inputs = self.make().eval(), self.inputs()
        twin = pickle.loads(pickle.dumps(module))
        for mine, other in zip(called(module, inputs), called(twin, inputs), strict=True):
            self._alike(mine, other, "a pickled copy has another output")

    # -- training -----------------------------------------------------------------------------------------------

    def test_gradients_flow(self) -> None:
        """A loss on the output has a gradient for the input (where it is a latent) and for every weight."""
        torch = torch_()
        module, inputs = self.make().train(), self.inputs()
        inputs = [part.requires_grad_() if part.is_floating_point() else part for part in inputs]
        made = module(*inputs)
        latents, loss = (made, 0.0) if isinstance(made, torch.Tensor) else (made.latents, made.loss)
        # Weights for each number, as a layer norm's output sums to a constant.
        weights = torch.linspace(-1, 1, latents[0].numel()).view(latents.shape[1:])
        ((latents * weights).square().sum() + loss).backward()
        for part in inputs:
            if part.is_floating_point():
                assert part.grad is not None and part.grad.abs().sum() > 0, "no gradient reaches the input"
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, f"no gradient reaches {name}"
                assert torch.isfinite(parameter.grad).all(), f"the gradient of {name} is not finite"

    # -- helpers ------------------------------------------------------------------------------------------------

    def _alike(self, mine: Any, other: Any, text: str) -> None:
        if np.asarray(mine).dtype.kind in "iu":
            assert np.array_equal(mine, other), text
        else:
            np.testing.assert_allclose(mine, other, atol=self.tolerance, rtol=self.tolerance, err_msg=text)
