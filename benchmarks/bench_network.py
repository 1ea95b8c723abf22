"""The neural path on the CPU, one thread: a chunk to its code, a code to its bytes; one at a time and in batches."""

from __future__ import annotations

import pytest

from benchmarks.rounds import Task, interleave, keep

_BATCH = 1024


@pytest.fixture(scope="module")
def network(flagship):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    try:
        return flagship.network()
    except AttributeError:
        pytest.skip("the tokenizer measured has no network")


def bench_network(benchmark, network, flagship, run):
    """Through the public calls, bytes in and codes out; and the modules alone, tensors in and out."""
    import torch

    pieces = [flagship.token_bytes(token) for token in range(4, flagship.vocab_size)]
    longest = [piece for piece in pieces if len(piece) == network.max_length][:_BATCH]
    many = (longest * _BATCH)[:_BATCH]
    one = many[:1]
    codes = network.encode(many).codes
    data = torch.tensor([list(piece) for piece in many], dtype=torch.int64)
    lengths = torch.full((len(many),), network.max_length, dtype=torch.int64)
    indices = torch.from_numpy(codes)

    @torch.inference_mode()
    def encode(count):
        return network.quantizer(network.encoder(data[:count], lengths[:count])).indices

    @torch.inference_mode()
    def decode(count):
        return network.decoder(network.quantizer.decode_indices(indices[:count])).argmax(-1)

    repeats = {1: 50, _BATCH: 1}
    calls = {
        "encode a chunk": (1, lambda: network.encode(one)),
        "decode a token": (1, lambda: network.decode(codes[:1])),
        "encode a chunk, modules alone": (1, lambda: encode(1)),
        "decode a token, modules alone": (1, lambda: decode(1)),
        f"encode {_BATCH} chunks": (_BATCH, lambda: network.encode(many)),
        f"decode {_BATCH} tokens": (_BATCH, lambda: network.decode(codes)),
    }
    tasks = {name: Task.of(_repeated(call, repeats[count])) for name, (count, call) in calls.items()}
    seconds = interleave(benchmark, tasks, run.rounds)
    keep(
        benchmark,
        milliseconds={name: seconds[name] / repeats[count] * 1e3 for name, (count, _) in calls.items()},
        per_second={name: count * repeats[count] / seconds[name] for name, (count, _) in calls.items()},
        exact=network.decode(codes) == many,
    )


def bench_fsq(benchmark, network, run):
    """Latents to digits and code, and back: the quantizer as it is against the formula written out in plain torch."""
    import torch

    quantizer = network.quantizer
    if not hasattr(quantizer, "bins"):
        pytest.skip("the quantizer has no digits")
    torch.manual_seed(0)
    latents = torch.randn(_BATCH, quantizer.project_in.in_features)
    indices = quantizer(latents).indices

    @torch.inference_mode()
    def plain():
        outputs = []
        bins = quantizer.bins(latents)
        for dim, level in enumerate(quantizer.shape):  # digit by digit, as the formula is usually written
            outputs.append(torch.clamp(torch.floor(bins[:, dim]).long(), 0, level - 1))
        index, basis = torch.zeros(len(latents), dtype=torch.int64), 1
        for digit, level in zip(outputs, quantizer.shape, strict=True):
            index, basis = index + digit * basis, basis * level
        return index

    tasks = {
        "plain": Task.of(_repeated(plain, 20)),
        "quantizer": Task.of(_repeated(torch.inference_mode()(lambda: quantizer(latents).indices), 20)),
        "back": Task.of(_repeated(torch.inference_mode()(lambda: quantizer.decode_indices(indices)), 20)),
    }
    fused = _fused(quantizer)
    if fused is not None:
        tasks["fused"] = Task.of(_repeated(lambda: fused(latents), 20))
    seconds = interleave(benchmark, tasks, run.rounds)
    keep(
        benchmark,
        microseconds_per_1024={name: value / 20 * 1e6 for name, value in seconds.items()},
        fused_over_plain=seconds["plain"] / seconds["fused"] if "fused" in seconds else None,
        same_codes=bool((plain() == indices).all()),
    )


def _fused(quantizer):
    """Return the quantizer's fused kernel, where it has one."""
    for name in ("indices", "codes", "fused"):
        found = getattr(quantizer, name, None)
        if callable(found):
            return found
    return None


def _repeated(call, times):
    def work():
        for _ in range(times):
            call()

    return work
