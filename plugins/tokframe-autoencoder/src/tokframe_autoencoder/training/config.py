"""The config section `training`: frozen data that can name its own problems."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from tokframe_autoencoder.network.config import Issue, one_of, positive

__all__ = ["MAY_CHANGE", "TrainingConfig"]

#: Settings that may change between a run and its continuation.
MAY_CHANGE = ("max_minutes", "threads")


@frozen(kw_only=True)
class TrainingConfig:
    """How the network is trained. Steps count over all stages."""

    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    max_steps: int = 40_000
    warmup_steps: int = 50
    eval_interval: int = 250
    seed: int = 0
    precision: str = "auto"  #: of the bulk: "bf16", "fp32", or bf16 where the hardware has it; a finish is in fp32
    threads: int | None = None  #: CPU threads; None leaves torch's own choice
    #: where codes start from: a plan (see `plan`); "own", where the network puts them; "none" learns them end to end
    guide: str = "front-length-back"
    code_steps: int | None = None  #: steps to settle the codes, of `max_steps`; None is a tenth, or two thirds unguided
    aim_margin: float = 0.3  #: distance from a bin border, in bins, towards which a segment is trained
    margin: float = 0.1  #: distance with which a segment counts as settled
    score_margin: float = 1.0  #: lead in nats over the best wrong symbol with which a segment counts as learnt
    hard_floor: float = 0.1  #: how often what is learnt is sampled, as a share of what is not; 1 samples evenly
    final_rate: float = 0.02  #: learning rate at the end of a stage, as a share of the first
    beta2: float = 0.99
    clip: float = 1.0  #: largest gradient norm
    patience: int = 2  #: evaluations in a row that must find everything learnt before training ends early
    max_minutes: float | None = None  #: end after so long, with what is learnt by then

    def issues(self) -> Iterator[Issue]:
        """Yield `(field, text)` for everything wrong."""
        yield from positive(self, "batch_size", "learning_rate", "max_steps", "eval_interval", "clip", "patience")
        for name in ("weight_decay", "warmup_steps", "seed", "score_margin"):
            if getattr(self, name) < 0:
                yield name, f"is {getattr(self, name)}, must not be negative"
        yield from one_of(self, "precision", ("auto", "bf16", "fp32"))
        yield from one_of(self, "guide", ("front-length-back", "own", "none"))
        for name in ("hard_floor", "final_rate", "beta2"):
            if not 0 < getattr(self, name) <= 1:
                yield name, f"is {getattr(self, name)}, must be above 0 and at most 1"
        if not 0 <= self.margin <= self.aim_margin < 0.5:
            yield "margin", f"is {self.margin} with aim_margin {self.aim_margin}; 0 <= margin <= aim_margin < 0.5"
        if self.code_steps is not None and not 0 < self.code_steps <= self.max_steps:
            yield "code_steps", f"is {self.code_steps}, must lie in 1 to max_steps ({self.max_steps})"
        for name in ("threads", "max_minutes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                yield name, f"is {value}, must be above 0 (or null)"

    @property
    def steps_for_codes(self) -> int:
        """Steps of the first stage."""
        if self.code_steps is not None:
            return self.code_steps
        share = self.max_steps // 10 if self.guide != "none" else self.max_steps * 2 // 3
        return max(1, share, min(500, self.max_steps // 2))
