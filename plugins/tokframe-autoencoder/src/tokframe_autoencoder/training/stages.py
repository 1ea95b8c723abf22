"""Stages: the parts of training, each a loss on a batch and an evaluation. When one ends is left to the schedule.

`UseStage` has the encoder learn how segments are used, all but those held out. `CodeStage` decides which code each
segment has: it trains encoder and quantizer towards planned digits, then lets each segment keep the code it landed on,
moving those that share one. `DecodeStage` trains the decoder and the quantizer's output side on codes that no longer
move. `JointStage` trains everything end to end by the straight-through gradient: all there is for a quantizer without
digits, and for `guide: "none"`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tokframe.plugins.protocols import HasInputSide, PositionwiseDecoder, SeparatesCodes
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.network.results import RoundTrip
from tokframe_autoencoder.network.segments import SegmentTable, batches
from tokframe_autoencoder.training.config import TrainingConfig
from tokframe_autoencoder.training.objective import MEASURED_USES, UseObjective
from tokframe_autoencoder.training.plan import (
    CLASS_DIGITS,
    assign_free_codes,
    by_use,
    front_length_back,
    use_dimensions,
)
from tokframe_autoencoder.training.results import StageReport, code_owners

__all__ = ["CodeStage", "DecodeStage", "JointStage", "Stage", "UseStage"]

#: Share of segments on their planned code with which those that landed on another may keep it.
_READY_SHARE = 0.5
#: The same where codes are planned by use, of segments in their cluster.
_READY_CLUSTER_SHARE = 0.9
_MOST_DIFFICULT = 2.0


class Stage(ABC):
    """What the loop needs of a stage. Its state is `codes` and the network."""

    name: str
    allowed: Tensor  #: which segments are sampled, (segments,) bool
    codes: Tensor | None = None  #: of the segments, (segments,) int64, where the stage has fixed any

    def __init__(
        self, network: Autoencoder, table: SegmentTable, weights: npt.NDArray[np.float64], config: TrainingConfig
    ) -> None:
        self.network, self.table, self.weights, self.config = network, table, weights, config
        self.allowed = torch.ones(len(table), dtype=torch.bool)

    @abstractmethod
    def parameters(self) -> list[nn.Parameter]:
        """Return what is trained."""

    @abstractmethod
    def loss(self, chosen: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(rows,) segment numbers out of (batch,) -> their part of the batch's loss, and their difficulty (rows,).

        Parts of a batch add up to its loss, however it is split.
        """

    @abstractmethod
    def evaluate(self, finishing: bool) -> StageReport:
        """Measure in fp32; `finishing` says that the finish, with a falling learning rate, has begun."""


class UseStage(Stage):
    """Encoder to vectors and classes of use, of the segments that `objective` has taught; measured on the others."""

    name = "use"

    def __init__(self, *shared: Any, objective: UseObjective) -> None:
        super().__init__(*shared)
        self.objective = objective
        self.allowed = torch.from_numpy(objective.taught & objective.known)

    def parameters(self) -> list[nn.Parameter]:
        """Return the encoder's parameters and those that read vectors from latents."""
        return [*self.network.encoder.parameters(), *_use_head(self.network)]

    def loss(self, chosen: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the objective; all segments are as difficult."""
        latents = self.network.encoder(self.table.data[chosen], self.table.lengths[chosen])
        difficulty = torch.full((len(chosen),), _MOST_DIFFICULT, device=latents.device)
        return self.objective.loss(latents, chosen, batch), difficulty

    def evaluate(self, finishing: bool) -> StageReport:
        """Measure segments that are used often enough, those held out or, where none are, all."""
        del finishing
        held = ~self.objective.taught
        often = self.weights >= MEASURED_USES
        figures = self.objective.figures(often & held if held.any() else often)
        return StageReport(reached=False, figures={"held_out": int(held.sum()), **figures})


class CodeStage(Stage):
    """Encoder to codes: a hinge on the quantizer's pre-activations, in bins. `codes` are those aimed at."""

    name = "codes"
    codes: Tensor

    def __init__(
        self,
        *shared: Any,
        segments: Sequence[bytes],
        vectors: npt.NDArray[np.float32] | None,
        codes: Tensor | None,
        objective: UseObjective | None = None,
    ) -> None:
        super().__init__(*shared)
        self.objective = objective
        quantizer = self.network.quantizer
        self.clusters: Tensor | None = None  # the digits of the class as planned by use, (segments, dims)
        if self.config.guide == "use" and vectors is not None:
            planned = by_use(segments, vectors, self.weights, quantizer.shape)
            # Finer clusters are planned too, but not held to: a segment may land beside its own.
            clusters = planned[:, : min(CLASS_DIGITS, use_dimensions(len(segments), quantizer.shape))]
            self.clusters = torch.from_numpy(clusters).to(self.table.lengths.device)
        else:
            planned = front_length_back(segments, quantizer.shape)
        if codes is not None:
            self._aim_at(quantizer.digits(codes.to(self.table.lengths.device)))
        elif self.config.guide == "own":
            self._keep(self.network.encode_table(self.table)[0])
        else:
            digits, _ = assign_free_codes(planned, planned + 0.5, quantizer.shape)
            self._aim_at(torch.from_numpy(digits))

    def parameters(self) -> list[nn.Parameter]:
        """Return the encoder's parameters, the quantizer's input side and what reads vectors from latents."""
        network = self.network
        return [*network.encoder.parameters(), *network.quantizer.input_parameters(), *_use_head(network)]

    def loss(self, chosen: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean hinge, with the loss of use, and each segment's worst digit, in bins outside its interval."""
        latents = self.network.encoder(self.table.data[chosen], self.table.lengths[chosen])
        values = self.network.quantizer.preactivations(latents)
        low, high, width = self.low[chosen], self.high[chosen], self.width[chosen]
        outside = (functional.relu(low - values) + functional.relu(values - high)) / width
        hinge = functional.smooth_l1_loss(outside, torch.zeros_like(outside), beta=0.5, reduction="none")
        # Anything outside its interval counts as hard: a small miss is still a miss.
        worst = outside.detach().amax(1)
        total = hinge.sum() / len(batch)
        if self.objective is not None:
            total = total + self.config.use_weight * self.objective.loss(latents, chosen, batch)
        return total, torch.where(worst > 0, worst * 4 + 0.2, worst)

    def evaluate(self, finishing: bool) -> StageReport:
        """Measure; once ready, let segments keep the codes they have (see `_keep`), and move those that share one."""
        codes, margins = self.network.encode_table(self.table)
        clustered = self._cluster_share(codes)
        if clustered is None:
            ready = bool((codes == self.codes).float().mean() >= _READY_SHARE)
        else:
            ready = clustered >= _READY_CLUSTER_SHARE
        reassigned = self._keep(codes) if finishing or ready else 0
        planned = codes == self.codes
        safe = planned & (margins >= self.config.margin)
        used = len(np.unique(codes.cpu().numpy()))
        return StageReport(
            reached=bool(safe.all()) and used == len(codes),
            figures={
                "planned_code_share": float(planned.float().mean()),
                **({} if clustered is None else {"planned_cluster_share": clustered}),
                "safe_margin_share": float(safe.float().mean()),
                "collisions": len(codes) - used,
                "reassigned": reassigned,
                "margin_min": float(margins.min()),
            },
        )

    def _cluster_share(self, codes: Tensor) -> float | None:
        """Return the share of segments whose first digits are those planned by use; None where none are."""
        if self.clusters is None:
            return None
        digits = self.network.quantizer.digits(codes)
        same = (digits[:, : self.clusters.shape[1]] == self.clusters).all(1)
        return float(same.float().mean())

    def _keep(self, codes: Tensor) -> int:
        """Aim at the codes that segments have, moving those that share one; return how many moved.

        What was planned by use stays the aim.
        """
        quantizer = self.network.quantizer
        digits, bins, held = quantizer.digits(codes).cpu().numpy(), self._bins(), 0
        if self.clusters is not None:
            held = self.clusters.shape[1]
            digits[:, :held] = self.clusters.cpu().numpy()
            bins[:, :held] = digits[:, :held] + 0.5
        digits, moved = assign_free_codes(digits, bins, quantizer.shape, held)
        self._aim_at(torch.from_numpy(digits))
        return moved

    def _aim_at(self, digits: Tensor) -> None:
        digits = digits.to(self.table.lengths.device)
        self.codes = self.network.quantizer.indices_of(digits)
        self.low, self.high, self.width = self.network.quantizer.targets(digits, self.config.aim_margin)

    @torch.no_grad()
    def _bins(self) -> npt.NDArray[Any]:
        """Return every segment's bin coordinates, (segments, dims)."""
        parts = []
        for data, lengths in batches([self.table.data, self.table.lengths]):
            parts.append(self.network.quantizer.bins(self.network.encoder(data, lengths)))
        return torch.cat(parts).cpu().numpy()


class DecodeStage(Stage):
    """Codes to bytes: cross-entropy per byte and end, on fixed codes: those given, or as the network has them."""

    name = "decoder"
    codes: Tensor

    def __init__(self, *shared: Any, codes: Tensor | None) -> None:
        super().__init__(*shared)
        if codes is None:
            _separate_codes(self.network, self.table)
            codes, _ = self.network.encode_table(self.table)
        self.codes = codes.to(self.table.lengths.device)
        self.allowed = torch.from_numpy(code_owners(codes.cpu().numpy(), self.weights))

    def parameters(self) -> list[nn.Parameter]:
        """Return the decoder's parameters and what of the quantizer makes latents out of codes."""
        return [*self.network.decoder.parameters(), *_output_side(self.network.quantizer)]

    def loss(self, chosen: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy per symbol of the batch and the loss of each segment's worst symbol."""
        latents = self.network.quantizer.decode_indices(self.codes[chosen])
        total, worst = _symbol_loss(self.network.decoder, latents, self.table.targets[chosen])
        return total / self.table.symbols(batch), worst

    def evaluate(self, finishing: bool) -> StageReport:
        """Measure the decoder at the fixed codes."""
        trip = self.network.roundtrip_table(self.table, self.weights, codes=self.codes)
        allowed = self.allowed.cpu().numpy()
        learned = (trip.leads >= self.config.score_margin) | ~allowed
        return StageReport(
            reached=bool(learned.all()),
            figures=_trip_figures(trip) | {"learned_share": float(learned.mean())},
        )


class JointStage(Stage):
    """Everything end to end, the quantizer's own loss added, and that of use."""

    name = "joint"

    def __init__(self, *shared: Any, objective: UseObjective | None = None) -> None:
        super().__init__(*shared)
        self.objective = objective

    def parameters(self) -> list[nn.Parameter]:
        """Return all parameters."""
        return list(self.network.parameters())

    def loss(self, chosen: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy per symbol plus the quantizer's loss, and the loss of each worst symbol.

        The quantizer's loss is taken as a mean over rows.
        """
        latents = self.network.encoder(self.table.data[chosen], self.table.lengths[chosen])
        quantized = self.network.quantizer(latents)
        total, worst = _symbol_loss(self.network.decoder, quantized.latents, self.table.targets[chosen])
        total = total / self.table.symbols(batch) + quantized.loss * (len(chosen) / len(batch))
        if self.objective is not None:
            total = total + self.config.use_weight * self.objective.loss(latents, chosen, batch)
        return total, worst

    def evaluate(self, finishing: bool) -> StageReport:
        """Measure the whole network."""
        trip = self.network.roundtrip_table(self.table, self.weights)
        learned = (trip.leads >= self.config.score_margin) & trip.own_code
        return StageReport(
            reached=bool(learned.all()),
            figures=_trip_figures(trip) | {"collisions": trip.collisions, "learned_share": float(learned.mean())},
        )


def _symbol_loss(decoder: Any, latents: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of the symbols that count, and each segment's worst: scalar, (batch,)."""
    known = targets >= 0
    if isinstance(decoder, PositionwiseDecoder):
        logits = decoder.logits(decoder.features(latents)[known])  # those of padding would cost as much again
    else:
        logits = decoder(latents)[known]
    losses = functional.cross_entropy(logits.float(), targets[known], reduction="none")
    rows = known.nonzero()[:, 0]
    worst = torch.zeros(len(targets), device=losses.device)
    worst = worst.scatter_reduce(0, rows, losses.detach(), "amax")
    return losses.sum(), worst


@torch.no_grad()
def _separate_codes(network: Autoencoder, table: SegmentTable) -> None:
    """Let a quantizer that can (as VQ) give segments that share a code one of their own, before codes are fixed."""
    if isinstance(network.quantizer, SeparatesCodes):
        parts = [network.encoder(data, lengths) for data, lengths in batches([table.data, table.lengths])]
        network.quantizer.separate(torch.cat(parts))


def _use_head(network: Autoencoder) -> list[nn.Parameter]:
    return [] if network.use_head is None else list(network.use_head.parameters())


def _output_side(quantizer: nn.Module) -> Iterator[nn.Parameter]:
    """Yield a quantizer's parameters but those of its input side."""
    skipped = {id(p) for p in quantizer.input_parameters()} if isinstance(quantizer, HasInputSide) else set()
    yield from (p for p in quantizer.parameters() if id(p) not in skipped)


def _trip_figures(trip: RoundTrip) -> dict[str, float | int]:
    names = (
        "character_accuracy character_accuracy_weighted exact_rate exact_rate_weighted perplexity_weighted codes_used"
    )
    return {name: getattr(trip, name) for name in names.split()}
