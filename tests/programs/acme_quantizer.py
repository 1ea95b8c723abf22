"""Find, configure and run the quantizer of acme-sign, where that is installed."""

import torch

import tokframe
from tokframe.plugins.registry import load_target
from tokframe.storage.config import structure

spec = tokframe.host().registry.component("quantizer", "acme-sign")
assert (spec.distribution, spec.distribution_version) == ("acme-sign", "0.3.0")
config = structure(load_target(spec, "config"), {"bits": 6})
try:
    structure(load_target(spec, "config"), {"bitz": 6})
except tokframe.ConfigError as error:
    assert "did you mean 'bits'" in str(error)
quantizer = load_target(spec)(config, d_latent=32, max_length=8)
assert quantizer.codebook_size == 64
latents = torch.randn(50, 32, requires_grad=True)
found = quantizer(latents)
assert found.latents.shape == (50, 32) and found.indices.dtype == torch.int64
assert found.indices.min() >= 0 and found.indices.max() < 64
assert torch.allclose(quantizer.decode_indices(found.indices), found.latents, atol=1e-5)
found.latents.sum().backward()
assert latents.grad.abs().sum() > 0
