"""One fresh process: milliseconds and memory from nothing to the first ids. Run by `bench_startup`, one name each.

Imports nothing beyond the standard library's lightest until the clock runs.
"""

import os
import sys
import time

_TEXT = "The quick brown fox jumps over the lazy dog.\n"


def memory() -> tuple[float, float]:
    """Return what this process alone holds and all it has resident, in MB (10^6 bytes); zeros where not told."""
    own = resident = 0
    try:
        with open("/proc/self/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    own += int(line.split()[1])
                elif line.startswith("Rss:"):
                    resident = int(line.split()[1])
    except OSError:
        pass
    return own * 1024 / 1e6, resident * 1024 / 1e6


def main(name: str, first: str) -> None:
    """Load and encode; `first` names modules that are already there when the clock starts ("" for none)."""
    for module in filter(None, first.split(",")):
        __import__(module)
    if name.startswith("peer:"):
        sys.path.insert(0, os.getcwd())
    own, resident = memory()
    start, cpu = time.perf_counter(), time.process_time()
    if name.startswith("peer:"):
        encode = _peer(name.removeprefix("peer:"))
    else:
        import tokframe

        encode = tokframe.load(name).encode
    loaded = time.perf_counter()
    encode(_TEXT)
    end, cpu_end = time.perf_counter(), time.process_time()
    after = memory()
    figures = {
        "ms": (end - start) * 1e3,
        "load_ms": (loaded - start) * 1e3,
        "first_encode_ms": (end - loaded) * 1e3,
        "cpu_ms": (cpu_end - cpu) * 1e3,
        "own_mb": after[0] - own,
        "resident_mb": after[1] - resident,
    }
    sys.stdout.write(repr(figures) + "\n")


def _peer(name: str):  # the files are made ready by the benchmark, so that only the peer itself is timed
    folder = os.environ["TOKFRAME_BENCH_FILES"]
    if name == "tiktoken":
        import tiktoken
        from tiktoken.load import load_tiktoken_bpe
        from tiktoken_ext.openai_public import r50k_pat_str

        ranks = load_tiktoken_bpe(os.path.join(folder, "ranks.tiktoken"))
        encoding = tiktoken.Encoding("bpe", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
        return encoding.encode_ordinary
    if name == "tokenizers":
        from tokenizers import Tokenizer

        return Tokenizer.from_file(os.path.join(folder, "tokenizer.json")).encode
    from gigatoken import Tokenizer as Giga

    return Giga(os.path.join(folder, "tokenizer.json")).encode


if __name__ == "__main__":
    main(*sys.argv[1:3])
