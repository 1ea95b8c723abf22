"""Lab: measurements behind the notes in docs, run by hand; not part of `python -m benchmarks`."""
