"""Encode in the workers of a torch DataLoader. Argument: how workers start, "fork" or "spawn"."""

import sys
from pathlib import Path

from torch.utils.data import DataLoader, Dataset

import tokframe


class Lines(Dataset):
    def __init__(self, tokenizers):
        self.tokenizers = tokenizers
        self.lines = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8").splitlines()

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, at):
        return [tokenizer.encode(self.lines[at]) for tokenizer in self.tokenizers]


if __name__ == "__main__":
    data = Lines([tokframe.load(name) for name in ("autoencoder-fsq", "bpe", "word")])
    expected = [data[at] for at in range(len(data))]
    start = sys.argv[1]
    loader = DataLoader(data, batch_size=16, num_workers=2, multiprocessing_context=start, collate_fn=list)
    for _ in range(2 if start == "fork" else 1):
        assert [ids for batch in loader for ids in batch] == expected, start
