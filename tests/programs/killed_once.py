"""Run the command line in several processes, whose second dies once, at the n-th call of a method.

Arguments: "module:Class.method", n, and the words of the command.
"""

import importlib
import os
import signal
import sys

from tokframe.cli.main import main
from tokframe.training import torchrun

target, at, *words = sys.argv[1:]
module, _, name = target.partition(":")
owner, _, method = name.partition(".")
owner = getattr(importlib.import_module(module), owner)
original, calls = getattr(owner, method), 0


def mortal(*arguments):
    global calls
    calls += 1
    if calls == int(at) and torchrun.number() == 1 and not torchrun.restarted():
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)


setattr(owner, method, mortal)
sys.exit(main(words))
