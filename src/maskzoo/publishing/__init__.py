"""A model given to others: its card, and its way into a Hugging Face repository."""
