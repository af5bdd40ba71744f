"""How far a mean average precision would vary, had other pictures of the kind been chosen.

The bootstrap (B. Efron, "Bootstrap methods: another look at the jackknife", 1979): draw as many
pictures as there are, with replacement, again and again, and see how the result varies. A
picture drawn three times is one that counts three times, so that nothing is matched anew.
(Equal scores within one picture aside, that is what pycocotools makes of such a sample.)

It is the variation that is told. With few objects of a class, average precision itself tends to
be too high, in every sample alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plugrt.plugins import Array

from .average_precision import Matches, Precision

CONFIDENCE = 0.95
VALUES_AT_A_TIME = 1 << 22


@dataclass(frozen=True)
class Interval:
    """What 95 % of the samples lie within."""

    low: float
    high: float


def resampled_means(precision: Precision, weights: Array) -> Array:
    """The mean average precision at every threshold for every sample, float64 [samples,
    thresholds]; NaN for a sample in which no class has a label.

    `weights` [samples, pictures] say how often a picture counts.
    """
    samples, thresholds = len(weights), len(precision.thresholds)
    total = np.zeros((samples, thresholds))
    present = np.zeros((samples, 1))
    for matches in precision.matches:
        labels = weights @ matches.labels
        total += _averages(matches, weights, labels, precision.recall_steps)
        present += (labels > 0)[:, np.newaxis]
    return np.divide(total, present, out=np.full_like(total, np.nan), where=present > 0)


def draw_weights(pictures: int, samples: int, seed: int) -> Array:
    """How often each picture is drawn, int64 [samples, pictures]; every row's sum is
    `pictures`."""
    random = np.random.default_rng(seed)
    return random.multinomial(pictures, np.full(pictures, 1 / pictures), samples)


def interval(values: Array) -> Interval | None:
    """The middle 95 % of resampled values, NaN left out; None where nothing remains."""
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _averages(matches: Matches, weights: Array, labels: Array, recall_steps: Array) -> Array:
    """One class's average precision in every sample, 0 where it has no label."""
    samples = len(weights)
    averages = np.zeros((samples, len(matches.is_match)))
    step = max(1, VALUES_AT_A_TIME // max(len(matches.picture), 1))
    for start in range(0, samples, step):
        part = slice(start, start + step)
        found = weights[part][:, matches.picture]
        so_far = np.cumsum(found, axis=1)
        for threshold, is_match in enumerate(matches.is_match):
            hits = np.flatnonzero(is_match)
            if hits.size:
                right = np.cumsum(found[:, hits], axis=1)
                averages[part, threshold] = _average(
                    right, so_far[:, hits], labels[part], recall_steps
                )
    return averages


def _average(right: Array, so_far: Array, labels: Array, recall_steps: Array) -> Array:
    """The mean, over COCO's steps of recall, of the best precision at that recall or above.

    Only matches raise the recall, so only they are given: `right` and `so_far` [samples,
    matches] count the matches and all detections up to each.
    """
    precision = right / np.maximum(so_far, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / np.maximum(labels, 1)[:, np.newaxis]
    # The number of steps that every match is the first to reach.
    reached = np.searchsorted(recall_steps, recall, side="right")
    gained = np.diff(reached, axis=1, prepend=0)
    average: Array = (best * gained).sum(axis=1) / len(recall_steps)
    return np.where(labels > 0, average, 0.0)
