"""A language model of the standard library's source in under a minute: train, evaluate, generate, load again."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tokframe_lm import evaluate, generate, load, train

from tokframe.corpus.files import Corpus


def main() -> None:
    """Train a tiny model with the tokenizer named on the command line, by default bpe."""
    name = sys.argv[1] if len(sys.argv) > 1 else "bpe"
    config = {"d_model": 64, "layers": 2, "context": 64, "batch": 8, "max_bytes": 100_000, "learning_rate": 0.003}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        done = train(name, corpus=Corpus.open(["stdlib:train"]), out=place, config=config)
        sys.stdout.write(f"{done.training['tokens']} tokens in {done.training['seconds']:.0f} s\n")
        model = load(place)
        found = evaluate(model, Corpus.open(["stdlib:heldout"]), max_bytes=20_000)
        sys.stdout.write(f"{found.bits_per_byte:.3f} bits per byte\n")
        for piece in generate(model, "def ", max_bytes=200):
            sys.stdout.write(piece.text)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
