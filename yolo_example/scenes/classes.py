"""What is labelled in a scene."""

from __future__ import annotations

CLASS_NAMES = ("person", "bicycle", "car", "van", "bus", "truck", "dog", "traffic light")

PERSON, BICYCLE, CAR, VAN, BUS, TRUCK, DOG, TRAFFIC_LIGHT = range(len(CLASS_NAMES))
