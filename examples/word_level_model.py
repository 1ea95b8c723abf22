"""A small GPT-2 on a word-level vocabulary, made with `tokenizers` and `transformers` alone: it stands in for yours."""

from __future__ import annotations

import argparse
import sys
import sysconfig
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, set_seed

SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[BOS]", "eos_token": "[EOS]"}


def main() -> None:
    """Write an untrained model, its tokenizer and vocab.txt into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--words", type=int, default=4000)
    parser.add_argument("--width", type=int, default=64)
    arguments = parser.parse_args()
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\s|[^\w\s]"), "removed", invert=True)
    trainer = trainers.WordLevelTrainer(
        vocab_size=arguments.words, special_tokens=[*SPECIAL.values()], show_progress=False
    )
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[::2]
    tokenizer.train_from_iterator((path.read_text(encoding="utf-8") for path in sources), trainer)
    ids = {role + "_id": tokenizer.token_to_id(text) for role, text in SPECIAL.items() if role != "unk_token"}
    set_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_embd=arguments.width, n_layer=2, n_head=2, n_positions=128, **ids
    )
    out = Path(arguments.out)
    GPT2LMHeadModel(config).save_pretrained(out)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL).save_pretrained(out)
    vocabulary = tokenizer.get_vocab()
    words = ["[NEWLINE]" if word == "\n" else word for word in sorted(vocabulary, key=vocabulary.__getitem__)]
    (out / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(vocabulary):,} words, wrote {out}\n")


if __name__ == "__main__":
    main()
