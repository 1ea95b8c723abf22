"""Fine-tuning: a model and its tokenizer's network trained together."""
