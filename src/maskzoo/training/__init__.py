"""From annotated photos to losses: targets, sampling, the five losses, the published schedule."""
