"""The page about a trained model: curves, confusion, pictures."""
