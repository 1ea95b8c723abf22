"""The compiled codebook: which id stands for which bytes and which code, and how it is chosen and checked."""
