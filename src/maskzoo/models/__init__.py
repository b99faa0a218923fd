"""The inference graph: from a batch of pixels to detections. Knows torch and nothing else."""
