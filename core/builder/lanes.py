"""How many layers run beside each other, by whole inferences on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from statistics import median

from ...plugins import DeviceSession, PlugrtError
from ..explanation import Note
from ..graph.build_descs import Concretise
from ..runtime.planned import PlannedNetwork
from ..tuning.candidates import chosen_candidate
from ..tuning.timer import Timer

MOST_LANES = 4
"""More are not tried: branches are few, and their layers fill a device together."""

ROUNDS = 15
"""Inferences on so many lanes in turn, whose medians count."""

GAIN = 0.01
"""What lanes must gain to be used."""


def choose_lanes(
    planned: PlannedNetwork, session: DeviceSession, timer: Timer, threads: int,
    sizes: Mapping[str, int], concretise: Concretise, report: Callable[[str], None],
) -> None:  # fmt: skip
    """Set `planned.lanes` where the device can run layers beside each other and times are known,
    or may be measured; its layers are initialised."""
    if timer.knows_nothing:
        return
    network = _identity(planned, timer, concretise)
    keys = {count: f"{network} lanes={count}" for count in range(1, MOST_LANES + 1)}
    if timer.known(keys[1]) is None:
        _measure(planned, session, timer, threads, sizes, keys, report)
    times = {
        count: seconds for count, key in keys.items() if (seconds := timer.known(key)) is not None
    }
    if len(times) < 2:
        return
    best = min(times, key=times.__getitem__)
    planned.lanes = best if times[best] < times[1] * (1 - GAIN) else 1
    told = ", ".join(f"{seconds * 1e6:.1f} us on {count}" for count, seconds in times.items())
    report(
        Note(planned.network.name, "lanes", f"runs on {planned.lanes} of these lanes: {told}",
             lanes=planned.lanes, seconds=list(times.values()))
    )  # fmt: skip


def _measure(
    planned: PlannedNetwork, session: DeviceSession, timer: Timer, threads: int,
    sizes: Mapping[str, int], keys: Mapping[int, str], report: Callable[[str], None],
) -> None:  # fmt: skip
    """Time the network on one lane, and on as many more as it can use."""
    if not timer.measures:
        return
    if timer.meter.is_over:
        for key in keys.values():
            timer.skip(key)
        return
    try:
        runs: dict[int, Callable[[], float]] = {}
        for count in sorted(keys, reverse=True):
            if count == 1 and not runs:
                return
            run = session.stopwatch(planned, threads, sizes, count, timer.sample)
            if run is not None:
                runs[count] = run
        samples: dict[int, list[float]] = {count: [] for count in runs}
        for _ in range(ROUNDS):
            for count, run in runs.items():
                samples[count].append(run())
    except PlugrtError as error:  # as for want of memory
        text = f"is not timed as a whole, so rules choose its lanes: {error}"
        report(Note(planned.network.name, "lanes", text))
        return
    for count, found in samples.items():
        timer.remember(keys[count], median(found))
        timer.meter.advance()


def _identity(planned: PlannedNetwork, timer: Timer, concretise: Concretise) -> str:
    """What the network's layers are, each as the timer knows it, and which of them read which."""
    network = planned.network
    numbers = {layer: number for number, layer in enumerate(network.layers)}
    layers = []
    for layer in network.layers:
        read = [t.producer for t in layer.present_inputs if not t.is_constant]
        sources = [-1 if producer is None else numbers[producer] for producer in read]
        key = timer.key(layer.plugin, chosen_candidate(layer, concretise), layer.epilogue)
        layers.append(f"{key} of {sources}")
    digest = hashlib.blake2b("\n".join(layers).encode(), digest_size=16).hexdigest()
    return f"network {network.name} of {len(layers)} layers {digest}"
