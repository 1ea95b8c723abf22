"""A network that was trained on, made an exact tokenizer again: codes settled, segments re-selected, tables compiled.

What changed the network is the caller's business, e.g. a language model's gradient. Ids keep their order; a segment
that the network no longer brings back loses its id, and text that used it is spelt by others. Single bytes never do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from tokframe_dictionary.vocabulary.table import FIRST_BYTE, FIRST_LEARNED, Codebook

from tokframe.errors import TrainingError
from tokframe.plugins.protocols import Check
from tokframe.storage.strictjson import canonical_json
from tokframe.training.progress import Reporter, SilentReporter
from tokframe_autoencoder.pipeline.verify import check_against_network

if TYPE_CHECKING:
    from tokframe_autoencoder.network.autoencoder import Autoencoder
    from tokframe_autoencoder.network.results import RoundTrip
    from tokframe_autoencoder.tokenizer import AutoencoderTokenizer
    from tokframe_autoencoder.training.config import TrainingConfig

__all__ = ["Recompiled", "recompile"]

_RECORD = "recompiled.json"
#: Lead in nats over the best wrong symbol that a kept segment has at least, as in a first training.
_LEAD = 0.1


@frozen(kw_only=True, eq=False)
class Recompiled:
    """`kept` (new ids,) int64: the old id of each new id; `dropped` segments lost theirs; `moved` ids have a new code.

    `steps` is how many it took to settle; `checks` are those of `tokframe verify`, all passed.
    """

    tokenizer: AutoencoderTokenizer
    kept: npt.NDArray[np.int64]
    dropped: tuple[bytes, ...]
    moved: int
    steps: int
    checks: tuple[Check, ...]


def recompile(
    tokenizer: AutoencoderTokenizer,
    network: Autoencoder,
    *,
    workdir: Path,
    steps: int = 2000,
    learning_rate: float = 1e-3,
    seed: int = 0,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    device: str | None = None,
) -> Recompiled:
    """Settle the codes of a network's segments, keep what is exact, compile, and check against the network.

    Where every segment comes back as it is, on a code of its own and with a margin, there is nothing to settle. Else
    settling is the two stages of training with codes aimed at where the network puts them now (`guide` "own"): those
    that share a code or lie on a border move a little, then the decoder learns what changed. It ends when all is
    exact, after `steps` at most. Checkpoints go to `workdir`, from which the same call goes on bit for bit.

    Raises: TrainingError if nothing comes back; TrainingInterrupted with the checkpoint kept.
    """
    old = tokenizer.codebook
    reporter = reporter or SilentReporter()
    settings = evolve(
        tokenizer.parts.training,
        guide="own" if tokenizer.parts.training.guide != "none" else "none",
        max_steps=steps,
        code_steps=max(1, steps // 3),
        eval_interval=max(1, min(100, steps // 10)),
        warmup_steps=min(50, steps // 10),
        learning_rate=learning_rate,
        precision="fp32",
        threads=None,
        max_minutes=None,
    )
    weights = np.maximum(old.counts[FIRST_BYTE:], 1).astype(np.float64)
    reporter.stage("checking what comes back", None, "segments")
    network = copy.deepcopy(network).cpu().eval()
    trip = network.roundtrip(old.pieces, weights)
    usable = _usable(trip, weights, settings)
    taken, finished = 0, "nothing to settle"
    if not usable[old.codes[FIRST_BYTE:] >= 0].all():
        from tokframe_autoencoder.training.loop import train_network

        changed = network
        trained = train_network(
            lambda: copy.deepcopy(changed),
            old.pieces,
            weights,
            settings,
            workdir=workdir,
            resume=True,
            reporter=reporter,
            should_stop=should_stop,
            device=device,
            seed=seed,
            identity=_RECORD,
        )
        network, trip, taken, finished = trained.network, trained.roundtrip, trained.steps, trained.finished
        usable = _usable(trip, weights, settings)
    codes = {p: int(c) for p, c, good in zip(old.pieces, trip.codes, usable, strict=True) if good}
    kept = np.concatenate([np.arange(FIRST_LEARNED), np.flatnonzero(usable[256:]) + FIRST_LEARNED])
    if old.vocab_size > FIRST_LEARNED and len(kept) == FIRST_LEARNED:
        raise TrainingError(
            "no segment comes back exactly through the changed network, so nothing of the vocabulary would be left. "
            "Say a smaller learning rate for the network, or more steps to settle"
        )
    learned = [old.token_bytes(token) for token in kept[FIRST_LEARNED:].tolist()]
    counts = {old.token_bytes(token): int(old.counts[token]) for token in kept[FIRST_BYTE:].tolist()}
    codebook = Codebook.build(learned, codes, counts)
    checks = check_against_network(codebook, network, reporter)
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
    made = type(tokenizer)(
        codebook,
        config=tokenizer.config,
        components=tokenizer.state().components,
        weights={"weights": network.arrays()},
        files={**tokenizer.files, _RECORD: canonical_json(record)},
    )
    made.name = tokenizer.name
    gone = np.setdiff1d(np.arange(old.vocab_size), kept)
    return Recompiled(
        tokenizer=made,
        kept=kept,
        dropped=tuple(old.token_bytes(int(token)) for token in gone),
        moved=moved,
        steps=taken,
        checks=tuple(checks),
    )


def _usable(trip: RoundTrip, weights: npt.NDArray[np.float64], settings: TrainingConfig) -> npt.NDArray[np.bool_]:
    """Return which segments may have an id, as a first training decides it: exact, alone on a code, with margins."""
    import torch

    from tokframe_autoencoder.training.stages import winners

    own = winners(torch.from_numpy(trip.codes), weights).numpy()
    safe = ~(trip.margins < settings.margin)  # NaN, no margin known, is not unsafe
    result: npt.NDArray[np.bool_] = trip.exact & own & safe & (trip.scores >= min(settings.score_margin, _LEAD))
    return result
