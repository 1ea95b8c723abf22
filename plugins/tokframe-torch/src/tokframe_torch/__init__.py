"""Training on torch: processes, checkpoints, learning rates and the run loop. What is trained is left to the users."""
