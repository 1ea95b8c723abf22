"""From a corpus to the segments worth an id: sources and their weights, candidates, pruning."""
