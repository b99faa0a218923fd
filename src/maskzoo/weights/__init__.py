"""Weights files: safe readers, our own checkpoint file, and other libraries' names as tables."""
