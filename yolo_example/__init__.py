"""Darknet models and YOLO layers for plugrt: an example of a plug-in distribution."""
