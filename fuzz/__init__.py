"""Long checks of trust and load: coverage-guided fuzzing, millions of round trips, gigabytes through one tokenizer."""
