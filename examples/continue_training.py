"""Train a causal model of transformers with its Trainer: the embeddings first, then all of it. Run again to resume.

It needs nothing of tokframe but the text; what `tokframe lm migrate --from-huggingface` wrote is such a model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from tokframe import Corpus


class Windows(torch.utils.data.Dataset):
    """Windows of a model's context over the ids of a text, one after another."""

    def __init__(self, ids: list[int], size: int) -> None:
        self.rows = torch.tensor(ids[: len(ids) // size * size]).view(-1, size)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.rows[number], "labels": self.rows[number]}


def read(sources: list[str], max_bytes: int) -> str:
    """Return the first bytes of a corpus as one text."""
    parts, left = [], max_bytes
    for text in Corpus.open(sources).documents():
        parts.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return "\n".join(parts)


def train(model: AutoModelForCausalLM, data: Windows, out: Path, steps: int, rate: float) -> None:
    """Train for some steps; a checkpoint of an earlier, interrupted run in `out` is continued."""
    settings = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=8,
        learning_rate=rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(20, steps // 10),
        logging_steps=max(1, steps // 10),
        save_steps=max(1, steps // 4),
        save_total_limit=1,
        report_to=[],
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=0,
    )
    found = get_last_checkpoint(str(out)) if out.is_dir() else None
    Trainer(model=model, args=settings, train_dataset=data).train(resume_from_checkpoint=found)


def main() -> None:
    """Train the model in a folder and write it, with its tokenizer, into another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--max-bytes", type=int, default=1_000_000)
    parser.add_argument("--embedding-steps", type=int, default=50)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    arguments = parser.parse_args()
    set_seed(0)
    out = Path(arguments.out)
    model, tokenizer = (kind.from_pretrained(arguments.model) for kind in (AutoModelForCausalLM, AutoTokenizer))
    size = model.config.max_position_embeddings
    tokenizer.model_max_length = 10**9  # the text is cut into windows here
    data = Windows(tokenizer(read(arguments.corpus, arguments.max_bytes))["input_ids"], size)
    sys.stdout.write(f"{len(data):,} windows of {size} tokens\n")
    embeddings = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    first, second = out / "checkpoints" / "embeddings", out / "checkpoints" / "all"
    if arguments.embedding_steps and not second.is_dir():  # where the second part began, the first is done
        for weights in model.parameters():
            weights.requires_grad_(id(weights) in embeddings)
        train(model, data, first, arguments.embedding_steps, arguments.learning_rate)
        model.requires_grad_(True)
    train(model, data, second, arguments.steps, arguments.learning_rate)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    state = json.loads((Path(get_last_checkpoint(str(second))) / "trainer_state.json").read_text(encoding="utf-8"))
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    sys.stdout.write(f"loss {losses[0]:.3f} -> {losses[-1]:.3f} nats per token; wrote {out}\n")


if __name__ == "__main__":
    main()
