"""The published models: their files, their weights, and loading both."""
