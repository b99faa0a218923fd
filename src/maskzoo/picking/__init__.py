"""Which photos are worth labelling next."""
