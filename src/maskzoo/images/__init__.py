"""Photos: found, read, resized, put into batches."""
