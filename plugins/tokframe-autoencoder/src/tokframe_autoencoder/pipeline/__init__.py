"""From text to an exact tokenizer: train the network, keep what is exact, compile, verify, recompile."""
