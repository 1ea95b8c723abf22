"""HeadContract: what every head must do, as a pytest class for plugin authors to subclass. Needs pytest to be run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import evolve
from torch import Tensor

import tokframe
from tokframe.tokenizer.base import ITokenizer
from tokframe_lm.model.config import LMConfig
from tokframe_lm.model.heads import Context
from tokframe_lm.model.model import LanguageModel, build

__all__ = ["HeadContract"]

_TEXT = "The cat sat on the mat, and the dog saw the cat. He said: don't! Où est le café? 1234 🙂\n" * 3
_CONTEXT = 16
_DRAWS = 400
_load = cache(tokframe.load)


class HeadContract:
    """Subclass it and set `name`: pytest then runs the contract. `settings` are those of the head's config.

    `tokenizer` is a name or the path of one, `embedding` a registered embedding; `make` may be overridden, e.g. to
    return a trained model.
    """

    name: str = ""
    settings: ClassVar[Mapping[str, Any]] = {}
    tokenizer: str = "bpe"
    embedding: str = "spelled"
    tolerance: float = 1e-4  #: how far probabilities and nats may be apart

    def make(self) -> LanguageModel:
        """Return a model with the head, its weights set at random, the same at every call."""
        config = LMConfig(
            d_model=16,
            layers=1,
            heads=2,
            context=_CONTEXT,
            embedding=self.embedding,
            head=self.name,
            head_settings=dict(self.settings),
            canonical=True,
            min_count=2,
        )
        model = build(config, self.load())
        model.prepare(torch.bincount(self.ids(), minlength=self.load().vocab_size))
        random = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
        return model.eval()

    def load(self) -> ITokenizer:
        """Return the tokenizer."""
        return _load(self.tokenizer)

    def ids(self) -> Tensor:
        """Return the ids of a short text (tokens,)."""
        return torch.from_numpy(self.load().encode_array(_TEXT, False).astype(np.int64))

    def windows(self, model: LanguageModel) -> tuple[Tensor, Tensor, Tensor, Context]:
        """Return ids and targets (2, tokens), and the vectors (rows, d_model) and context of the head after the ids."""
        ids = self.ids()[: 2 * _CONTEXT + 1]
        rows, targets = ids[:-1].view(2, -1), ids[1:].view(2, -1)
        table = model.embedding.table().detach()
        with torch.no_grad():
            states = model.hidden_states(rows, table).flatten(0, 1)
        return rows, targets, states, Context(before=rows.flatten(), table=table, impossible=model.impossible)

    # -- a distribution -----------------------------------------------------------------------------------------

    def test_the_probabilities_of_all_ids_add_up_to_one(self) -> None:
        """Those of ids that cannot follow, and of special tokens, included; no id has none."""
        model = self.make()
        _, _, states, context = self.windows(model)
        some = evolve(context, before=context.before[:3])
        with torch.no_grad():
            logs = model.head.logits(states[:3], some).double().log_softmax(-1)
            raw = model.head.logits(states[:3], some).double()
        assert logs.shape == (3, self.load().vocab_size) and bool(logs.isfinite().all()), "an id has no probability"
        special = logs[:, sorted(self.load().textless_ids)]
        assert bool((special > -50).all()), "a special token has no probability to speak of"
        if not model.head.tied:
            total = raw.logsumexp(-1)
            torch.testing.assert_close(total, torch.zeros_like(total), atol=self.tolerance, rtol=0)

    def test_the_cost_of_a_target_is_what_the_distribution_says(self) -> None:
        """`nll`, which scores no other ids, and the log of the probability are the same, for special tokens too."""
        model = self.make()
        _, targets, states, context = self.windows(model)
        wanted = targets.flatten().clone()
        special = sorted(self.load().textless_ids)
        wanted[: len(special)] = torch.tensor(special[: len(wanted)])
        rows = torch.tensor([*range(min(len(special), 4)), 20, 31])
        with torch.no_grad():
            nll = model.head.nll(states, wanted, context)
            logs = model.head.logits(states[rows], evolve(context, before=context.before[rows])).log_softmax(-1)
        found = -logs.gather(1, wanted[rows, None])[:, 0]
        torch.testing.assert_close(nll[rows], found, atol=self.tolerance * 10, rtol=self.tolerance)

    def test_a_row_costs_the_same_in_any_batch(self) -> None:
        """A target's cost does not depend on what else is in the batch, nor on its place there."""
        model = self.make()
        _, targets, states, context = self.windows(model)
        wanted = targets.flatten()
        with torch.no_grad():
            whole = model.head.nll(states, wanted, context)
            back = model.head.nll(states.flip(0), wanted.flip(0), evolve(context, before=context.before.flip(0)))
            alone = model.head.nll(states[5:6], wanted[5:6], evolve(context, before=context.before[5:6]))
        torch.testing.assert_close(back.flip(0), whole, atol=self.tolerance, rtol=self.tolerance)
        torch.testing.assert_close(alone, whole[5:6], atol=self.tolerance, rtol=self.tolerance)

    def test_what_comes_later_changes_nothing(self) -> None:
        """The cost of a token depends on it and on what stands before it."""
        model = self.make()
        rows, targets, _, _ = self.windows(model)
        later_rows, later_targets = rows.clone(), targets.clone()
        later_rows[:, 9:], later_targets[:, 8:] = rows[:, 9:].flip(1), targets[:, 8:].flip(1)
        later_rows[:, 9:] = later_targets[:, 8:-1]
        with torch.no_grad():
            before, after = model.token_nll(rows, targets), model.token_nll(later_rows, later_targets)
        torch.testing.assert_close(after[:, :8], before[:, :8], atol=self.tolerance, rtol=self.tolerance)
        assert not torch.allclose(after[:, 8:], before[:, 8:]), "what is read or written changes nothing at all"

    # -- training -----------------------------------------------------------------------------------------------

    def test_the_gradient_reaches_the_vector_and_every_weight(self) -> None:
        """All gradients are finite numbers."""
        model = self.make()
        _, targets, states, context = self.windows(model)
        states.requires_grad_()
        model.head.loss(states, targets.flatten(), context, torch.float32).backward()  # type: ignore[no-untyped-call]
        assert states.grad is not None and bool(states.grad.any(1).all()), "no gradient reaches some vector"
        for name, parameter in model.head.named_parameters():
            assert parameter.grad is not None and bool(parameter.grad.any()), f"no gradient reaches {name}"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"

    def test_saved_weights_give_the_same_costs(self) -> None:
        """A model of the same config, prepared with the same counts, takes the weights and is the same model."""
        model = self.make()
        rows, targets, _, _ = self.windows(model)
        twin = build(evolve(model.config, seed=1), self.load())
        twin.prepare(torch.bincount(self.ids(), minlength=self.load().vocab_size))
        twin.load_state_dict(model.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(twin.eval().token_nll(rows, targets), model.token_nll(rows, targets))

    # -- writing ------------------------------------------------------------------------------------------------

    def test_samples_follow_the_distribution(self) -> None:
        """Of the likeliest ids at a temperature, and of all ids at temperature 1, none of those excluded."""
        model = self.make()
        _, _, states, context = self.windows(model)
        one, state = evolve(context, before=context.before[4:5]), states[4]
        with torch.no_grad():
            logs = model.head.logits(state[None], one)[0].log_softmax(-1)
        banned = logs.topk(2).indices
        for top_k, temperature in ((6, 0.7), (0, 1.0)):
            left = logs.index_fill(0, banned, -torch.inf) / temperature
            if top_k:
                left = left.masked_fill(left < left.topk(top_k).values[-1], -torch.inf)
            chances = left.softmax(-1)
            random = torch.Generator().manual_seed(3)
            drawn = Counter(
                model.head.sample(state, one, temperature=temperature, top_k=top_k, excluded=banned, generator=random)
                for _ in range(_DRAWS)
            )
            assert not set(drawn) & set(banned.tolist()), "an excluded id was drawn"
            if top_k:
                assert set(drawn) <= set(left.isfinite().nonzero()[:, 0].tolist()), "an id that is not among the best"
            for token in chances.topk(5).indices.tolist():
                expected = float(chances[token]) * _DRAWS
                apart = abs(drawn[token] - expected) / max(expected * (1 - float(chances[token])), 1.0) ** 0.5
                assert apart < 5, f"id {token} was drawn {drawn[token]} times of {_DRAWS}, not about {expected:.0f}"

    def test_at_temperature_zero_the_likeliest_id_comes(self) -> None:
        """The likeliest of those that are not excluded."""
        model = self.make()
        _, _, states, context = self.windows(model)
        one = evolve(context, before=context.before[7:8])
        with torch.no_grad():
            first, second = model.head.logits(states[7:8], one)[0].topk(2).indices.tolist()
        assert model.head.sample(states[7], one, temperature=0.0) == first
        assert model.head.sample(states[7], one, temperature=0.0, excluded=torch.tensor([first])) == second
