"""The neural path for use: codes of the reference, bytes of the reference, a cache that is bounded and counts right."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_autoencoder.inference.cache import CacheInfo, CodeCache
from tokframe_autoencoder.inference.convolutions import Windows
from tokframe_autoencoder.inference.fused_fsq import FusedFSQ
from tokframe_autoencoder.inference.neural_path import NeuralPath
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.config import DecoderConfig, EncoderConfig, FSQConfig, VQConfig
from tokframe_autoencoder.network.decoder import DeconvDecoder
from tokframe_autoencoder.network.encoder import ConvEncoder
from tokframe_autoencoder.network.fsq import FSQ
from tokframe_autoencoder.network.layers import SequenceConv, SequenceDeconv
from tokframe_autoencoder.network.vq import VQ

pytestmark = pytest.mark.trains

SHAPES = {
    "usual": ((3, 3, 3), (1, 2, 2), "flatten", True, "sigmoid"),
    "other": ((5, 3), (2, 1), "mean", False, "tanh"),
    "steep": ((3, 5, 1), (3, 2, 1), "flatten", True, "sigmoid"),
}


def autoencoder(shape: str = "usual", quantizer: str = "fsq", max_length: int = 16) -> Autoencoder:
    torch.manual_seed(3)
    kernels, strides, pooling, position, bound = SHAPES[shape]
    channels = (12, 8, 16)[: len(kernels)]
    common = {"kernel_sizes": kernels, "strides": strides}
    encoder = EncoderConfig(d_char=8, d_latent=24, conv_channels=channels, pooling=pooling, position=position, **common)
    decoder = DecoderConfig(d_latent=24, deconv_channels=channels, start_channels=8, hidden_width=32, **common)
    size = {"d_latent": 24, "max_length": max_length}
    made: torch.nn.Module = VQ(VQConfig(codebook_size=300, vocab_size=300), **size)
    if quantizer == "fsq":
        made = FSQ(FSQConfig(levels=(8, 5, 3, 2), vocab_size=2, bound=bound, temperature=0.7), **size)
    network = Autoencoder(ConvEncoder(encoder, **size), made, DeconvDecoder(decoder, **size), max_length=max_length)
    for parameter in network.parameters():  # zero biases would hide a lost one
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


NETWORKS = {(shape, "fsq"): autoencoder(shape) for shape in SHAPES} | {("usual", "vq"): autoencoder(quantizer="vq")}


@pytest.fixture(params=NETWORKS, ids="-".join)
def network(request: pytest.FixtureRequest) -> Autoencoder:
    return NETWORKS[request.param]


@settings(max_examples=40, deadline=None)
@given(
    which=st.sampled_from(list(NETWORKS)), segments=st.lists(st.binary(min_size=1, max_size=16), min_size=1, max_size=9)
)
def test_codes_are_those_of_the_network(which: tuple[str, str], segments: list[bytes]) -> None:
    network = NETWORKS[which]
    alone = np.concatenate([network.encode([segment]).codes for segment in segments])
    assert NeuralPath(network).codes(segments).tolist() == alone.tolist()


def test_a_code_at_a_border_is_left_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS["usual", "fsq"]
    monkeypatch.setattr("tokframe_autoencoder.inference.neural_path.MIN_MARGIN_BINS", 1.0)
    asked: list[bytes] = []
    encode = network.encode
    monkeypatch.setattr(network, "encode", lambda segments: asked.extend(segments) or encode(segments))
    codes = NeuralPath(network).codes([b"abc", b"de"])
    assert asked == [b"abc", b"de"]
    assert codes.tolist() == encode([b"abc", b"de"]).codes.tolist()


def test_segments_are_those_the_network_decodes(network: Autoencoder) -> None:
    codes = np.arange(0, network.quantizer.codebook_size, dtype=np.int64)
    assert NeuralPath(network).segments(codes) == network.decode(codes)
    assert NeuralPath(network).segments(codes[7:8]) == network.decode(codes[7:8])
    assert NeuralPath(network).segments([]) == []


def test_a_trained_tokenizer_has_a_path_that_knows_every_id(small):
    path = small.neural_path()
    tokens = np.flatnonzero(small.vocabulary.codes >= 0)
    pieces = [small.token_bytes(int(token)) for token in tokens]
    assert path.codes(pieces).tolist() == small.vocabulary.codes[tokens].tolist()
    assert path.segments(small.vocabulary.codes[tokens]) == pieces


def test_wrong_input_is_named(network: Autoencoder) -> None:
    path = NeuralPath(network)
    with pytest.raises(ValueError, match="segment 1 has 17 bytes; the network reads 1 to 16"):
        path.codes([b"a", b"x" * 17])
    with pytest.raises(ValueError, match="has 0 bytes"):
        path.codes([b""])
    with pytest.raises(TypeError, match="'abc'; give a list of bytes"):
        path.codes(["abc"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="code -1 is outside"):
        path.segments([0, -1])
    assert path.codes([]).tolist() == []


def test_repeated_segments_come_from_the_cache() -> None:
    path = NeuralPath(NETWORKS["usual", "fsq"], cache=2)
    first = path.codes([b"a", b"b", b"a"])
    assert path.cache_info() == CacheInfo(hits=0, misses=3, size=2, capacity=2)
    assert path.codes([b"a", b"b", b"a"]).tolist() == first.tolist()
    assert path.cache_info().hit_rate == 0.5
    path.codes([b"c"])  # b was used before a, so b goes
    path.codes([b"a"])
    assert path.cache_info() == CacheInfo(hits=4, misses=4, size=2, capacity=2)
    path.cache_clear()
    assert path.cache_info() == CacheInfo(hits=0, misses=0, size=0, capacity=2)
    assert path.cache_info().hit_rate == 0.0


def test_a_cache_of_none_keeps_nothing_and_a_negative_one_is_refused() -> None:
    path = NeuralPath(NETWORKS["usual", "fsq"], cache=0)
    assert path.codes([b"a"]).tolist() == path.codes([b"a"]).tolist()
    assert path.cache_info() == CacheInfo(hits=0, misses=2, size=0, capacity=0)
    with pytest.raises(ValueError, match="-1"):
        CodeCache(-1)


def test_threads_share_a_path() -> None:
    network = NETWORKS["usual", "fsq"]
    path = NeuralPath(network, cache=40)
    segments = [bytes([i, j]) for i in range(10) for j in range(10)]
    expected = network.encode(segments).codes.tolist()
    start = threading.Barrier(4)

    def work(turn: int) -> bool:
        start.wait()
        order = np.random.default_rng(turn).permutation(len(segments))
        return all(path.codes([segments[i]]).tolist() == [expected[i]] for i in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    info = path.cache_info()
    assert info.hits + info.misses == 400
    assert info.size == 40


@settings(max_examples=60, deadline=None)
@given(
    levels=st.lists(st.integers(2, 9), min_size=1, max_size=6),
    bound=st.sampled_from(["sigmoid", "tanh"]),
    single=st.booleans(),
    pairs=st.booleans(),
    values=st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=6, max_size=6),
    scale=st.sampled_from([0.0, 1.0, 5.0]),
)
def test_fused_fsq_gives_the_codes_and_latents_of_the_plain_one(
    levels: list[int], bound: str, single: bool, pairs: bool, values: list[float], scale: float
) -> None:
    config = FSQConfig(
        levels=tuple(levels), vocab_size=2, bound=bound, digit_embeddings=single, pair_embeddings=pairs, temperature=0.9
    )
    fsq = FSQ(config, d_latent=6, max_length=16)
    latents = torch.cat([torch.tensor([values]), torch.randn(20, 6) * scale])
    with torch.no_grad():
        plain = fsq(latents)
    fused = FusedFSQ(fsq)
    assert torch.equal(fused.codes_and_margins(latents)[0], plain.indices)
    assert torch.allclose(fused.latents(plain.indices), fsq.decode_indices(plain.indices), atol=1e-4)


def test_fused_fsq_keeps_codes_too_large_for_a_float_exact() -> None:
    fsq = FSQ(FSQConfig(levels=(9,) * 12, vocab_size=2), d_latent=12, max_length=16)
    latents = torch.randn(200, 12) * 3
    codes = FusedFSQ(fsq).codes_and_margins(latents)[0]
    assert int(codes.max()) > 1 << 24
    assert torch.equal(codes, fsq(latents).indices)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_windows_are_the_convolutions(kernel: int, stride: int, count: int) -> None:
    x = torch.randn(3, count, 4)
    for kind, of in ((SequenceConv, Windows.of_conv), (SequenceDeconv, Windows.of_deconv)):
        layer = kind(4, 5, kernel, stride)
        torch.nn.init.normal_(layer.bias)
        assert torch.allclose(of(layer)(x), layer(x), atol=1e-5)
        assert torch.allclose(of(layer)(x[:1]), layer(x[:1]), atol=1e-5)


def test_segments_may_come_from_an_iterator() -> None:
    path = NeuralPath(NETWORKS["usual", "fsq"])
    segments = [b"a", b"bc", b"a"]
    assert path.codes(iter(segments)).tolist() == path.codes(segments).tolist()
