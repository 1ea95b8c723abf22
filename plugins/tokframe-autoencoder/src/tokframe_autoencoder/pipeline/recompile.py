"""Recompilation: a network that was trained further, made a lossless tokenizer again.

Codes are assigned anew where they must be, segments re-selected, tables compiled. What changed the network, e.g. a
language model's gradient, is left to the caller. Ids keep their order; a segment that the network no longer
reproduces loses its id, and text that used it is encoded by others. Single bytes never do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, FIRST_LEARNED

from tokframe.errors import TrainingError
from tokframe.plugins.protocols import Check
from tokframe.tokenizer.base import ITokenizer
from tokframe.training.progress import SILENT, Reporter, never_stop
from tokframe_autoencoder.codebook import Codebook
from tokframe_autoencoder.pipeline.verify import check_against_network
from tokframe_autoencoder.training.results import eligible

if TYPE_CHECKING:
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.training.config import TrainingConfig

__all__ = ["RECORD_FILE", "Recompiled", "recompile"]

RECORD_FILE = "recompiled.json"
#: A codebook, the old id of each new one, the network's weights and the record of the recompilation -> the tokenizer.
Assemble = Callable[[Codebook, npt.NDArray[np.int64], Mapping[str, npt.NDArray[Any]], Mapping[str, Any]], ITokenizer]


@frozen(kw_only=True, eq=False)
class Recompiled:
    """`kept` (new ids,) int64: the old id of each new id; `dropped` segments lost theirs; `moved` ids have a new code.

    `steps` is how many training steps it took; `checks` are those of `tokframe verify`, all passed.
    """

    tokenizer: ITokenizer
    kept: npt.NDArray[np.int64]
    dropped: tuple[bytes, ...]
    moved: int
    steps: int
    checks: tuple[Check, ...]


def recompile(
    old: Codebook,
    network: Autoencoder,
    training: TrainingConfig,
    assemble: Assemble,
    *,
    workdir: Path,
    vectors: npt.NDArray[np.float32] | None = None,
    steps: int = 2000,
    learning_rate: float = 1e-3,
    seed: int = 0,
    reporter: Reporter = SILENT,
    should_stop: Callable[[], bool] = never_stop,
    device: str | None = None,
) -> Recompiled:
    """Assign codes to a network's segments, keep what is exact, compile, and check against the network.

    Where every segment is exact, on a code of its own and with its margins, no training is needed. Otherwise the two
    stages of training run with codes planned where the network puts them now (`guide` "own"): those that share a code
    or lie on a border move a little, then the decoder is trained on what changed. It ends when all is exact, after
    `steps` at most. `vectors` (segments, d), where the network has learned them, stay an aim. Checkpoints go to
    `workdir`, from which the same call resumes bit for bit.

    Raises: TrainingError if no segment is exact; TrainingInterrupted with the checkpoint kept.
    """
    settings = evolve(
        training,
        guide="own" if training.guide != "none" else "none",
        use_steps=0,
        max_steps=steps,
        code_steps=max(1, steps // 3),
        eval_interval=max(1, min(100, steps // 10)),
        warmup_steps=min(50, steps // 10),
        learning_rate=learning_rate,
        seed=seed,
        precision="fp32",
        threads=None,
        max_minutes=None,
    )
    weights = np.maximum(old.counts[FIRST_BYTE:], 1).astype(np.float64)
    reporter.stage("checking the changed network", None, "segments")
    network = copy.deepcopy(network).cpu().eval()
    trip = network.roundtrip(old.segments, weights)
    kept_segments = eligible(trip, weights, settings)
    taken, finished = 0, "nothing to train"
    if not kept_segments[old.codes[FIRST_BYTE:] >= 0].all():
        from tokframe_autoencoder.training.loop import train_network

        changed = network
        trained = train_network(
            lambda: copy.deepcopy(changed),
            old.segments,
            weights,
            settings,
            workdir=workdir,
            resume=True,
            reporter=reporter,
            should_stop=should_stop,
            device=device,
            identity=RECORD_FILE,
            vectors=vectors,
        )
        network, trip, taken, finished = trained.network, trained.roundtrip, trained.steps, trained.finished
        kept_segments = eligible(trip, weights, settings)
    codes = {s: int(c) for s, c, good in zip(old.segments, trip.codes, kept_segments, strict=True) if good}
    uncoded = old.codes[FIRST_LEARNED:] < 0  # added after training: they stay, with or without a code
    kept = np.concatenate([np.arange(FIRST_LEARNED), np.flatnonzero(kept_segments[256:] | uncoded) + FIRST_LEARNED])
    if old.vocab_size > FIRST_LEARNED and not kept_segments[256:].any():
        raise TrainingError(
            "no segment is exact through the changed network, so nothing of the vocabulary would be left. "
            "Use a smaller learning rate for the network, or more steps to assign codes"
        )
    learned = [old.token_bytes(token) for token in kept[FIRST_LEARNED:].tolist()]
    counts = {old.token_bytes(token): int(old.counts[token]) for token in kept[FIRST_BYTE:].tolist()}
    ranks = old.ranks[kept[FIRST_LEARNED:] - FIRST_LEARNED] if len(old.ranks) else old.ranks
    codebook = Codebook.build(learned, counts, codes, ranks=ranks.argsort().argsort())
    checks = check_against_network(codebook, network, reporter, without_code=int(uncoded.sum()))
    wrong = [check for check in checks if not check.ok]
    if wrong:
        raise TrainingError(f"the compiled tables fail their check, {wrong[0].name}: {wrong[0].detail}")
    before = old.codes[kept]
    moved = int(((before >= 0) & (codebook.codes != before)).sum())
    record: dict[str, Any] = {
        "ids": {"before": old.vocab_size, "after": codebook.vocab_size, "codes_moved": moved},
        "steps": taken,
        "finished": finished,
        "roundtrip": trip.figures(),
    }
    if vectors is not None and network.use_head is not None:
        known = vectors.any(1) & kept_segments
        rows = network.vectors([segment for segment, has in zip(old.segments, known, strict=True) if has])
        record["vectors_cosine"] = float((rows * vectors[known]).sum(1).mean()) if len(rows) else 0.0
    gone = np.setdiff1d(np.arange(old.vocab_size), kept)
    return Recompiled(
        tokenizer=assemble(codebook, kept, network.arrays(), record),
        kept=kept,
        dropped=tuple(old.token_bytes(int(token)) for token in gone),
        moved=moved,
        steps=taken,
        checks=tuple(checks),
    )
