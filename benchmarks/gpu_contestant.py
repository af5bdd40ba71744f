"""One engine with one net on the GPU, in a process of its own, run on request.

python -m benchmarks.gpu_contestant SPEC, with the protocol of benchmarks.contestant; times are the
GPU's own, between two events around each inference. Inferences follow each other without a gap, so
that what the host needs to begin one shows only where the GPU waits for it.

Every engine finds its input on the GPU: plugrt as a float32 array in the order of arrays, whose
conversion is part of its time; torch in its own type, channels last.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from benchmarks.contestant import Outputs, answer_requests

Spec = Mapping[str, Any]

IN_FLIGHT = 32
"""Inferences begun before the first one is waited for."""


class Contestant(Protocol):
    """An engine that has loaded its model."""

    def infer(self) -> None:
        """Begin an inference."""

    def mark(self) -> Any:
        """Put an event behind what was begun."""

    def wait(self) -> None:
        """Until all is done."""

    def seconds(self, first: Any, second: Any) -> float:
        """Between two events that were reached."""

    def outputs(self) -> Outputs:
        """Of the last inference, in float32."""


class Plugrt:
    """The plan, from disk."""

    def __init__(self, spec: Spec, image: np.ndarray) -> None:
        import plugrt
        from plugrt.core.devices.cuda.events import Event
        from plugrt.core.devices.cuda.interchange import DeviceArray
        from plugrt.core.devices.cuda.memory import DeviceBuffer
        from plugrt.plugins.native.cuda import Context

        self._event = Event
        self._device = Context.of(0)
        self._context: Any = plugrt.Engine.load(spec["plan"]).create_context()
        buffer = DeviceBuffer.of(self._device, image)
        self._inputs = {"image": DeviceArray(buffer.address, image.shape, image.dtype, 0, buffer)}
        self._results: Any = None

    def infer(self) -> None:
        self._results = None  # its memory is taken again
        self._results = self._context.execute(self._inputs, "device")

    def mark(self) -> Any:
        event = self._event(self._device, timing=True)
        event.record(self._context.stream)
        return event

    def wait(self) -> None:
        self._context.synchronize()

    def seconds(self, first: Any, second: Any) -> float:
        return float(second.seconds_since(first))

    def outputs(self) -> Outputs:
        return [result.numpy().astype(np.float32) for result in self._results.values()]


class Torch:
    """Eager, channels last; what the others have in common."""

    folded = False

    def __init__(self, spec: Spec, image: np.ndarray) -> None:
        import torch

        from benchmarks.nets import NETS
        from benchmarks.nets.narrow import narrow
        from benchmarks.nets.to_torch import RecipeModule

        self._torch = torch
        torch.backends.cudnn.benchmark = True
        exact = spec["precision"] == "fp32"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not exact
        types = {"fp16": torch.float16, "bf16": torch.bfloat16}
        dtype = types.get(spec["precision"], torch.float32)
        recipe = narrow(NETS[spec["net"]]())
        module = RecipeModule(recipe, folded=self.folded).eval().cuda()
        module = module.to(dtype).to(memory_format=torch.channels_last)
        self._given = torch.from_numpy(image).cuda().to(dtype).to(memory_format=torch.channels_last)
        self._results: Any = None
        with torch.inference_mode():
            self._run = self.prepared(module)

    @property
    def given(self) -> Any:
        """The tensor that every inference reads."""
        return self._given

    @property
    def results(self) -> Any:
        """Of the last inference, on the GPU."""
        return self._results

    def prepared(self, module: Any) -> Callable[[], Any]:
        """What runs the module once."""
        return lambda: module(self._given)

    def captured(self, module: Any) -> Callable[[], Any]:
        """The module's work as one CUDA graph."""
        torch = self._torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                module(self._given)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = module(self._given)

        def run() -> Any:
            graph.replay()
            return results

        return run

    def infer(self) -> None:
        with self._torch.inference_mode():
            self._results = self._run()

    def mark(self) -> Any:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def wait(self) -> None:
        self._torch.cuda.synchronize()

    def seconds(self, first: Any, second: Any) -> float:
        return float(first.elapsed_time(second)) / 1e3

    def outputs(self) -> Outputs:
        return [output.float().cpu().numpy() for output in self._results]


class TorchGraph(Torch):
    """Eager, captured."""

    def prepared(self, module: Any) -> Callable[[], Any]:
        return self.captured(module)


class TorchScript(Torch):
    """Traced and frozen, batch normalisation folded, captured."""

    folded = True

    def prepared(self, module: Any) -> Callable[[], Any]:
        torch = self._torch
        with torch.no_grad():
            frozen = torch.jit.freeze(torch.jit.trace(module, self._given))
            return self.captured(frozen)


class TorchCompile(Torch):
    """torch.compile with frozen weights and CUDA graphs."""

    folded = True

    def prepared(self, module: Any) -> Callable[[], Any]:
        from torch._inductor import config

        config.freezing = True
        compiled = self._torch.compile(module, mode="reduce-overhead")
        for _ in range(4):  # compiles, warms up, captures
            compiled(self._given)
        return lambda: compiled(self._given)


KINDS = {
    "plugrt": Plugrt, "torch_eager": Torch, "torch_graph": TorchGraph,
    "torchscript_graph": TorchScript, "torch_compile": TorchCompile,
}  # fmt: skip


def time_runs(contestant: Contestant, count: int) -> list[float]:
    """Seconds of each of `count` inferences, on the GPU."""
    times: list[float] = []
    while len(times) < count:
        marks = [contestant.mark()]
        for _ in range(min(IN_FLIGHT, count - len(times))):
            contestant.infer()
            marks.append(contestant.mark())
        contestant.wait()
        times += [contestant.seconds(*pair) for pair in pairwise(marks)]
    return times


def serve(spec: Spec) -> None:
    """Load, then answer until standard input ends."""
    image = np.load(spec["image"])
    package = "plugrt" if spec["kind"] == "plugrt" else "torch"

    def load() -> tuple[Callable[[int], Sequence[float]], Callable[[], Outputs]]:
        contestant: Contestant = KINDS[spec["kind"]](spec, image)
        return (lambda count: time_runs(contestant, count)), contestant.outputs

    answer_requests(lambda: import_module(package), load)


if __name__ == "__main__":
    import json

    serve(json.loads(sys.argv[1]))
