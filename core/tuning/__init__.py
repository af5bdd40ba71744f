"""Choosing how each layer runs: candidates, measurements, and formats over the whole graph."""
