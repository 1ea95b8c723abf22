"""Train a tiny language model in several processes. Arguments: the function below to call, a text, a tokenizer.

`run(out, count)` leaves the weights of process N in OUT-N.pt.
"""

import itertools
import signal
import sys
from pathlib import Path

import torch
from support.stopping import never
from support.together import die, together
from tokframe_lm.training import train
from tokframe_torch.checkpoint import read_checkpoint

from tokframe.corpus.files import Corpus

text, tokenizer = sys.argv[2:]
corpus = Corpus.open([text])
CONFIG = {
    **{"d_model": 16, "layers": 1, "heads": 2, "context": 16, "batch": 5, "steps": 12},
    **{"learning_rate": 0.01, "checkpoint_every": 4},
}


def run(out, count, should_stop=lambda number: never, steps=12, **options):
    def work(number):
        config = CONFIG | {"steps": steps}
        stop = should_stop(number)
        made = train(tokenizer, corpus=corpus, out=out, config=config, device="cpu", should_stop=stop, **options)
        torch.save(made.model.state_dict(), f"{out}-{number}.pt")

    return [0] if count == 1 and not work(0) else together(count, work)


def in_one_and_two():
    assert run("one", 1) == [0] and run("two", 2) == [0, 0]
    first, second = (torch.load(f"two-{number}.pt") for number in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


def killed_and_stopped():
    """Print the step of the checkpoint after each kill."""

    def killed(victim, step):
        calls = itertools.count()
        return lambda number: lambda: number == victim and next(calls) == step and die()

    def told(number):  # the second process alone is told to stop, and both do
        return lambda: number == 1

    assert run("whole", 2) == [0, 0]
    for victim, step, resume in ((1, 5, False), (0, 2, True)):
        ends = run("killed", 2, killed(victim, step), resume=resume)
        assert ends[victim] == -signal.SIGKILL and ends[1 - victim] == 3, ends
        said = Path(f"error-{1 - victim}").read_text()
        assert said.startswith("TrainingError") and "--resume" in said and "killed.training" in said, said
        print(read_checkpoint(Path("killed.training")).record["step"])
    assert run("killed", 2, told, resume=True) == [3, 3]
    assert Path("error-0").read_text().startswith("TrainingInterrupted")
    assert run("killed", 2, resume=True) == [0, 0]


run("warm", 1, steps=1)  # torch imports much at a first step
globals()[sys.argv[1]]()
