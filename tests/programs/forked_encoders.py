"""Fork six processes while two threads encode: each child has the ids of the parent. Argument: the tokenizer."""

import multiprocessing
import sys
import threading
from pathlib import Path

import tokframe

text = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")
lines = text.splitlines() * 20
tokenizer = tokframe.load(sys.argv[1])
expected = tokenizer.encode_batch(lines, threads=2)
one = tokenizer.encode(text)
back = tokenizer.decode(one)


def work():
    ids = tokenizer.encode_batch(lines, threads=2)
    sys.exit(0 if ids == expected and tokenizer.encode(text) == one and tokenizer.decode(one) == back else 1)


def busy():
    while not stop.is_set():
        tokenizer.decode(tokenizer.encode(text))


sys.setswitchinterval(1e-4)
fork = multiprocessing.get_context("fork")
stop = threading.Event()
others = [threading.Thread(target=busy) for _ in range(2)]  # the children are forked in the midst of their work
for thread in others:
    thread.start()
children = [fork.Process(target=work) for _ in range(6)]
for child in children:
    child.start()
for child in children:
    child.join(300)
    if child.exitcode is None:
        child.kill()
        raise SystemExit("a forked process locked up")
    assert child.exitcode == 0, child.exitcode
stop.set()
