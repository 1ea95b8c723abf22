"""Other plugins: a name of ours that one of them claims stays ours, and a part that is wrong is told by its name."""

from __future__ import annotations

import pickle

import pytest

import tokframe
from tokframe.errors import NameConflictError, PluginBrokenError, TrainingInterrupted
from tokframe.plugins.metadata import installed

GRABS = """
@tokframe.hookimpl
def tokframe_components():
    names = [("encoder", "conv"), ("quantizer", "fsq"), ("quantizer", "vq"), ("decoder", "deconv")]
    return [tokframe.ComponentSpec(kind=kind, name=name, target="acme_nowhere:X") for kind, name in names]

@tokframe.hookimpl
def tokframe_tokenizers():
    names = "autoencoder-fsq", "autoencoder-vq", "dictionary"
    return [tokframe.TokenizerSpec(name=name, target="acme_nowhere:X") for name in names]
"""

PART = """
@tokframe.hookimpl
def tokframe_components():
    return [tokframe.ComponentSpec(kind="{kind}", name="acme", target=f"{{__name__}}:Part")]

def __getattr__(name):
    import torch

    class Part(torch.nn.Module):
        codebook_size = 1024
        def __init__(self, config, *, d_latent, max_length):
            super().__init__()
            self.d_latent, self.max_length = d_latent, max_length
        def decode_indices(self, indices):
            return torch.zeros(len(indices), self.d_latent)
        def forward(self, *given):
            nothing = torch.zeros(len(given[0]), self.d_latent)
            return {given}

    if name == "Part":
        return {made}
    raise AttributeError(name)
"""


@pytest.fixture
def grabbed(plugin, use_host):
    return use_host(plugin("aa-grabs", GRABS), *installed())


def test_a_name_that_another_plugin_claims_breaks_nothing_of_ours(grabbed, corpus, config, tmp_path):
    statuses = {record.distribution: record for record in grabbed.records}
    assert statuses["tokframe-autoencoder"].status == "ok"
    assert statuses["aa-grabs"].status == "conflict"
    assert "quantizer 'fsq' is tokframe-autoencoder's; use 'aa-grabs/fsq'" in statuses["aa-grabs"].reason
    tokenizer = tokframe.load("autoencoder-fsq")
    assert tokenizer.decode(tokenizer.encode("as ever")) == "as ever"
    assert tokenizer.network().quantizer.codebook_size
    assert [part.spec.distribution for part in tokenizer.parts.components] == ["tokframe-autoencoder"] * 3
    for name, sections in (("autoencoder-fsq", config), ("autoencoder-fsq", {}), ("autoencoder-vq", {"vq": {}})):
        with pytest.raises(TrainingInterrupted):
            tokframe.train(name, corpus=[corpus], config=sections, out=tmp_path / "new", should_stop=lambda: True)


def test_a_tokenizer_from_before_a_name_was_claimed_unpickles_and_is_saved(plugin, use_host, tmp_path):
    use_host(*installed())
    tokenizer = tokframe.load("autoencoder-fsq")
    kept = pickle.dumps(tokenizer)
    use_host(plugin("aa-grabs", GRABS), *installed())
    assert pickle.loads(kept).encode("as ever") == tokenizer.encode("as ever")
    assert tokframe.load(tokenizer.save(tmp_path / "saved")).encode("as ever") == tokenizer.encode("as ever")


MISTAKES = {
    "no argument": ("quantizer", "nothing", "lambda config: None", "cannot be called as .*max_length"),
    "no module": ("quantizer", "nothing", "lambda config, **sizes: {}", "gave a dict, expected a torch.nn.Module"),
    "a dict": ("quantizer", "{'indices': given[0]}", "Part", "gave a dict, expected a tokframe.Quantized"),
    "encoder": ("encoder", "{'latents': nothing}", "Part", r"gave a dict, expected a tensor of shape \(2, 32\)"),
    "decoder": ("decoder", "nothing", "Part", r"of shape \(2, 32\), expected a tensor of shape \(2, 17, 257\)"),
    "an error": ("encoder", "1 / 0", "Part", r"encoder\(data, lengths\) raised ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize(("kind", "given", "made", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_part_that_is_wrong_is_told_before_any_text_is_read(
    plugin, use_host, config, tmp_path, kind, given, made, said
):
    use_host(plugin("acme-parts", PART.format(kind=kind, given=given, made=made)), *installed())
    config.pop("fsq" if kind == "quantizer" else kind)
    config |= {kind: {"component": "acme"}}
    if kind == "encoder":
        config["decoder"]["d_latent"] = 256
        said = said.replace("32", "256")
    (tmp_path / "empty.txt").write_text("a")
    with pytest.raises(PluginBrokenError, match=f"{kind} 'acme' of acme-parts.*{said}") as caught:
        tokframe.train("autoencoder-fsq", corpus=[tmp_path / "empty.txt"], config=config, out=tmp_path / "new")
    assert caught.value.distribution == "acme-parts"
    assert not (tmp_path / "new.training").exists()


def test_what_was_made_with_a_part_keeps_it_when_others_claim_its_name(plugin, use_host, config):
    from tokframe_autoencoder.config import resolve
    from tokframe_autoencoder.tokenizer import AutoencoderTokenizer

    from tokframe.storage.state import ComponentUse

    claims = PART.format(kind="quantizer", given="nothing", made="Part")
    config["quantizer"] = {"component": "acme"}
    del config["fsq"]
    found = use_host(plugin("acme-one", claims), plugin("acme-two", claims), *installed())
    names = {"encoder": "conv", "quantizer": "acme-two/acme", "decoder": "deconv"}
    tokenizer = AutoencoderTokenizer.__new__(AutoencoderTokenizer)
    tokenizer.config = config
    tokenizer._components = tuple(ComponentUse(section=kind, kind=kind, name=name) for kind, name in names.items())
    assert tokenizer.parts.quantizer.spec.distribution == "acme-two"
    with pytest.raises(NameConflictError, match="acme-one"):
        resolve(config, found.registry, names)
