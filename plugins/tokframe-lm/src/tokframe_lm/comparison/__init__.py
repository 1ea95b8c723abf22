"""Language models over several tokenizers, trained alike and compared."""
