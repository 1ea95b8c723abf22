"""Auto classes: saved language models as causal models of transformers, any head, with its `generate` and `Trainer`.

Reading and writing folders is left to `storage`, computing to `model`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from tokframe.errors import UnsupportedError
from tokframe.storage.paths import expanded
from tokframe_lm.model.decoder import DecoderHead
from tokframe_lm.model.embeddings import Embedding
from tokframe_lm.model.heads import Context
from tokframe_lm.storage import MODEL_TYPE, SavedModel, load, save, transformers_config

__all__ = ["TokframeLMConfig", "TokframeLMForCausalLM", "register_auto_classes"]

_IGNORED = -100  # a label of transformers that costs nothing
_TOP_K = 50  # where nothing says otherwise, as in transformers
#: Settings of a generation with which ids beyond the `top_k` likeliest of the model have no part in what is drawn.
_OF_LIKELIEST = frozenset({
    "attention_mask", "bos_token_id", "do_sample", "eos_token_id", "input_ids", "max_length", "max_new_tokens",
    "max_time", "num_return_sequences", "pad_token_id", "return_dict_in_generate", "stop_strings",
    "stopping_criteria", "streamer", "temperature", "tokenizer", "top_k", "top_p", "transformers_version", "use_cache",
})  # fmt: skip


class TokframeLMConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]  # of transformers
    """What transformers asks a config for; the model's own is in `model.json`."""

    model_type = MODEL_TYPE


class TokframeLMForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]  # of transformers
    """A saved model in transformers; `saved` holds model and tokenizer. Made by `from_pretrained`.

    Weights are float32, and are named as in `model.safetensors`.
    """

    config_class = TokframeLMConfig
    _supports_sdpa = True

    def __init__(self, config: TokframeLMConfig, saved: SavedModel | None = None) -> None:
        if saved is None:
            raise UnsupportedError(
                "a model of tokframe-lm belongs to a tokenizer, which a config does not hold. Train one (tokframe lm "
                "train --tokenizer NAME --corpus FILE --out DIR) and load DIR: AutoModelForCausalLM.from_pretrained",
                capability="from_config",
            )
        super().__init__(config)
        self.saved = saved
        self.model = saved.model
        self.all_tied_weights_keys: dict[str, str] = {}  # as after `post_init`, which would set new weights
        self._table: tuple[list[tuple[int, int]], Tensor] | None = None  # of the weights that these are versions of
        self._top_k = 0

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | Path, *_: Any, config: Any = None, **options: Any
    ) -> TokframeLMForCausalLM:
        """Load a folder that `tokframe lm train` or `save_pretrained` wrote.

        `device_map` may be a device; other options of transformers change nothing. Raises: as `storage.load`;
        UnsupportedError for weights that are not float32, or for several devices.
        """
        dtype = options.get("dtype", options.get("torch_dtype"))
        if dtype not in (None, "auto", torch.float32, "float32"):
            raise UnsupportedError(f"weights are float32, not {dtype}. Leave out dtype", capability="dtype")
        device = options.get("device_map") or "cpu"
        if isinstance(device, dict) and set(device) == {""}:
            device = device[""]
        if not isinstance(device, (str, int, torch.device)) or device in ("balanced", "balanced_low_0", "sequential"):
            raise UnsupportedError(f"a model runs on one device, not on {device!r}", capability="device_map")
        saved = load(pretrained_model_name_or_path, device=torch.device("cpu" if device == "auto" else device))
        # never the config that was read, which anyone may have changed: what it says follows from the model
        found = cls(TokframeLMConfig(**transformers_config(saved)), saved)
        found.config.name_or_path = found.name_or_path = str(pretrained_model_name_or_path)
        if (expanded(pretrained_model_name_or_path) / "generation_config.json").is_file():
            found.generation_config = GenerationConfig.from_pretrained(pretrained_model_name_or_path)
        if options.get("output_loading_info"):
            return found, {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": [], "error_msgs": []}  # type: ignore[return-value]
        found.eval()  # type: ignore[no-untyped-call]  # of transformers
        return found

    def save_pretrained(self, save_directory: str | Path, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """Write the model's folder with `generation_config.json`; other files that are there stay."""
        folder = expanded(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as place:
            made = save(evolve(self.saved, model=self.model), Path(place) / "model")
            self.generation_config.save_pretrained(made)
            shutil.rmtree(folder / "tokenizer", ignore_errors=True)
            for path in made.iterdir():
                os.replace(path, folder / path.name)

    def train(self, mode: bool = True) -> TokframeLMForCausalLM:
        """Begin or end training; fused optimizers change weights without counting a version (see `_vectors`)."""
        self._table = None
        found: TokframeLMForCausalLM = super().train(mode)
        return found

    def state_dict(self, *args: Any, **options: Any) -> Any:
        """Return the weights under the names of `model.safetensors`, which `Trainer` reads to resume."""
        return self.model.state_dict(*args, **options)

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        """Set the weights, named as in `state_dict`."""
        return self.model.load_state_dict(*args, **options)

    def get_input_embeddings(self) -> Any:
        """Return the module that makes vectors of ids."""
        return self.model.embedding

    def resize_token_embeddings(self, *_: Any, **__: Any) -> Any:
        """Raises: UnsupportedError."""
        raise UnsupportedError(
            "head and embedding follow from the tokenizer, so ids cannot be added. To move the model to another "
            "tokenizer: tokframe lm migrate MODEL --from OLD --to NEW --out DIR",
            capability="resize_token_embeddings",
        )

    def generate(self, inputs: Any = None, generation_config: Any = None, *rest: Any, **options: Any) -> Any:
        """Return `inputs` (batch, tokens) and ids drawn after them, as transformers has it.

        A decoder head searches for the likeliest ids only, where no setting looks at others.
        """
        chosen = self.generation_config if generation_config is None else generation_config
        settings = {name: value for name, value in chosen.to_diff_dict().items() if name[0] != "_"}
        settings |= {name: value for name, value in options.items() if value is not None}
        settings = {name: value for name, value in settings.items() if value is not False}
        if not rest and isinstance(self.model.head, DecoderHead) and settings.keys() <= _OF_LIKELIEST:
            self._top_k = int(settings.get("top_k", _TOP_K)) if settings.get("do_sample") else 1
        try:
            return super().generate(inputs, generation_config, *rest, **options)  # type: ignore[misc]  # of a mixin
        finally:
            self._top_k = 0

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> Any:
        """Return `loss` where there are `labels` (batch, tokens), otherwise `logits` (batch, tokens, ids).

        Labels are the ids themselves, as transformers has it, and -100 is left out; all logits of a batch, which
        a head may score one by one, are not needed for the loss. Those of a decoder head are ln p.
        """
        model = self.model
        table = self._vectors()
        found = model.body(
            inputs_embeds=model.embedding(input_ids, table),
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=labels is None if use_cache is None else use_cache,
        )
        states, loss, logits = found.last_hidden_state, None, None
        if labels is not None:
            wanted = labels[:, 1:].to(states.device)
            kept = wanted != _IGNORED
            context = Context(before=input_ids[:, :-1][kept], table=table, impossible=model.impossible)
            count = int(kept.sum())
            loss = states.new_zeros(())
            if count:
                loss = model.head.loss(states[:, :-1][kept], wanted[kept], context, torch.float32)
            if num_items_in_batch is not None:
                loss = loss * count / num_items_in_batch
        else:
            last = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) and logits_to_keep else slice(None)
            places = logits_to_keep if isinstance(logits_to_keep, Tensor) else last
            rows, before = states[:, places], input_ids[:, places]
            context = Context(before=before.flatten(), table=table, impossible=model.impossible)
            head, vectors = model.head, rows.flatten(0, 1)
            if self._top_k and isinstance(head, DecoderHead):
                logits = head.likeliest_logits(vectors, context, self._top_k)
            else:
                logits = head.logits(vectors, context)
            logits = logits.view(*before.shape, -1)
        output = CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=found.past_key_values)
        return output if return_dict is not False else output.to_tuple()

    def _vectors(self) -> Tensor | None:
        """Return the vectors of all ids where the head needs them, made again where a weight was changed."""
        if not self.model.head.tied:
            return None
        embedding: Embedding = self.model.embedding
        if torch.is_grad_enabled():
            return embedding.table()
        state = [(weight.data_ptr(), weight._version) for weight in embedding.parameters()]
        if self._table is None or self._table[0] != state:
            self._table = state, embedding.table()
        return self._table[1]


def register_auto_classes() -> None:
    """Have `AutoConfig` and `AutoModelForCausalLM` know saved models of tokframe-lm; more than once is no error."""
    AutoConfig.register(MODEL_TYPE, TokframeLMConfig, exist_ok=True)
    AutoModelForCausalLM.register(TokframeLMConfig, TokframeLMForCausalLM, exist_ok=True)
