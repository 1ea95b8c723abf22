"""Training: to exactness on a small set, resumed bit for bit, with parts it has never seen."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from support.stopping import stop_after
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.config import DecoderConfig, EncoderConfig, FSQConfig, VQConfig
from tokframe_autoencoder.network.decoder import DeconvDecoder
from tokframe_autoencoder.network.encoder import ConvEncoder
from tokframe_autoencoder.network.fsq import FSQ
from tokframe_autoencoder.network.vq import VQ
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.loop import train_network
from tokframe_autoencoder.training.plan import assign_free_codes, front_length_back
from tokframe_autoencoder.training.results import TrainedNetwork
from tokframe_autoencoder.training.schedule import Schedule
from tokframe_torch.checkpoint import read_checkpoint
from torch import nn

from tokframe.errors import TrainingError, TrainingInterrupted, UnsupportedError
from tokframe.plugins.protocols import Quantized
from tokframe.storage.settings import problems_in

pytestmark = pytest.mark.trains

SHAPE = {"d_latent": 64, "max_length": 8}
LEVELS = (8, 8, 8, 8, 8, 5, 5, 5)
QUICK = TrainingConfig(
    guide="front-length-back",
    batch_size=128,
    max_steps=1500,
    code_steps=600,
    eval_interval=50,
    learning_rate=3e-3,
    precision="fp32",
    threads=1,
)
SHORT = attrs.evolve(QUICK, batch_size=32, max_steps=24, code_steps=12, eval_interval=4)


def words(count: int) -> list[bytes]:
    """Return distinct segments of 1 to 8 bytes that share pieces, as words do, and a few single bytes."""
    parts = (b"un", b"re", b"th", b"\x00", b"ing", b"ed", b" ", b"\xc3\xa9", b"at", b"or")
    made = [b"".join(p) for n in (1, 2, 3) for p in itertools.product(parts, repeat=n)]
    return [piece for piece in made if len(piece) <= 8][:count]


class Lookup(nn.Module):
    """A quantizer from elsewhere: no digits, no margin, only what the protocol asks for."""

    codebook_size = 512

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(512, 64)

    def forward(self, latents: torch.Tensor) -> Quantized:
        indices = (latents.detach() @ self.table.weight.detach().T).argmax(1)
        chosen = self.table(indices)
        loss = 0.1 * (latents - chosen.detach()).square().mean()
        return Quantized(latents=chosen + latents - latents.detach(), indices=indices, loss=loss, margin=None)

    def decode_indices(self, indices: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.table(indices)
        return found


def build(quantizer: str = "fsq", use_dimensions: int = 0) -> Autoencoder:
    encoder = ConvEncoder(
        EncoderConfig(
            d_char=16,
            conv_channels=(32, 64),
            kernel_sizes=(3, 3),
            strides=(1, 2),
            pooling="flatten",
            hidden_blocks=0,
        ),
        **SHAPE,
    )
    decoder = DeconvDecoder(
        DecoderConfig(
            deconv_channels=(32, 32), kernel_sizes=(3, 3), strides=(2, 1), start_channels=32, hidden_width=128
        ),
        **SHAPE,
    )
    middle: Any = {
        "fsq": lambda: FSQ(FSQConfig(group_rows=512), **SHAPE),
        "vq": lambda: VQ(VQConfig(codebook_size=512, vocab_size=300, revive_after=20), **SHAPE),
        "lookup": Lookup,
    }[quantizer]()
    head = nn.Linear(64, use_dimensions) if use_dimensions else None
    return Autoencoder(encoder, middle, decoder, max_length=8, use_head=head)


def train(
    folder: Path, config: TrainingConfig, quantizer: str = "fsq", count: int = 200, **more: Any
) -> TrainedNetwork:
    segments = words(count)
    weights = np.arange(len(segments), 0, -1).astype(np.float64)
    width = config.use_dimensions if config.guide == "use" else 0
    return train_network(
        lambda: build(quantizer, width), segments, weights, config, workdir=folder, device="cpu", **more
    )


def test_two_hundred_segments_become_exact_each_on_a_safe_code_of_its_own(tmp_path: Path) -> None:
    result = train(tmp_path, QUICK)
    assert result.finished == "learnt"
    assert result.eligible.all() and result.roundtrip.exact_rate == 1.0 and result.roundtrip.collisions == 0
    assert float(result.roundtrip.margins.min()) >= QUICK.margin
    assert result.roundtrip.perplexity_weighted < 1.05
    segments = words(200)
    codes = result.network.encode(segments).codes
    assert result.network.decode(codes) == segments


@pytest.mark.parametrize("stop", [3, 12, 13, 21])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, stop: int) -> None:
    whole = train(tmp_path / "whole", SHORT)
    with pytest.raises(TrainingInterrupted) as caught:
        train(tmp_path / "parts", SHORT, should_stop=stop_after(stop))
    assert caught.value.checkpoint == tmp_path / "parts"
    parts = train(tmp_path / "parts", SHORT, resume=True)
    assert parts.steps == whole.steps == 24
    for name, value in whole.network.arrays().items():
        assert np.array_equal(value, parts.network.arrays()[name]), name


def test_guided_by_use_a_run_goes_on_the_same_and_with_the_same_vectors_only(tmp_path: Path) -> None:
    config = attrs.evolve(SHORT, guide="use", use_dimensions=4, use_steps=4)
    with pytest.raises(TrainingError, match="there are none; use another guide"):
        train(tmp_path, config)
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    whole = train(tmp_path / "whole", config, count=300, vectors=vectors)
    assert 0 < whole.history[1]["planned_cluster_share"] <= 1
    for stop in (3, 7):
        with pytest.raises(TrainingInterrupted):
            train(tmp_path / "parts", config, count=300, vectors=vectors, resume=True, should_stop=stop_after(stop))
    with pytest.raises(TrainingError):
        train(tmp_path / "parts", config, count=300, vectors=vectors + 1, resume=True)
    parts = train(tmp_path / "parts", config, count=300, vectors=vectors, resume=True)
    for name, value in whole.network.arrays().items():
        assert np.array_equal(value, parts.network.arrays()[name]), name


def test_the_seed_decides(tmp_path: Path) -> None:
    seeds = {"a": 5, "b": 5, "c": 6}
    first, same, other = (train(tmp_path / name, attrs.evolve(SHORT, seed=seed)) for name, seed in seeds.items())
    weight = "decoder.out.weight"
    assert np.array_equal(first.network.arrays()[weight], same.network.arrays()[weight])
    assert not np.array_equal(first.network.arrays()[weight], other.network.arrays()[weight])


def test_the_callers_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(tmp_path, SHORT)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("quantizer", ["vq", "lookup", "fsq"])
def test_any_quantizer_learns_end_to_end(tmp_path: Path, quantizer: str) -> None:
    config = attrs.evolve(QUICK, guide="none", max_steps=900, code_steps=600, learning_rate=1e-3)
    result = train(tmp_path, config, quantizer, count=60)
    assert result.history[0]["stage"] == "joint"
    assert result.history[-1]["character_accuracy"] > max(0.5, result.history[0]["character_accuracy"])
    shared = np.unique(result.roundtrip.codes[result.eligible])
    assert len(shared) == result.eligible.sum() > 0


def test_a_finished_run_resumes_to_the_same_network_without_training(tmp_path: Path) -> None:
    first = train(tmp_path, SHORT)
    again = train(tmp_path, SHORT, resume=True, should_stop=lambda: pytest.fail("it trained"))
    assert again.steps == first.steps
    assert np.array_equal(first.roundtrip.codes, again.roundtrip.codes)


def test_a_run_short_of_time_goes_through_both_stages_and_says_so(tmp_path: Path) -> None:
    result = train(tmp_path, attrs.evolve(SHORT, max_steps=100_000, code_steps=50_000, max_minutes=0.002))
    assert result.finished == "minutes"
    assert {record["stage"] for record in result.history} == {"codes", "decoder"}
    assert result.steps < 100_000


def test_time_and_threads_may_change_between_a_run_and_its_continuation(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", SHORT)
    hurried = attrs.evolve(SHORT, max_minutes=1000.0, threads=2)
    with pytest.raises(TrainingInterrupted):
        train(tmp_path / "parts", hurried, should_stop=stop_after(14))
    parts = train(tmp_path / "parts", SHORT, resume=True)
    assert parts.steps == whole.steps
    short = attrs.evolve(SHORT, max_steps=100_000, code_steps=50_000, max_minutes=0.002)
    with pytest.raises(TrainingInterrupted):  # the second stage's end was already brought forward
        train(tmp_path / "more", short, should_stop=lambda: _stage(tmp_path / "more") == 1)
    more = train(tmp_path / "more", attrs.evolve(short, max_minutes=None), resume=True)
    assert more.finished == "learnt"  # as long as it takes, however fast the machine


def test_with_more_time_a_run_goes_on_with_the_stage_that_time_ended(tmp_path: Path) -> None:
    short = attrs.evolve(SHORT, max_steps=100_000, code_steps=50_000, max_minutes=0.002)
    first = train(tmp_path, short)
    assert first.finished == "minutes"
    less = attrs.evolve(short, max_minutes=1e-6)
    again = train(tmp_path, less, resume=True, should_stop=lambda: pytest.fail("the time is spent"))
    assert again.steps == first.steps
    with pytest.raises(TrainingInterrupted):
        train(tmp_path, attrs.evolve(short, max_minutes=None), resume=True, should_stop=stop_after(9))
    record = read_checkpoint(tmp_path).record
    assert record["stage"] == 0 and record["step"] > first.steps and record["outcome"] == ""
    assert 0 < record["schedule"]["spent"] < first.steps
    assert record["schedule"]["end"] == first.steps + 50_000 - record["schedule"]["spent"]


def _stage(folder: Path) -> int:
    found = read_checkpoint(folder)
    return int(found.record["stage"]) if found else 0


def test_progress_says_from_the_first_stage_on_how_many_steps_are_expected_in_all(
    tmp_path: Path, listener: Any
) -> None:
    train(tmp_path, SHORT, reporter=listener)
    assert [(name, total) for name, total, _ in listener.stages] == [
        ("training: codes", 24),
        ("training: codes, finish", 24),
        ("training: decoder", 24),
        ("training: decoder, finish", 24),
    ]


def test_what_is_not_learned_as_planned_gets_more_rounds_from_a_lower_rate() -> None:
    config = attrs.evolve(QUICK, warmup_steps=0)
    schedule = Schedule(config, begin=100, minutes=0, steps=100, limit=250)
    names = [schedule.phase(step).name for step in (100, 139, 140, 199, 200, 249, 250, 300)]
    assert names == ["", "", ", finish", ", finish", ", round 2", ", round 2", ", round 3", ", round 4"]
    assert schedule.rate(139) == 1 and schedule.rate(198) < 0.03 and schedule.rate(200) == 0.1
    assert schedule.rate(249) < 0.01 and schedule.rate(250) == 0.1
    assert schedule.expected_end(120) == 200 and schedule.expected_end(210) == 250
    assert not schedule.over(349) and schedule.over(350)


KINDS = (b"ing", b"ed", b" ", b"at", b"or")


def vectors_by_ending(segments: list[bytes]) -> np.ndarray:
    """Return vectors that the last letters decide, with a little of each segment's own."""
    kinds = [next((n + 1 for n, end in enumerate(KINDS) if segment.endswith(end)), 0) for segment in segments]
    noise = np.random.default_rng(0).normal(0, 0.05, (len(segments), 8))
    vectors = np.eye(8)[kinds] + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_the_use_of_segments_never_taught_is_found_by_their_spelling_and_told(
    tmp_path: Path, quantizer: str, listener: Any
) -> None:
    vectors = vectors_by_ending(words(400))
    config = attrs.evolve(QUICK, guide="use", max_steps=220, use_steps=150, use_dimensions=8, held_out=0.2)
    result = train(tmp_path, config, quantizer, count=400, vectors=vectors, reporter=listener)
    held = result.history[0]
    assert held["stage"] == "use" and held["held_out"] == 80 and 60 <= held["use_segments"] <= 80
    assert held["use_cosine"] > 0.8 and held["class_accuracy"] <= held["class_among_five_accuracy"]
    assert any(note.startswith("held out: of ") and "now all are taught" in note for note in listener.notes)
    rows = result.network.vectors(words(400))
    assert rows.shape == (400, 8) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert (rows * vectors).sum(1).mean() == pytest.approx(result.use["use_cosine"], abs=1e-4) and result.use[
        "use_cosine"
    ] > 0.9
    assert result.network.vectors([]).shape == (0, 8)


def test_nothing_is_held_out_on_request_and_without_vectors_there_is_no_head(tmp_path: Path) -> None:
    vectors = vectors_by_ending(words(200))
    none = attrs.evolve(SHORT, guide="use", use_dimensions=8)
    told = train(tmp_path / "all", attrs.evolve(none, held_out=0.0, use_steps=4), vectors=vectors)
    assert told.history[0]["stage"] == "use" and told.history[0]["held_out"] == 0
    skipped = train(tmp_path / "none", attrs.evolve(none, use_steps=0), vectors=vectors)
    assert skipped.history[0]["stage"] == "codes"
    plain = train(tmp_path / "plain", SHORT)
    assert not [name for name in plain.network.arrays() if name.startswith("use_head")]
    with pytest.raises(UnsupportedError, match='guide "use"'):
        plain.network.vectors([b"ab"])


@pytest.mark.parametrize(
    ("segments", "text"), [([], "no segments"), ([b"a", b"a"], "not distinct"), ([b"123456789"], "max_chunk_size")]
)
def test_segments_that_cannot_be_trained_are_refused(tmp_path: Path, segments: list[bytes], text: str) -> None:
    with pytest.raises(TrainingError, match=text):
        train_network(build, segments, np.ones(len(segments)), SHORT, workdir=tmp_path, device="cpu")


@pytest.mark.parametrize("quantizer", ["fsq", "vq"])
def test_a_rate_that_is_too_high_ends_training_with_the_advice_to_lower_it(tmp_path: Path, quantizer: str) -> None:
    config = attrs.evolve(SHORT, learning_rate=1e9, clip=1e9)
    with pytest.raises(TrainingError, match=r'diverged at step \d+: loss .*Set a lower "learning_rate" \(now'):
        train(tmp_path, config, quantizer)


def test_planned_codes_are_orderly_and_assigned_ones_distinct() -> None:
    segments = sorted(words(300))
    digits = front_length_back(segments, LEVELS)
    assert ((digits >= 0) & (digits < np.array(LEVELS))).all()
    # The dimension of length grows with length, and neighbors in the dictionary differ by one step from the front.
    lengths = np.array([len(segment) for segment in segments])
    assert np.corrcoef(lengths, digits[:, 2])[0, 1] > 0.9
    front = digits[:, [7, 6]]
    assert np.abs(np.diff(front, axis=0)).sum(1).max() <= 2
    crowded = np.repeat(digits[:30], 10, axis=0)
    assigned, moved = assign_free_codes(crowded, crowded + 0.5, LEVELS)
    basis = np.cumprod((1, *LEVELS[:-1]))
    assert moved > 0 and len(np.unique(assigned @ basis)) == len(assigned)
    assert ((assigned >= 0) & (assigned < np.array(LEVELS))).all()
    held, _ = assign_free_codes(crowded, crowded + 0.5, LEVELS, 3)
    assert np.array_equal(held[:, :3], crowded[:, :3]) and len(np.unique(held @ basis)) == len(held)


def test_training_config_names_every_problem() -> None:
    config = TrainingConfig(
        batch_size=0, precision="fp8", guide="east", margin=0.4, aim_margin=0.3, code_steps=0, max_minutes=-1.0
    )
    found = {path for path, _ in problems_in(config)}
    assert found == {"$.batch_size", "$.precision", "$.guide", "$.margin", "$.code_steps", "$.max_minutes"}
    assert not list(problems_in(TrainingConfig()))
