"""Rewrites of the graph. None of them knows a layer by name."""
