"""Measurements against peers: alternating runs in one process, medians, ratios, JSON results."""
