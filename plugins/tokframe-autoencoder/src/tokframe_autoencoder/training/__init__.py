"""How the network learns: stages, checkpoints, measures. Knows nothing of mining or of the compiled codebook."""
