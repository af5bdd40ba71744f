"""One engine with one net in a process of its own, run on request.

python -m benchmarks.contestant SPEC, a JSON object: kind, net, batch, threads, precision, and the
paths image, model (ONNX) and plan. The process answers lines on standard input by lines of JSON:
`run N` gives N times in seconds, `outputs FILE` writes the outputs, `memory` gives the peak of the
resident set in bytes. A process of its own keeps the thread pools of the engines apart, and gives
each its own peak of memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

Spec = Mapping[str, Any]
Outputs = Sequence[np.ndarray]
Run = Callable[[], Any]
Read = Callable[[Any], Outputs]

BFLOAT16 = "bf16"


def plugrt(spec: Spec, image: np.ndarray) -> tuple[Run, Read]:
    """The plan, from disk."""
    import plugrt as sdk

    context = sdk.Engine.load(spec["plan"]).create_context(spec["threads"])
    inputs = {"image": image}
    return (lambda: context.execute(inputs)), (lambda result: list(result.values()))


def onnxruntime(spec: Spec, image: np.ndarray) -> tuple[Run, Read]:
    """The default CPU provider, all optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = spec["threads"]
    session = ort.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    inputs = {"image": image}
    return (lambda: session.run(None, inputs)), list


def openvino(spec: Spec, image: np.ndarray) -> tuple[Run, Read]:
    """Compiled for latency, at the wanted precision."""
    import openvino as ov

    settings = {
        "INFERENCE_NUM_THREADS": spec["threads"],
        "INFERENCE_PRECISION_HINT": spec["precision"].replace("fp", "f"),
        "PERFORMANCE_HINT": "LATENCY",
    }
    core = ov.Core()
    compiled = core.compile_model(core.read_model(spec["model"]), "CPU", settings)
    request = compiled.create_infer_request()
    tensor = ov.Tensor(image, shared_memory=True)
    request.set_input_tensor(tensor)

    def read(_: Any) -> Outputs:
        return [np.array(request.get_output_tensor(k).data) for k in range(len(compiled.outputs))]

    return request.infer, read


def torch(spec: Spec, image: np.ndarray, compiled: bool = False) -> tuple[Run, Read]:
    """Channels last, eager, under inference mode."""
    import torch as framework

    from benchmarks.nets import NETS
    from benchmarks.nets.to_torch import RecipeModule

    framework.set_num_threads(spec["threads"])
    module: Any = RecipeModule(NETS[spec["net"]]()).eval()
    dtype = framework.bfloat16 if spec["precision"] == BFLOAT16 else framework.float32
    module = module.to(dtype).to(memory_format=framework.channels_last)
    given = framework.from_numpy(image)
    if compiled:
        from torch._inductor import config

        config.freezing = True
        module = framework.compile(module)

    def run() -> Any:
        with framework.inference_mode():
            inner = given.to(dtype=dtype, memory_format=framework.channels_last)
            return [output.float() for output in module(inner)]

    return run, lambda result: [output.numpy() for output in result]


def torch_compile(spec: Spec, image: np.ndarray) -> tuple[Run, Read]:
    """The same through torch.compile with frozen weights."""
    return torch(spec, image, compiled=True)


KINDS = {
    f.__name__: f for f in (plugrt, onnxruntime, openvino, torch, torch_compile)
}  # fmt: skip
PACKAGES = {"torch_compile": "torch"}
"""What a kind imports, where it is not called like that."""


def serve(spec: Spec) -> None:
    """Load, then answer until standard input ends."""
    image = np.load(spec["image"])
    kind = spec["kind"]
    clock = time.perf_counter

    def load() -> tuple[Callable[[int], Sequence[float]], Callable[[], Outputs]]:
        run, read = KINDS[kind](spec, image)
        last: list[Any] = []

        def time_runs(count: int) -> Sequence[float]:
            times = []
            for _ in range(count):
                start = clock()
                last[:] = [run()]
                times.append(clock() - start)
            return times

        return time_runs, lambda: read(last[0])

    answer_requests(lambda: import_module(PACKAGES.get(kind, kind)), load)


def answer_requests(
    import_engine: Callable[[], object],
    load: Callable[[], tuple[Callable[[int], Sequence[float]], Callable[[], Outputs]]],
) -> None:
    """Import the engine, load its model, run it once, and answer until standard input ends.

    `load` returns what runs so many inferences and tells the seconds of each, and what reads
    the outputs of the last one.
    """
    clock = time.perf_counter
    begin = clock()
    import_engine()
    imported = clock()
    time_runs, outputs = load()
    loaded = clock()
    time_runs(1)
    answer({
        "import_seconds": imported - begin, "load_seconds": loaded - imported,
        "first_call_seconds": clock() - loaded,
    })  # fmt: skip
    for line in sys.stdin:
        request, _, argument = line.strip().partition(" ")
        if request == "run":
            answer(list(time_runs(int(argument))))
        elif request == "outputs":
            np.savez(argument, *outputs())
            answer(True)
        else:
            answer(_peak_memory())


def _peak_memory() -> int:
    """Bytes of the resident set at its largest. `getrusage` would begin with the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (found,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(found.split()[1]) * 1024


def answer(value: object) -> None:
    """One line for the process that asked."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
