"""Adapter for lm-evaluation-harness: `--model tokframe`, which scores text exactly, whatever ids it crosses borders in.

    python -m tokframe_huggingface.harness --model tokframe --model_args pretrained=runs/lm --tasks TASK

is its command with this model registered; in Python, importing this module registers it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lm_eval import utils
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

import tokframe
from tokframe.errors import ConfigError
from tokframe.tokenizer.base import ITokenizer
from tokframe.tokenizer.likelihood import Logits, conditional, loglikelihoods
from tokframe_huggingface.reading import read

__all__ = ["TokframeLM"]

import_module("lm_eval.models")  # registers the harness's own, which it does by itself only where none is registered

_NEW_IDS = 256  # generated where a task does not say how many


@register_model("tokframe")
class TokframeLM(LM):  # type: ignore[misc]  # lm_eval has no types
    """A model of `tokframe lm`, or of transformers with the tokframe tokenizer that it was trained with.

    `pretrained` is a folder of either kind, or a model of transformers; `tokenizer` a name or a folder, for a model of
    `tokframe lm` its own; for one of transformers by default what its tokenizer.json holds. Texts begin with the id
    that begins a text; past the context (`max_length`, by default the model's) choices are read in windows that overlap
    by half, and rolling tasks in those of the harness.
    """

    def __init__(
        self,
        pretrained: Any,
        tokenizer: str | ITokenizer | None = None,
        *,
        device: str | None = None,
        max_length: int | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self._backend = _open(pretrained, tokenizer, _usable(device))
        self._context = int(max_length or self._backend.context)

    @property
    def tokenizer_name(self) -> str:
        """The name of the tokenizer."""
        return self._backend.tokenizer.name

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return for each (context, continuation) the log-probability in nats, and whether greedy ids write it."""
        backend = self._backend
        pairs = [request.args for request in requests]
        scores = loglikelihoods(backend.tokenizer, pairs, backend.logits, start=backend.start, context=self._context)
        found = []
        for (before, after), score in zip(pairs, scores, strict=True):
            hidden = backend.hidden_nats(before + after) - backend.hidden_nats(before)
            found.append((score.value - hidden, score.greedy))
            self.cache_hook.add_partial("loglikelihood", (before, after), found[-1])
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Return the sum over the ids of each text, in the windows of the harness."""
        backend = self._backend
        found = []
        for (text,) in [request.args for request in requests]:
            windows = utils.get_rolling_token_windows(
                token_list=backend.tokenizer.encode(text, False),
                prefix_token=backend.start,
                max_seq_len=self._context,
                context_len=1,
            )
            rows = [utils.make_disjoint_window(window) for window in windows]
            sums = conditional(rows, backend.logits, size=backend.tokenizer.vocab_size)
            found.append(sum(sums) - backend.hidden_nats(text))
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), found[-1])
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Return what the model writes after each context, up to the first of the texts at which it is to stop."""
        found = []
        for context, options in [request.args for request in requests]:
            until = options.get("until") or []
            stops = [until] if isinstance(until, str) else until
            size = int(options.get("max_gen_toks") or _NEW_IDS)
            room = max(1, self._context - size - 1)
            ids = self._backend.tokenizer.encode(context, False)
            kept = context if len(ids) <= room else self._backend.tokenizer.decode(ids[-room:])
            temperature = float(options.get("temperature", 0.0)) if options.get("do_sample") else 0.0
            text = self._backend.generate(kept, size, temperature, stops)
            ends = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
            found.append(text[: min(ends, default=len(text))])
            self.cache_hook.add_partial("generate_until", (context, options), found[-1])
        return found


class _OwnModel:
    """A model of `tokframe lm`."""

    def __init__(self, folder: Path, device: str) -> None:
        from tokframe_lm.evaluation.loglikelihood import hidden_bits, logits_of
        from tokframe_lm.model.model import start_id
        from tokframe_lm.storage import load

        self.saved = load(folder, device=device)
        self.tokenizer: ITokenizer = self.saved.tokenizer
        self.context = self.saved.model.config.context
        self.start = start_id(self.tokenizer)
        self.logits: Logits = logits_of(self.saved.model)
        self._hidden = hidden_bits(self.saved)

    def hidden_nats(self, text: str) -> float:
        return self._hidden(text) * math.log(2)

    def generate(self, prompt: str, size: int, temperature: float, stops: Sequence[str]) -> str:
        from tokframe_lm.generation import Sampling, generate

        text, tokens = "", 0
        for piece in generate(
            self.saved, prompt, max_bytes=size * 16, sampling=Sampling(temperature=temperature, top_k=0)
        ):
            text, tokens = text + piece.text, tokens + piece.tokens
            if tokens >= size or any(stop in text for stop in stops if stop):
                break
        return text


class _TransformersModel:
    """A causal model of transformers and the tokframe tokenizer of its ids."""

    def __init__(self, model: Any, tokenizer: ITokenizer) -> None:
        from tokframe_huggingface.scoring import context_of, logits_of, start_of

        self.model, self.tokenizer = model.eval(), tokenizer
        self.context = context_of(model)
        self.start = start_of(tokenizer, model)
        self.logits: Logits = logits_of(model, tokenizer)

    def hidden_nats(self, text: str) -> float:
        return 0.0

    def generate(self, prompt: str, size: int, temperature: float, stops: Sequence[str]) -> str:
        import torch
        from transformers import LogitsProcessorList

        from tokframe_huggingface.prompting import prepare

        ids, processor = prepare(self.tokenizer, prompt, self.model)
        given = torch.tensor([ids], device=self.model.device)
        sampled = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        written = self.model.generate(
            given,
            attention_mask=torch.ones_like(given),
            logits_processor=LogitsProcessorList([processor]),
            max_new_tokens=size + len(processor.end.prompt.open),
            pad_token_id=self.start,
            **sampled,
        )
        return self.tokenizer.decode(written[0].tolist())[len(prompt) :]


def _open(pretrained: Any, tokenizer: str | ITokenizer | None, device: str) -> _OwnModel | _TransformersModel:
    """Return a model that can be scored. Raises: ConfigError; ArtifactError."""
    named = tokframe.load(tokenizer) if isinstance(tokenizer, str) else tokenizer
    if not isinstance(pretrained, str | Path):
        if named is None:
            raise _wrong("tokenizer", "name the one that the model was trained with, as in tokenizer='autoencoder-fsq'")
        return _TransformersModel(pretrained, named)
    folder = Path(pretrained).expanduser()
    if (folder / "model.json").is_file():
        if named is not None:
            raise _wrong("tokenizer", f"{folder} is a model of tokframe lm and has its own; leave out tokenizer=")
        return _OwnModel(folder, device)
    if not (folder / "config.json").is_file():
        raise _wrong(
            "pretrained",
            f"{pretrained} is neither the folder of a model of tokframe lm, with a model.json, nor that of one of "
            "transformers, with a config.json; nothing is fetched from the network",
        )
    if named is None:
        if not (folder / "tokenizer.json").is_file():
            raise _wrong(
                "tokenizer",
                f"{folder} holds no tokenizer.json; name the tokenizer that the model was trained with: "
                f"--model_args pretrained={folder},tokenizer=autoencoder-fsq",
            )
        named = read(folder / "tokenizer.json")
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    return _TransformersModel(model.to(device), named)


def _usable(device: str | None) -> str:
    """Return the device to compute on: the harness asks for CUDA where none was given, which may not be there."""
    import torch

    if device is None or (device.startswith("cuda") and not torch.cuda.is_available()):
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _wrong(key: str, text: str) -> ConfigError:
    return ConfigError("the model tokframe of lm_eval", [(key, text)])


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
