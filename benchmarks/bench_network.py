"""The neural path on the CPU, one thread: a chunk to its code, a code to its bytes; one at a time and in batches."""

from __future__ import annotations

import pytest

from benchmarks.rounds import each, interleave, keep
from benchmarks.texts import mix, one_text

_BATCH = 1024


@pytest.fixture(scope="module")
def network(flagship):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    try:
        return flagship.network()
    except AttributeError:
        pytest.skip("the tokenizer measured has no network")


def bench_network(benchmark, flagship, network, run):
    """Bytes in and codes out, and back: the path laid out for use (cache off), the network, its modules alone."""
    import torch
    from tokframe_autoencoder.network.segments import SegmentTable

    path, cached = flagship.neural_path(cache=0), flagship.neural_path()
    pieces = [flagship.token_bytes(token) for token in range(4, flagship.vocab_size)]
    one = [next(piece for piece in pieces if len(piece) == network.max_length)]
    many = pieces[:: max(1, len(pieces) // _BATCH)][:_BATCH]
    single, codes = network.encode(one).codes, network.encode(many).codes
    table, chunk = SegmentTable.of(many, network.max_length), SegmentTable.of(one, network.max_length)
    indices = torch.from_numpy(single)

    @torch.inference_mode()
    def encode(table):
        return network.quantizer(network.encoder(table.data, table.lengths)).indices

    @torch.inference_mode()
    def decode():
        return network.decoder(network.quantizer.decode_indices(indices)).argmax(-1)

    repeats = {1: 50, _BATCH: 1}
    calls = {
        "encode a chunk": (1, lambda: path.codes(one)),
        "encode a chunk, in the cache": (1, lambda: cached.codes(one)),
        "encode a chunk, the network itself": (1, lambda: network.encode(one)),
        "encode a chunk, modules alone": (1, lambda: encode(chunk)),
        "decode a token": (1, lambda: path.segments(single)),
        "decode a token, the network itself": (1, lambda: network.decode(single)),
        "decode a token, modules alone": (1, decode),
        f"encode {_BATCH} chunks": (_BATCH, lambda: path.codes(many)),
        f"encode {_BATCH} chunks, the network itself": (_BATCH, lambda: network.encode(many)),
        f"encode {_BATCH} chunks, modules alone": (_BATCH, lambda: encode(table)),
        f"decode {_BATCH} tokens": (_BATCH, lambda: path.segments(codes)),
        f"decode {_BATCH} tokens, the network itself": (_BATCH, lambda: network.decode(codes)),
    }
    tasks = {name: _repeated(call, repeats[count]) for name, (count, call) in calls.items()}
    seconds = interleave(benchmark, tasks, run.rounds)
    keep(
        benchmark,
        milliseconds={name: seconds[name] / repeats[count] * 1e3 for name, (count, _) in calls.items()},
        per_second={name: count * repeats[count] / seconds[name] for name, (count, _) in calls.items()},
        same_codes=bool((path.codes(many) == codes).all()),
        same_bytes=path.segments(codes) == network.decode(codes),
    )


def bench_cache(benchmark, flagship, network, run):
    """Hit rate of the cache of codes on text: its segments, and pieces of 16 bytes cut without regard to words."""
    from tokframe_autoencoder.inference.cache import CodeCache

    size = int(1_000_000 * run.scale)
    text = one_text(mix(size).texts, size).encode()[:size]
    spans = {"segments": [flagship.token_bytes(token) for token in flagship.encode_raw(text).tolist()]}
    spans["16 bytes"] = [text[i : i + 16] for i in range(0, len(text), 16)]
    rates, totals = {}, {}

    def work():
        for what, pieces in spans.items():
            totals[what] = {"lookups": len(pieces), "different": len(set(pieces))}
            for capacity in (1024, 8192, 65536):
                cache = CodeCache(capacity)
                for piece in pieces:  # what a code is has no part in how often it is asked for
                    if piece not in cache.find((piece,)):
                        cache.add({piece: 0})
                rates[f"{what}, {capacity} kept"] = cache.info().hit_rate

    benchmark.pedantic(work, rounds=1)
    keep(benchmark, hit_rate=rates, bytes=len(text), totals=totals)


def bench_int8(benchmark, flagship, network, run):
    """The encoder in int8 through onnxruntime, against fp32 there and in torch: speed, and how many codes agree."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tokframe_autoencoder.inference import int8

    path = flagship.neural_path(cache=0)
    tokens = [token for token in range(4, flagship.vocab_size) if flagship.vocabulary.codes[token] >= 0]
    pieces = [flagship.token_bytes(token) for token in tokens]
    codes = flagship.vocabulary.codes[tokens]
    model = int8.export_encoder(network)
    plain = int8.OnnxEncoder(model, network)
    small = int8.OnnxEncoder(int8.quantize_encoder(model, network, pieces[:: max(1, len(pieces) // 512)]), network)
    sample = slice(None, None, 1 if run.scale >= 1 else 16)
    many = pieces[:: max(1, len(pieces) // _BATCH)][:_BATCH]
    ways = {"torch": network.encode, "path": path.codes, "onnx fp32": plain.codes, "int8": small.codes}
    tasks, repeats = {}, {1: 50, _BATCH: 1}
    for count, times in repeats.items():
        for name, way in ways.items():
            tasks[f"{name}, batch {count}"] = _repeated(lambda w=way, n=count: w(many[:n]), times)
    seconds = interleave(benchmark, tasks, run.rounds)
    keep(
        benchmark,
        milliseconds={name: value / repeats[int(name.rpartition(" ")[2])] * 1e3 for name, value in seconds.items()},
        agreement={
            name: float((way(pieces[sample]) == codes[sample]).mean())
            for name, way in (("onnx fp32", plain.codes), ("int8", small.codes))
        },
        codes=len(codes[sample]),
        megabytes={"fp32": len(plain.model) / 1e6, "int8": len(small.model) / 1e6},
    )


def bench_fsq(benchmark, network, run):
    """Latents to digits and code, and back: the quantizer as it is against the formula written out in plain torch."""
    import torch
    from tokframe_autoencoder.inference.fused_fsq import FusedFSQ

    quantizer = network.quantizer
    if not hasattr(quantizer, "bins"):
        pytest.skip("the quantizer has no digits")
    torch.manual_seed(0)
    latents = torch.randn(_BATCH, quantizer.project_in.in_features)
    indices = quantizer(latents).indices

    @torch.inference_mode()
    def plain():
        bins = quantizer.bins(latents)
        index, basis = torch.zeros(len(latents), dtype=torch.int64), 1
        for dim, level in enumerate(quantizer.shape):  # digit by digit, as the formula is usually written
            digit = torch.clamp(torch.floor(bins[:, dim]).long(), 0, level - 1)
            index, basis = index + digit * basis, basis * level
        return index

    tasks = {
        "plain": _repeated(plain, 20),
        "quantizer": _repeated(torch.inference_mode()(lambda: quantizer(latents).indices), 20),
        "back": _repeated(torch.inference_mode()(lambda: quantizer.decode_indices(indices)), 20),
    }
    fused = FusedFSQ(quantizer)
    tasks["fused"] = _repeated(lambda: fused.codes_and_margins(latents)[0], 20)
    tasks["back, fused"] = _repeated(lambda: fused.latents(indices), 20)
    seconds = interleave(benchmark, tasks, run.rounds)
    keep(
        benchmark,
        microseconds_per_1024={name: value / 20 * 1e6 for name, value in seconds.items()},
        fused_over_plain=seconds["plain"] / seconds["fused"],
        same_codes=bool((plain() == indices).all() and (fused.codes_and_margins(latents)[0] == indices).all()),
    )


def _repeated(call, times):
    return each(lambda _: call(), range(times))
