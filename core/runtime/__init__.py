"""Engines at work: buffers, contexts, and the recording of a graph."""
