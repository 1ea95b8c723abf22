"""Encoder, decoder, VQ and the autoencoder that joins them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks import tiny_autoencoder
from tokframe_autoencoder.inference.neural_path import NeuralPath
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.config import DecoderConfig, EncoderConfig, FSQConfig, VQConfig
from tokframe_autoencoder.network.fsq import FSQ
from tokframe_autoencoder.network.layers import SequenceConv, SequenceDeconv
from tokframe_autoencoder.network.segments import END, SegmentTable
from tokframe_autoencoder.network.vq import VQ
from torch.nn import functional

from tokframe.storage.settings import problems_in

SHAPE = {"d_latent": 16, "max_length": 8}


def make(quantizer: str = "fsq") -> Autoencoder:
    torch.manual_seed(0)
    return tiny_autoencoder(quantizer)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (5, 3)])
@pytest.mark.parametrize("count", [1, 4, 7])
def test_convolution_is_torchs_own(kernel: int, stride: int, count: int) -> None:
    layer = SequenceConv(5, 6, kernel, stride)
    x = torch.randn(2, count, 5)
    weight = layer.weight.view(6, kernel, 5).transpose(1, 2)
    expected = functional.conv1d(x.mT, weight, layer.bias, stride=stride, padding=kernel // 2).mT
    found = layer(x)
    assert found.shape[1] == -(-count // stride)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_whole_network_works_in_other_types(quantizer: str, dtype: torch.dtype) -> None:
    network = make(quantizer).to(dtype)
    segments = [b"ab", b"c", b"segm", b"\n"]
    table = SegmentTable.of(segments, network.max_length)
    logits, quantized = network.train()(table.data, table.lengths)
    assert logits.dtype == quantized.latents.dtype == dtype and quantized.indices.dtype == torch.int64
    logits.float().sum().backward()
    found = network.encode(segments).codes
    with torch.autocast("cpu", torch.bfloat16):
        assert network.encode(segments).codes.tolist() == found.tolist()
        assert len(network.decode(found)) == len(segments)
    assert NeuralPath(network).codes(segments).tolist() == found.tolist()
    assert len(NeuralPath(network).segments(found)) == len(segments)
    assert {array.dtype.kind for array in network.arrays().values()} <= {"f", "i"}


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_made_where_another_type_is_the_default_works(quantizer: str, dtype: torch.dtype) -> None:
    torch.set_default_dtype(dtype)
    try:
        network = make(quantizer)
        codes = network.encode([b"ab", b"c"]).codes
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(network.decode(codes)) == 2


def test_the_running_means_of_vq_follow_in_a_half_model() -> None:
    part = VQ(VQConfig(codebook_size=8, vocab_size=2, decay=0.999), d_latent=4, max_length=8).bfloat16().train()
    before = part.sums.clone()
    for _ in range(3):
        part(torch.ones(16, 4, dtype=torch.bfloat16))
    assert part.sums.dtype == part.counts.dtype == torch.float32
    assert torch.allclose(part.counts.sum(), torch.tensor(8 * 0.999**3 + 16 * (1 - 0.999**3)), atol=1e-3)
    assert not torch.equal(part.sums, before)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (3, 3)])
@pytest.mark.parametrize("count", [1, 4])
def test_transposed_convolution_is_torchs_own(kernel: int, stride: int, count: int) -> None:
    layer = SequenceDeconv(5, 6, kernel, stride)
    x = torch.randn(2, count, 5)
    weight = layer.weight.view(kernel, 6, 5).permute(2, 1, 0)
    full = functional.conv_transpose1d(x.mT, weight, layer.bias, stride=stride).mT
    left = kernel // 2
    full = functional.pad(full, (0, 0, 0, max(0, left + count * stride - full.shape[1])))
    if full.shape[1] > (count - 1) * stride + kernel:  # padding holds no bias
        full[:, (count - 1) * stride + kernel :] = layer.bias
    assert torch.allclose(layer(x), full[:, left : left + count * stride], atol=1e-5)


def test_table_marks_bytes_end_and_nothing() -> None:
    table = SegmentTable.of([b"ab", b"\x00"], 3)
    assert table.data.tolist() == [[97, 98, 0], [0, 0, 0]]
    assert table.targets.tolist() == [[97, 98, END, -1], [0, END, -1, -1]]


@pytest.mark.parametrize("segment", [b"", b"123456789"])
def test_segments_that_do_not_fit_are_named(segment: bytes) -> None:
    with pytest.raises(ValueError, match="segment 1 has"):
        make().encode([b"ok", segment])


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_codes_are_the_same_alone_and_in_a_batch_and_decode_to_bytes(quantizer: str) -> None:
    network = make(quantizer)
    segments = [bytes([i, i + 1, i // 2][: 1 + i % 3]) for i in range(40)]
    found = network.encode(segments)
    assert found.codes.dtype == np.int64
    for segment, code, margin in zip(segments, found.codes, found.margins, strict=True):
        if not margin < 1e-4:
            assert network.encode([segment]).codes[0] == code
    pieces = network.decode(found.codes)
    assert len(pieces) == 40 and all(isinstance(piece, bytes) and len(piece) <= 5 for piece in pieces)


@pytest.mark.parametrize("code", [-1, 512])
def test_a_code_outside_the_codebook_is_named(code: int) -> None:
    with pytest.raises(ValueError, match=f"code {code} is outside the codebook of 512"):
        make().decode([0, code])


@pytest.mark.parametrize("codes", [[1.5], [True, False], b"ab", "ab", {1, 2}, 5, [[1], [2]], [2**70]])
def test_what_is_not_a_list_of_codes_is_refused(codes: object) -> None:
    with pytest.raises(ValueError, match="codes are integers in one dimension"):
        make().decode(codes)  # type: ignore[arg-type]


def test_round_trip_counts_what_comes_back() -> None:
    network = make()
    segments = [b"a", b"bc", b"def"]
    trip = network.roundtrip(segments, np.array([1.0, 0.0, 0.0]))
    decoded = network.decode(network.encode(segments).codes)
    assert trip.exact.tolist() == [a == b for a, b in zip(segments, decoded, strict=True)]
    assert trip.perplexity >= 1 and 0 <= trip.character_accuracy <= 1
    assert trip.codes_used + trip.collisions == 3


@torch.no_grad()
def distance(vq: VQ, latents: torch.Tensor) -> float:
    return float((vq.project_in(latents) - vq.codebook[vq.eval()(latents).indices]).square().mean())


@pytest.mark.parametrize("bound", ["sigmoid", "tanh"])
def test_no_digit_is_aimed_at_with_much_less_force_than_another(bound: str) -> None:
    levels = (8, 5)
    fsq = FSQ(FSQConfig(levels=levels, vocab_size=30, bound=bound), **SHAPE)
    digits = torch.cartesian_prod(*(torch.arange(level) for level in levels))
    low, high, width = fsq.targets(digits, 0.3)
    assert (low < high).all()
    assert (width.amax(0) / width.amin(0) < 5).all()  # misses are counted in these widths


def test_vq_follows_its_latents_and_revives_unused_codes() -> None:
    torch.manual_seed(0)
    vq = VQ(VQConfig(codebook_size=64, vocab_size=32, revive_after=5), **SHAPE)
    latents = torch.randn(64, 16) * 3
    before = distance(vq, latents)
    used = len(vq(latents).indices.unique())
    vq.train()
    for _ in range(60):
        vq(latents)
    after = vq.eval()(latents)
    assert distance(vq, latents) < before
    assert len(after.indices.unique()) > used
    assert torch.allclose(vq.decode_indices(after.indices), after.latents, atol=1e-5)


def test_vq_says_how_many_latents_still_share_when_codes_run_out() -> None:
    vq = VQ(VQConfig(codebook_size=8, vocab_size=4), **SHAPE).eval()
    assert vq.separate(torch.randn(40, 16)) >= 32


@pytest.mark.parametrize("at_once", [1, 7 * 64, 1 << 20])
def test_vq_takes_the_nearest_code_however_the_search_is_cut(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokframe_autoencoder.network.vq.MAX_DISTANCES", at_once)
    torch.manual_seed(0)
    vq = VQ(VQConfig(codebook_size=64, vocab_size=32), **SHAPE).eval()
    latents = torch.randn(50, 16)
    points = vq.project_in(latents)
    distances = (points[:, None].double() - vq.codebook[None].double()).square().sum(2)
    assert torch.equal(vq(latents).indices, distances.argmin(1))
    assert len(vq(latents[:0]).indices) == 0


def test_vq_in_evaluation_mode_changes_nothing() -> None:
    vq = VQ(VQConfig(codebook_size=64, vocab_size=32), **SHAPE).eval()
    before = {name: value.clone() for name, value in vq.state_dict().items()}
    vq(torch.randn(20, 16))
    assert all(torch.equal(value, before[name]) for name, value in vq.state_dict().items())


def test_mismatched_stacks_are_all_reported() -> None:
    encoder = EncoderConfig(conv_channels=(8, 8), kernel_sizes=(3,), strides=(1, 0, 2), d_char=0)
    assert {path for path, _ in problems_in(encoder)} == {"$.d_char", "$.kernel_sizes", "$.strides"}
    decoder = DecoderConfig(kernel_sizes=(3, 4, 3), output_vocab_size=100)
    assert {path for path, _ in problems_in(decoder)} == {"$.kernel_sizes", "$.output_vocab_size"}
    vq = VQConfig(decay=1.0, codebook_size=10)
    assert {path for path, _ in problems_in(vq)} == {"$.decay", "$.vocab_size"}
