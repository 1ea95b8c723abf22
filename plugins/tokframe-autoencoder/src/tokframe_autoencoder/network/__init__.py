"""The neural network: encoder, quantizers, decoder and what joins them. Knows nothing of corpora or training."""
