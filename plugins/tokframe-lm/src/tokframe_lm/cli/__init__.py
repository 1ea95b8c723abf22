"""Commands of the group `lm`."""
