"""Recordings: replayed on new data, and made twice from one instance."""

from __future__ import annotations

import threading

import numpy as np

from plugrt.core.runtime.weight_store import PackedWeights
from plugrt.plugins import Array

from ..cases import Case
from ..comparison import compare
from ..configurations import configurations
from ..execution import Recorded, record
from ..outcome import CheckFailure
from ..subject import Subject

REPLAYS = 20


def fresh_inputs(case: Case) -> list[Array]:
    """The inputs with each activation's elements in the opposite order."""
    return [
        np.ascontiguousarray(array.reshape(-1)[::-1]).reshape(array.shape)
        if index in case.activations
        else array
        for index, array in enumerate(case.inputs)
    ]


def recording_reads_its_inputs(subject: Subject) -> None:
    """A recording computes from what is in its inputs at replay, the same each time."""
    for case, _ in subject.runnable():
        other = case.with_inputs(fresh_inputs(case))
        first, second = subject.expected(case), subject.expected(other)
        for configuration in configurations(case, subject.registry):
            where = f"{case}: {configuration}"
            layer = case.layer()
            layer.initialize()
            try:
                recorded = record(layer, case.inputs, configuration)
                compare(recorded.run(case.inputs), first, where, case.tolerance)
                changed = recorded.run(other.inputs)
                compare(changed, second, f"{where}, replayed on other data", case.tolerance)
                again = recorded.run(other.inputs)
            finally:
                layer.terminate()
            for index, (left, right) in enumerate(zip(changed, again, strict=True)):
                if left.tobytes() != right.tobytes():
                    raise CheckFailure(f"{where}: output {index} differs between two replays")


def shared_instance(subject: Subject) -> None:
    """Two contexts record one instance, and replay at the same time on different data."""
    for case, configuration in subject.runnable():
        other = case.with_inputs(fresh_inputs(case))
        expected = subject.expected(case), subject.expected(other)
        layer = case.layer()
        layer.initialize()
        try:
            packed = PackedWeights()
            contexts = [
                record(layer, given.inputs, configuration, packed) for given in (case, other)
            ]
            state = layer.serialize()
            results = _replay_together(contexts)
            if layer.serialize() != state:
                raise CheckFailure(
                    f"{case}: the instance's attributes changed at inference; keep what belongs "
                    "to a context on its stream"
                )
        finally:
            layer.terminate()
        for found, wanted in zip(results, expected, strict=True):
            for outputs in found:
                compare(outputs, wanted, f"{case}: two contexts at once", case.tolerance)


def _replay_together(contexts: list[Recorded]) -> list[list[list[Array]]]:
    results: list[list[list[Array]]] = [[] for _ in contexts]
    errors: list[BaseException] = []
    start = threading.Barrier(len(contexts))

    def work(index: int) -> None:
        try:
            start.wait()
            for _ in range(REPLAYS):
                results[index].append(contexts[index].run())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(contexts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
