"""Detection end to end on a GPU: a frame of bytes there becomes boxes on the host, in one graph.

    python -m benchmarks.gpu_detection [--nets NAME...] [--cache FILE] [--json FILE]

Beside it the same network alone, from a float picture to the raw values of its heads, both on
the GPU. Times are medians of graph launches one behind the other, between CUDA events.

The networks are those of nets/detectors.py.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import plugrt
from benchmarks.machine import describe_gpu
from benchmarks.nets.detectors import CANDIDATES, HEADS, detector, recipe_of, threshold_of
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt.core.atomic_file import write_atomically
from plugrt.core.devices.cuda.events import Event
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins import Array, DataType
from plugrt.plugins.native.cuda import Context
from yolo_example.layers.boxes import Boxes
from yolo_example.layers.prepare_pictures import PreparePictures
from yolo_example.parsing import end_to_end
from yolo_example.scenes import HELD_OUT, render_scene

FRAME = (1080, 1920)
LAUNCHES, SAMPLES, CALLS = 50, 15, 400


@dataclass(frozen=True)
class Options:
    """How engines are built."""

    precision: str
    tune: str
    tune_time: float | None
    cache: Path | None

    def build(self, network: plugrt.Network) -> plugrt.Engine:
        """On the first GPU."""
        return plugrt.build(
            network,
            plugrt.BuilderConfig(
                device="cuda", precision=self.precision, tune=self.tune, tune_time=self.tune_time,
                timing_cache=self.cache,
            ),
        )


class OnGpu:
    """An engine whose input lies on the GPU."""

    def __init__(self, engine: plugrt.Engine, given: Array) -> None:
        self.engine = engine
        self.context: Any = engine.create_context()
        self._device = Context.of(0)
        self._memory = DeviceBuffer.of(self._device, given)
        array = DeviceArray(self._memory.address, given.shape, given.dtype, 0, self._memory)
        self._inputs = {next(iter(engine.inputs)): array}

    def run(self) -> dict[str, Array]:
        """One call, outputs on the host."""
        found: dict[str, Array] = self.context.execute(self._inputs)
        return found

    def graph(self, *, to_host: bool) -> tuple[float, int, int]:
        """Seconds of one launch, launches of an inference, and nodes of its graph."""
        if to_host:
            self.run()
        else:
            self.context.execute(self._inputs, "device")
            self.context.synchronize()
        mode = "d" + ("h" if to_host else "d") * len(self.engine.outputs)
        (shapes,) = self.context._shapes.kept.values()
        recording = shapes.recordings[mode]
        variants = [v for segment in recording.segments for v in segment.variants.values()]
        instances = [variant.recording.instance() for variant in variants]
        steps = [step for instance in instances for step in instance.steps]
        graphs = [step for step in steps if isinstance(step, Graph)]
        if len(graphs) != len(steps):
            raise RuntimeError("a layer runs on the host")
        stream = variants[0].recording.stream
        before, after = (Event(self._device, timing=True) for _ in range(2))
        samples = []
        for _ in range(SAMPLES):
            with self._device.current():
                before.record(stream)
                for _ in range(LAUNCHES):
                    for graph in graphs:
                        graph.launch(stream)
                after.record(stream)
            after.synchronize()
            samples.append(after.seconds_since(before) / LAUNCHES)
        return median(samples), len(graphs), sum(instance.nodes for instance in instances)

    def call_seconds(self) -> float:
        """Of a whole call, outputs on the host."""
        for _ in range(20):
            self.run()
        times = []
        for _ in range(CALLS):
            start = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - start)
        return median(times)


def agreement(rows: Array, wanted: Array) -> dict[str, float]:
    """The share of wanted boxes that have one of their class at nearly the same place, and how
    far scores of those differ at most."""
    matched, apart = 0, 0.0
    for row in wanted:
        same = rows[rows[:, 5] == row[5]]
        near = same[np.abs(same[:, :4] - row[:4]).max(axis=1) < 0.02] if len(same) else same
        matched += len(near) > 0
        if len(near):
            apart = max(apart, float(np.abs(near[:, 4] - row[4]).min()))
    return {"matched": round(matched / max(len(wanted), 1), 4), "score_difference": apart}


def measure(net: str, options: Options, frame: Array) -> dict[str, Any]:
    """One row."""
    recipe = recipe_of(net)
    _, height, width = recipe.input_shape
    prepare = PreparePictures(height=height, width=width)
    image = np.asarray(prepare.reference([frame])[0], np.float32)
    with plugrt.build(to_plugrt(recipe, 1), plugrt.BuilderConfig(tune="off")) as engine:
        raw = list(engine.create_context().execute({"image": image}).values())
    threshold = threshold_of(net, raw)
    start = time.perf_counter()
    with options.build(to_plugrt(recipe, 1)) as engine:
        alone = OnGpu(engine, image)
        network_seconds, _, network_nodes = alone.graph(to_host=False)
        alone.context.close()
    network = end_to_end(detector(net), threshold=threshold)
    with options.build(network) as engine:
        build_seconds = time.perf_counter() - start
        whole = OnGpu(engine, frame)
        seconds, launches, nodes = whole.graph(to_host=True)
        on_gpu_seconds, _, _ = whole.graph(to_host=False)
        call = whole.call_seconds()
        found = whole.run()
        layers = {layer.type: layer for layer in engine.layers.values()}
        own = own_seconds(whole, frame)
        whole.context.close()
    boxes = layers[Boxes.type]
    rows = found["boxes"][0, : int(found["counts"][0])]
    exact, exact_counts = boxes.reference(raw)
    return {
        "net": net, "precision": options.precision, "tune": options.tune,
        "frame": list(frame.shape), "network_ms": round(network_seconds * 1e3, 5),
        "end_to_end_ms": round(seconds * 1e3, 5),
        "end_to_end_on_gpu_ms": round(on_gpu_seconds * 1e3, 5),
        "around_network": round(seconds / network_seconds - 1, 4),
        "layers_us": own, "call_ms": round(call * 1e3, 5),
        "host_us": round((call - seconds) * 1e6, 2), "graph_launches": launches,
        "nodes": nodes, "network_nodes": network_nodes, "threshold": threshold,
        "candidates": CANDIDATES, "boxes": len(rows),
        "cpu_boxes_of_its_values": same_values(net, options, threshold, frame),
        "cpu_boxes_in_float32": agreement(rows, exact[0, : int(exact_counts[0])]),
        "build_seconds": round(build_seconds, 1),
    }  # fmt: skip


def same_values(
    net: str, options: Options, threshold: float, frame: Array
) -> dict[str, float]:
    """Boxes of the GPU beside those that the CPU finds in the values that the GPU's heads had."""
    network = end_to_end(detector(net), threshold=threshold)
    (layer,) = (layer for layer in network.layers if isinstance(layer.plugin, Boxes))
    for number, tensor in enumerate(layer.own_inputs):
        assert tensor is not None
        network.mark_output(tensor, f"values_{number}")
    with replace(options, tune="off", cache=None).build(network) as engine:
        found = OnGpu(engine, frame).run()
    values = [found[name] for name in found if name.startswith("values_")]
    (boxes,), (count,) = layer.plugin.reference(values)
    return agreement(found["boxes"][0, : int(found["counts"][0])], boxes[: int(count)])


def own_seconds(whole: OnGpu, frame: Array) -> dict[str, float]:
    """Microseconds of preparation and boxes, as marks around the layers tell, which add about
    one to each."""
    name = next(iter(whole.engine.inputs))
    times = whole.context.profile({name: frame}, 9)
    return {
        t.type: round(t.seconds * 1e6, 2) for t in times
        if t.type in (PreparePictures.type, Boxes.type)
    }  # fmt: skip


def empty_call() -> dict[str, float]:
    """A call of a network that does nothing but copy a number: what Python needs of each call."""
    network = plugrt.Network("empty")
    given = network.add_input("given", DataType.FLOAT32, (1,))
    network.mark_output(network.add_layer("Negate", [given], "copied").output)
    with plugrt.build(network, plugrt.BuilderConfig(device="cuda", tune="off")) as engine:
        empty = OnGpu(engine, np.ones(1, np.float32))
        seconds, _, _ = empty.graph(to_host=True)
        call = empty.call_seconds()
        empty.context.close()
    return {
        "call_us": round(call * 1e6, 2), "graph_us": round(seconds * 1e6, 2),
        "host_us": round((call - seconds) * 1e6, 2),
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nets", nargs="+", choices=tuple(HEADS), default=list(HEADS))
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--tune", default="fast", choices=("fast", "full", "off"))
    parser.add_argument("--tune-time", type=float, metavar="SECONDS", help="of each build")
    parser.add_argument("--cache", type=Path, help="timing cache to read and update")
    parser.add_argument("--json", type=Path, help="write the figures here, net by net")
    options = parser.parse_args()
    how = Options(options.precision, options.tune, options.tune_time, options.cache)
    frame = render_scene(HELD_OUT, 27, FRAME[1], FRAME[0]).pixels[None]
    result: dict[str, Any] = {"machine": describe_gpu("numpy"), "empty_call": empty_call()}
    print(json.dumps(result["empty_call"]), flush=True)
    result["nets"] = []
    for net in options.nets:
        result["nets"].append(measure(net, how, frame))
        print(json.dumps(result["nets"][-1]), flush=True)
        if options.json:
            write_atomically(options.json, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
