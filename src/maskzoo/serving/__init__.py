"""A server of predictions over HTTP, and its client."""
