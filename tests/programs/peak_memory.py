"""Encode, decode and stream a text 30 times; print by how many KB the process's peak grew. Argument: the tokenizer."""

import resource
import sys

import tokframe

tokenizer = tokframe.load(sys.argv[1])
text = "for line in lines: print('🙂', line)  # and so on, 12345\n" * 2000


def work():
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text or sys.argv[1] == "word"
    stream = tokenizer.stream_encoder()
    for start in range(0, len(text), 4096):
        stream.feed(text[start : start + 4096])
    stream.finish()


for _ in range(5):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(30):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
