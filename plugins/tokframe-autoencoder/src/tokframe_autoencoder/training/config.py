"""The config section `training`."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from tokframe import setting

__all__ = ["MAY_CHANGE", "TrainingConfig"]

#: Settings that may change between a run and its continuation.
MAY_CHANGE = ("max_minutes", "threads")


@frozen(kw_only=True)
class TrainingConfig:
    """How the network is trained. Steps count over all stages."""

    batch_size: int = setting(512, above=0, at_most=1 << 20)  #: segments of a step
    learning_rate: float = setting(2e-3, above=0)  #: peak learning rate of AdamW
    weight_decay: float = setting(0.01, at_least=0)  #: of AdamW
    max_steps: int = setting(40_000, above=0)  #: steps over all stages, at most
    warmup_steps: int = setting(50, at_least=0)  #: steps in which the learning rate rises, at the start of each stage
    eval_interval: int = setting(250, above=0)  #: steps between evaluations, each with a checkpoint
    seed: int = setting(0, at_least=0)  #: of the weights and the order of segments
    #: of the bulk: "bf16", "fp32", or bf16 where the hardware has it; a finish is in fp32
    precision: str = setting("auto", one_of=("auto", "bf16", "fp32"))
    threads: int | None = setting(None, above=0, at_most=4096)  #: CPU threads; None leaves torch's own choice
    #: where codes start from: a plan, by use or by spelling (see `plan`); "own", where the network puts them; "none"
    #: learns them end to end
    guide: str = setting("use", one_of=("use", "front-length-back", "own", "none"))
    #: numbers of the vector that says how a segment is used, which guide "use" has the network learn
    use_dimensions: int = setting(128, above=0, at_most=4096)
    use_steps: int | None = None  #: steps to learn the vectors before the codes; None is 14 passes; 0 is none
    use_weight: float = setting(0.2, at_least=0)  #: of the vectors' loss beside that of codes, or end to end
    #: share of segments not taught at first, which measures how vectors and classes of others are found; 0 is none
    held_out: float = setting(0.1, at_least=0, at_most=0.5)
    code_steps: int | None = (
        None  #: steps to assign codes, at most, of `max_steps`; None is a fifth, or two thirds unguided
    )
    aim_margin: float = 0.3  #: distance from a bin border, in bins, towards which a segment is trained
    margin: float = 0.1  #: distance, in bins, that a segment with an id has at least
    #: lead in nats over the best wrong symbol with which a segment counts as learned
    score_margin: float = setting(1.0, at_least=0)
    #: how often what is learned is sampled, as a share of what is not; 1 samples evenly
    hard_floor: float = setting(0.1, above=0, at_most=1)
    #: learning rate at the end of a stage, as a share of the first
    final_rate: float = setting(0.02, above=0, at_most=1)
    beta2: float = setting(0.99, above=0, at_most=1)  #: of AdamW
    clip: float = setting(1.0, above=0)  #: largest gradient norm
    #: evaluations in a row that must find everything learned before training ends early
    patience: int = setting(1, above=0)
    max_minutes: float | None = setting(None, above=0)  #: end after so long, with what is learned by then

    def issues(self) -> Iterator[tuple[str, str]]:
        """Yield `(field, text)` for what the bounds do not say."""
        if not 0 <= self.margin <= self.aim_margin < 0.5:
            yield "margin", f"is {self.margin} with aim_margin {self.aim_margin}; 0 <= margin <= aim_margin < 0.5"
        if self.code_steps is not None and not 0 < self.code_steps <= self.max_steps:
            yield "code_steps", f"is {self.code_steps}, must lie in 1 to max_steps ({self.max_steps})"

    @property
    def steps_for_codes(self) -> int:
        """Steps of the first stage."""
        if self.code_steps is not None:
            return self.code_steps
        share = self.max_steps // 5 if self.guide != "none" else self.max_steps * 2 // 3
        return max(1, share, min(500, self.max_steps // 2))
