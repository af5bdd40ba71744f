"""A batch against its samples one by one."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array

from ..cases import Case
from ..comparison import array_difference, compare
from ..configurations import first_configuration
from ..execution import execute
from ..generation import is_legal
from ..outcome import NotApplicable
from ..subject import Subject


def batch_invariance(subject: Subject) -> None:
    """Where the reference treats samples independently, so does the layer."""
    compared = 0
    for case, configuration in subject.runnable():
        samples = independent_samples(subject, case)
        if samples:
            together = execute(case.layer(), case.inputs, configuration)
            for number, alone in enumerate(samples):
                single = first_configuration(alone, subject.registry)
                if single is None:
                    continue
                actual = execute(alone.layer(), alone.inputs, single)
                part = [array[number : number + 1] for array in together]
                where = f"{case}: sample {number} alone and in its batch"
                compare(part, actual, where, case.tolerance)
                compared += 1
    if not compared:
        raise NotApplicable("axis 0 is no batch of independent samples")


def independent_samples(subject: Subject, case: Case) -> list[Case]:
    """The batch's samples as cases of their own; empty when the reference mixes them."""
    sizes = {case.inputs[k].shape[:1] for k in case.activations}
    if len(sizes) != 1 or sizes & {(), (0,), (1,)}:
        return []
    (count,) = next(iter(sizes))
    samples = [case.with_inputs(_one(case, number)) for number in range(count)]
    if not all(is_legal(sample) for sample in samples):
        return []
    whole = subject.expected(case)
    parts = [subject.expected(sample) for sample in samples]
    for number, part in enumerate(parts):
        for all_, mine in zip(whole, part, strict=True):
            if all_.shape[:1] != (count,) or mine.shape[:1] != (1,):
                return []
            if array_difference(np.asarray(all_[number : number + 1]), mine) is not None:
                return []
    return samples


def _one(case: Case, number: int) -> list[Array]:
    return [
        array[number : number + 1].copy() if index in case.activations else array
        for index, array in enumerate(case.inputs)
    ]
